// The heart of every fp32 product: a tile of sums kept in registers.
//
// Each sum is one chain of multiply-adds in the order of the inner dimension, whatever the number of
// rows of the tile. That is why a token's result does not depend on the tokens computed beside it.
#pragma once

#include <cstddef>

#if defined(__GNUC__) || defined(__clang__)
#define BOTHWAYS_INLINE inline __attribute__((always_inline))
#define BOTHWAYS_PREFETCH(p) __builtin_prefetch(p, 0, 2)
// The loops over a tile of registers: not unrolled, they would keep it in memory.
#ifdef __clang__
#define BOTHWAYS_UNROLL _Pragma("clang loop unroll(full)")
#else
#define BOTHWAYS_UNROLL _Pragma("GCC unroll 16")
#endif
#else
#include <intrin.h>
#define BOTHWAYS_INLINE __forceinline
#define BOTHWAYS_UNROLL
#if defined(_M_ARM64)
#define BOTHWAYS_PREFETCH(p) __prefetch(p)
#else
#define BOTHWAYS_PREFETCH(p) _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1)
#endif
#endif

namespace bothways {
namespace {

// Memory that will be wanted soon, brought into the second level of cache a little with each step.
struct Prefetch {
    const char* from;
    std::ptrdiff_t per_step;
    void fetch(int step) const { BOTHWAYS_PREFETCH(from + step * per_step); }
    Prefetch after(int steps) const { return {from + steps * per_step, per_step}; }
};

struct NoPrefetch {
    void fetch(int) const {}
};

// sum (ROWS, VECTORS) += a (ROWS, depth) b (depth, VECTORS).
template <class S, int ROWS, int VECTORS, class P>
BOTHWAYS_INLINE void multiply_add(typename S::V (&sum)[ROWS][VECTORS], const float* a,
                                  std::ptrdiff_t a_stride, const float* b, std::ptrdiff_t b_stride,
                                  int depth, P ahead) {
    for (int k = 0; k < depth; ++k) {
        typename S::V column[VECTORS];
        for (int v = 0; v < VECTORS; ++v) column[v] = S::load(b + v * S::lanes);
        for (int r = 0; r < ROWS; ++r) {
            typename S::V row = S::set(a[r * a_stride + k]);
            for (int v = 0; v < VECTORS; ++v) sum[r][v] = S::fma(row, column[v], sum[r][v]);
        }
        ahead.fetch(k);
        b += b_stride;
    }
}

// Calls f.template run<N>() for N = n, which is 1 to LIMIT: a number known to the compiler.
template <int LIMIT, class F>
BOTHWAYS_INLINE void with_constant(int n, const F& f) {
    if constexpr (LIMIT == 1) {
        f.template run<1>();
    } else if (n == LIMIT) {
        f.template run<LIMIT>();
    } else {
        with_constant<LIMIT - 1>(n, f);
    }
}

// Cuts rows into the fewest blocks of at most `limit`, all of nearly one size.
struct RowBlocks {
    int rows, blocks;
    RowBlocks(int rows, int limit) : rows(rows), blocks((rows + limit - 1) / limit) {}
    int first(int block) const { return static_cast<int>(std::ptrdiff_t(rows) * block / blocks); }
};

}  // namespace
}  // namespace bothways
