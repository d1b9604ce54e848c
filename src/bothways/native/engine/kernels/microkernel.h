// The microkernels: MR x NR tiles of accumulators, held in registers.
//
// Each accumulator is one chain of multiply-adds in the order of k, whatever MR is. A token's result
// therefore does not depend on the tokens that share its tile.
#pragma once

#include <cstddef>

#include "../simd/simd.h"
#include "compiler.h"

namespace bothways {
namespace {

// Prefetches a block of memory into the L2 cache, a few bytes in each step of k.
struct Prefetch {
    const char* from;
    std::ptrdiff_t bytes_per_step;
    void fetch(int k) const { BOTHWAYS_PREFETCH(from + k * bytes_per_step); }
    Prefetch advanced(int steps) const { return {from + steps * bytes_per_step, bytes_per_step}; }
};

struct NoPrefetch {
    void fetch(int) const {}
};

// acc (MR, NR) += a (MR, kc) b (kc, NR). NR counts vectors.
template <Simd S, int MR, int NR, class P>
BOTHWAYS_INLINE void microkernel_fp32(typename S::F32 (&acc)[MR][NR], const float* a, std::ptrdiff_t lda,
                                      const float* b, std::ptrdiff_t ldb, int kc, P prefetch) {
    for (int k = 0; k < kc; ++k) {
        typename S::F32 b_row[NR];
        for (int v = 0; v < NR; ++v) b_row[v] = S::load(b + v * S::lanes);
        for (int r = 0; r < MR; ++r) {
            typename S::F32 a_rk = S::broadcast(a[r * lda + k]);
            for (int v = 0; v < NR; ++v) acc[r][v] = S::fma(a_rk, b_row[v], acc[r][v]);
        }
        prefetch.fetch(k);
        b += ldb;
    }
}

// One of four quads: acc (MR, NR) += a (MR, 4) b (4, NR) in integers.
template <QuadSimd S, int quad, int MR, int NR, class P>
BOTHWAYS_INLINE void multiply_quad(typename S::I32 (&acc)[MR][NR], const typename S::I8 (&a_quads)[MR],
                                   const std::int8_t* b, P prefetch, int k4) {
    b = S::after(acc[MR - 1][NR - 1], b);
    BOTHWAYS_UNROLL
    for (int v = 0; v < NR; ++v) {
        const typename S::I8 b_quad = S::load_i8(b + v * S::lanes * 4);
        BOTHWAYS_UNROLL
        for (int r = 0; r < MR; ++r) acc[r][v] = S::template dot4_quad<quad>(acc[r][v], a_quads[r], b_quad);
    }
    prefetch.fetch(k4 + quad);
}

// acc (MR, NR) = a (MR, 4 kc4) b (4 kc4, NR) in integers, where kc4 counts quads: 4 adjacent k, one dot4.
// The strides lda and ldb are in bytes, from one row of a to the next and from one quad of b to the next.
template <Simd S, int MR, int NR, class P>
BOTHWAYS_INLINE void microkernel_int8(typename S::I32 (&acc)[MR][NR], const std::uint8_t* a,
                                      std::ptrdiff_t lda, const std::int8_t* b, std::ptrdiff_t ldb, int kc4,
                                      P prefetch) {
    for (int r = 0; r < MR; ++r)
        for (int v = 0; v < NR; ++v) acc[r][v] = S::zero_i32();
    int k4 = 0;
    if constexpr (QuadSimd<S>) {
        for (; k4 + 4 <= kc4; k4 += 4) {
            typename S::I8 a_quads[MR];
            BOTHWAYS_UNROLL
            for (int r = 0; r < MR; ++r) a_quads[r] = S::load_quads(a + r * lda);
            multiply_quad<S, 0>(acc, a_quads, b, prefetch, k4);
            multiply_quad<S, 1>(acc, a_quads, b + ldb, prefetch, k4);
            multiply_quad<S, 2>(acc, a_quads, b + 2 * ldb, prefetch, k4);
            multiply_quad<S, 3>(acc, a_quads, b + 3 * ldb, prefetch, k4);
            a += 16;
            b += 4 * ldb;
        }
    }
    for (; k4 < kc4; ++k4) {
        typename S::I8 b_quad[NR];
        for (int v = 0; v < NR; ++v) b_quad[v] = S::load_i8(b + v * S::lanes * 4);
        for (int r = 0; r < MR; ++r) {
            const typename S::I8 a_quad = S::broadcast4(a + r * lda);
            for (int v = 0; v < NR; ++v) acc[r][v] = S::dot4(acc[r][v], a_quad, b_quad[v]);
        }
        prefetch.fetch(k4);
        a += 4;
        b += ldb;
    }
}

// The same for kc8 blocks of 8 adjacent k, in products of 2 rows, 8 inputs and 2 outputs. The stride ldb is in bytes,
// from one block of b to the next. The last row of an odd number is multiplied twice.
template <RowPairSimd S, int MR, int NR, class P>
BOTHWAYS_INLINE void microkernel_row_pairs(typename S::I32 (&acc)[MR][NR], const std::uint8_t* a,
                                           std::ptrdiff_t lda, const std::int8_t* b, std::ptrdiff_t ldb,
                                           int kc8, P prefetch) {
    constexpr int pairs = (MR + 1) / 2;
    typename S::I32 sums[pairs][2 * NR];
    for (int p = 0; p < pairs; ++p)
        for (int v = 0; v < 2 * NR; ++v) sums[p][v] = S::zero_i32();
    for (int k8 = 0; k8 < kc8; ++k8) {
        typename S::I8 rows[pairs];
        for (int p = 0; p < pairs; ++p)
            rows[p] = S::load_rows(a + 2 * p * lda, a + (2 * p + 1 < MR ? 2 * p + 1 : 2 * p) * lda);
        for (int v = 0; v < 2 * NR; ++v) {
            const typename S::I8 outputs = S::load_i8(b + v * 16);
            for (int p = 0; p < pairs; ++p) sums[p][v] = S::dot8x2x2(sums[p][v], rows[p], outputs);
        }
        prefetch.fetch(k8);
        a += 8;
        b += ldb;
    }
    for (int r = 0; r < MR; ++r)
        for (int v = 0; v < NR; ++v) {
            const typename S::I32 low = sums[r / 2][2 * v], high = sums[r / 2][2 * v + 1];
            acc[r][v] = r % 2 ? S::second_rows(low, high) : S::first_rows(low, high);
        }
}

// acc (MR, NR) = start (NR) + a (MR, 32) b (32, NR) in 16 bits: two sums for each output, one of the products
// with k % 4 of 0 and 1 and one of the others. Without `starts`, the sums start at 0. The stride lda is in bytes.
template <Sums16Simd S, int MR, int NR, bool starts, class P>
BOTHWAYS_INLINE void microkernel_sums16(typename S::I16 (&acc)[MR][NR], const std::uint8_t* a,
                                        std::ptrdiff_t lda, const std::int8_t* b, const std::int16_t* start,
                                        P prefetch) {
    BOTHWAYS_UNROLL
    for (int r = 0; r < MR; ++r)
        BOTHWAYS_UNROLL
        for (int v = 0; v < NR; ++v)
            acc[r][v] = starts ? S::load_i16(start + v * S::lanes * 2) : S::zero_i16();
    BOTHWAYS_UNROLL
    for (int k4 = 0; k4 < 8; ++k4) {
        typename S::I8 b_quad[NR];
        BOTHWAYS_UNROLL
        for (int v = 0; v < NR; ++v) b_quad[v] = S::load_i8(b + (k4 * NR + v) * S::lanes * 4);
        BOTHWAYS_UNROLL
        for (int r = 0; r < MR; ++r) {
            const typename S::I8 a_quad = S::broadcast4(a + r * lda + k4 * 4);
            BOTHWAYS_UNROLL
            for (int v = 0; v < NR; ++v) acc[r][v] = S::madd_pairs(acc[r][v], a_quad, b_quad[v]);
        }
        prefetch.fetch(k4);
    }
}

template <Simd S, int MR, int NR>
BOTHWAYS_INLINE void zero_tile(typename S::F32 (&acc)[MR][NR]) {
    for (int r = 0; r < MR; ++r)
        for (int v = 0; v < NR; ++v) acc[r][v] = S::zero();
}

// Calls f.operator()<N>() with N = n, for n of 1 to LIMIT: it makes a run-time size a compile-time constant.
template <int LIMIT, class F>
BOTHWAYS_INLINE void with_constant(int n, const F& f) {
    if constexpr (LIMIT == 1) {
        f.template operator()<1>();
    } else if (n == LIMIT) {
        f.template operator()<LIMIT>();
    } else {
        with_constant<LIMIT - 1>(n, f);
    }
}

// Divides m rows into the fewest blocks of at most `limit` rows, with sizes that differ by at most 1.
struct RowBlocks {
    int m, count;
    RowBlocks(int m, int limit) : m(m), count((m + limit - 1) / limit) {}
    int first(int block) const { return static_cast<int>(std::ptrdiff_t(m) * block / count); }
    int size(int block) const { return first(block + 1) - first(block); }
};

}  // namespace
}  // namespace bothways
