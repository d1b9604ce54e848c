// The probe of one instruction set; engine.cmake compiles this file once per set.
#include "probe.h"

#include BOTHWAYS_SIMD_HEADER

#include "../kernels/microkernel.h"
#include "../kernels/vec_math.h"

namespace bothways {
namespace {

using S = BOTHWAYS_SIMD;
using V = S::F32;

template <class F>
void apply(const float* x, float* y, int n, F f) {
    for (int i = 0; i < n; i += S::lanes) S::store(y + i, f(S::load(x + i)));
}

constexpr Probe::Function functions[] = {
    {"exp", [](const float* x, float* y, int n) { apply(x, y, n, VecMath<S>::exp); }},
    {"exp2_nonpositive", [](const float* x, float* y, int n) { apply(x, y, n, VecMath<S>::exp2_nonpositive); }},
    {"erf", [](const float* x, float* y, int n) { apply(x, y, n, VecMath<S>::erf); }},
    {"relu", [](const float* x, float* y, int n) { apply(x, y, n, VecMath<S>::relu); }},
    {"gelu", [](const float* x, float* y, int n) { apply(x, y, n, VecMath<S>::gelu); }},
    {"gelu_tanh", [](const float* x, float* y, int n) { apply(x, y, n, VecMath<S>::gelu_tanh); }},
    {"silu", [](const float* x, float* y, int n) { apply(x, y, n, VecMath<S>::silu); }},
    {"fast gelu", [](const float* x, float* y, int n) { apply(x, y, n, FastVecMath<S>::gelu); }},
    {"round", [](const float* x, float* y, int n) { apply(x, y, n, S::round); }},
    {"fract", [](const float* x, float* y, int n) { apply(x, y, n, S::fract); }},
};

void microkernel(int mr, int nr, const float* a, std::ptrdiff_t lda, const float* b, int kc, float* c) {
    with_constant<S::MR>(mr, [&]<int MR>() {
        with_constant<S::NR>(nr, [&]<int NR>() {
            V acc[MR][NR];
            for (int r = 0; r < MR; ++r)
                for (int v = 0; v < NR; ++v) acc[r][v] = S::load(c + (r * NR + v) * S::lanes);
            microkernel_fp32<S, MR, NR>(acc, a, lda, b, NR * S::lanes, kc, NoPrefetch{});
            for (int r = 0; r < MR; ++r)
                for (int v = 0; v < NR; ++v) S::store(c + (r * NR + v) * S::lanes, acc[r][v]);
        });
    });
}

template <class T>
constexpr auto row_pairs_microkernel() {
    using Function = decltype(Probe::microkernel_row_pairs);
    if constexpr (RowPairSimd<T>)
        return Function{[](int mr, int nr, const std::uint8_t* a, std::ptrdiff_t lda, const std::int8_t* b,
                           int kc8, float* c) {
            with_constant<T::MR_INT8>(mr, [&]<int MR>() {
                with_constant<T::NR_INT8>(nr, [&]<int NR>() {
                    typename T::I32 acc[MR][NR];
                    microkernel_row_pairs<T, MR, NR>(acc, a, lda, b, NR * T::lanes * 8, kc8, NoPrefetch{});
                    for (int r = 0; r < MR; ++r)
                        for (int v = 0; v < NR; ++v)
                            T::store(c + (r * NR + v) * T::lanes, T::to_float(acc[r][v]));
                });
            });
        }};
    else
        return Function{};
}

void int8_microkernel(int mr, int nr, const std::uint8_t* a, std::ptrdiff_t lda, const std::int8_t* b,
                      int kc4, float* c) {
    with_constant<S::MR_INT8>(mr, [&]<int MR>() {
        with_constant<S::NR_INT8>(nr, [&]<int NR>() {
            S::I32 acc[MR][NR];
            microkernel_int8<S, MR, NR>(acc, a, lda, b, NR * S::lanes * 4, kc4, NoPrefetch{});
            for (int r = 0; r < MR; ++r)
                for (int v = 0; v < NR; ++v) S::store(c + (r * NR + v) * S::lanes, S::to_float(acc[r][v]));
        });
    });
}

template <class T>
constexpr auto sums16_microkernel() {
    using Function = decltype(Probe::microkernel_sums16);
    if constexpr (Sums16Simd<T>)
        return Function{[](int mr, int nr, const std::uint8_t* a, std::ptrdiff_t lda, const std::int8_t* b,
                           const std::int16_t* start, float* c) {
            with_constant<T::MR_INT8>(mr, [&]<int MR>() {
                with_constant<T::NR_INT8>(nr, [&]<int NR>() {
                    typename T::I16 acc[MR][NR];
                    if (start)
                        microkernel_sums16<T, MR, NR, true>(acc, a, lda, b, start, NoPrefetch{});
                    else
                        microkernel_sums16<T, MR, NR, false>(acc, a, lda, b, start, NoPrefetch{});
                    for (int r = 0; r < MR; ++r)
                        for (int v = 0; v < NR; ++v)
                            T::store(c + (r * NR + v) * T::lanes, T::to_float(T::add_pairs(acc[r][v])));
                });
            });
        }};
    else
        return Function{};
}

void transpose(float* square) {
    V row[S::lanes];
    for (int i = 0; i < S::lanes; ++i) row[i] = S::load(square + i * S::lanes);
    S::transpose(row);
    for (int i = 0; i < S::lanes; ++i) S::store(square + i * S::lanes, row[i]);
}

}  // namespace

#define BOTHWAYS_CONCAT_(a, b) a##b
#define BOTHWAYS_CONCAT(a, b) BOTHWAYS_CONCAT_(a, b)
extern const Probe BOTHWAYS_CONCAT(probe_, BOTHWAYS_ISA);
constinit const Probe BOTHWAYS_CONCAT(probe_, BOTHWAYS_ISA) = {
    S::name, S::lanes, S::MR, S::NR, S::MR_INT8, S::NR_INT8, S::a_zero_point,
    functions, sizeof functions / sizeof *functions,
    microkernel, int8_microkernel, row_pairs_microkernel<S>(), sums16_microkernel<S>(),
    [](const float* x, float* y, int n) { S::store_partial(y, S::load_partial(x, n), n); },
    [](const float* x, float* y, int n) { S::store(y, S::load_partial(x, n)); },
    [](const float* x, float* y, int first, int last, float other) {
        S::store(y, S::blend_range(S::load(x), first, last, other));
    },
    transpose,
    [](const float* x, float* results) {
        results[0] = S::reduce_add(S::load(x));
        results[1] = S::reduce_max(S::load(x));
        results[2] = S::reduce_min(S::load(x));
    },
    [](const float* a, const float* x, float* y) { S::store(y, S::ldexp(S::load(a), S::load(x))); },
    [](const float* x, std::uint8_t* q8) { S::store_u8_sat(q8, S::load(x)); },
    [](const float* x, std::int8_t* q8) {
        S::store_i8x4(q8, S::load(x), S::load(x + S::lanes), S::load(x + 2 * S::lanes),
                      S::load(x + 3 * S::lanes));
    },
};

}  // namespace bothways
