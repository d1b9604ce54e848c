// The primitives that an instruction set provides. Every kernel is a template over a type that satisfies
// `Simd`; plain.h defines what each primitive computes.
#pragma once

#include <concepts>
#include <cstdint>

#include "../int8_scheme.h"

namespace bothways {

// clang-format off
template <class S>
concept Simd = requires(typename S::F32 x, typename S::I32 acc, typename S::I8 bytes,
                        typename S::F32 (&square)[S::lanes], float* p, const float* q, std::uint8_t* u8,
                        const std::uint8_t* a, std::int8_t* i8, const std::int8_t* b, float f, int n) {
    { S::name } -> std::convertible_to<const char*>;

    // Vectors: F32 holds `lanes` floats, I32 `lanes` accumulators, I8 4 * lanes bytes. Register tiles of the
    // microkernels: MR rows by NR vectors.
    requires S::lanes >= 4 && (S::lanes & (S::lanes - 1)) == 0;
    requires S::MR >= 1 && S::NR >= 1 && S::MR_INT8 >= 1 && S::NR_INT8 >= 1;

    // Memory.
    { S::load(q) } -> std::same_as<typename S::F32>;
    { S::load_partial(q, n) } -> std::same_as<typename S::F32>;
    { S::store(p, x) } -> std::same_as<void>;
    { S::store_partial(p, x, n) } -> std::same_as<void>;
    { S::zero() } -> std::same_as<typename S::F32>;
    { S::broadcast(f) } -> std::same_as<typename S::F32>;

    // Arithmetic.
    { S::add(x, x) } -> std::same_as<typename S::F32>;
    { S::sub(x, x) } -> std::same_as<typename S::F32>;
    { S::mul(x, x) } -> std::same_as<typename S::F32>;
    { S::div(x, x) } -> std::same_as<typename S::F32>;
    { S::min(x, x) } -> std::same_as<typename S::F32>;
    { S::max(x, x) } -> std::same_as<typename S::F32>;
    { S::fma(x, x, x) } -> std::same_as<typename S::F32>;
    { S::fnma(x, x, x) } -> std::same_as<typename S::F32>;
    { S::round(x) } -> std::same_as<typename S::F32>;
    { S::fract(x) } -> std::same_as<typename S::F32>;

    // Powers of 2 and selection.
    { S::clamp_exp2_arg(x) } -> std::same_as<typename S::F32>;
    { S::ldexp(x, x) } -> std::same_as<typename S::F32>;
    { S::zero_below(x, x, f) } -> std::same_as<typename S::F32>;
    { S::blend_range(x, n, n, f) } -> std::same_as<typename S::F32>;

    // Across lanes.
    { S::reduce_add(x) } -> std::same_as<float>;
    { S::reduce_max(x) } -> std::same_as<float>;
    { S::reduce_min(x) } -> std::same_as<float>;
    { S::transpose(square) } -> std::same_as<void>;

    // int8.
    requires S::a_zero_point == 0 || S::a_zero_point == 128;
    { S::has_dot4 } -> std::convertible_to<bool>;
    { S::int8_scheme } -> std::convertible_to<Int8Scheme>;
    { S::zero_i32() } -> std::same_as<typename S::I32>;
    { S::broadcast4(a) } -> std::same_as<typename S::I8>;
    { S::load_i8(b) } -> std::same_as<typename S::I8>;
    { S::dot4(acc, bytes, bytes) } -> std::same_as<typename S::I32>;
    { S::to_float(acc) } -> std::same_as<typename S::F32>;
    { S::store_u8_sat(u8, x) } -> std::same_as<void>;
    { S::store_i8x4(i8, x, x, x, x) } -> std::same_as<void>;
};

// The primitives of 16-bit sums. I16 holds 2 * lanes sums, two for each lane of I32.
template <class S>
concept Sums16Simd = Simd<S> && requires(typename S::I16 sums, typename S::I8 bytes,
                                         const std::int16_t* p) {
    { S::zero_i16() } -> std::same_as<typename S::I16>;
    { S::load_i16(p) } -> std::same_as<typename S::I16>;
    { S::madd_pairs(sums, bytes, bytes) } -> std::same_as<typename S::I16>;
    { S::add_pairs(sums) } -> std::same_as<typename S::I32>;
};

// A dot product with one quad of a vector of four, so that a row is loaded once for 4 quads.
template <class S>
concept QuadSimd = Simd<S> && requires(typename S::I32 acc, typename S::I8 bytes, const std::uint8_t* a,
                                       const std::int8_t* b) {
    // 16 bytes of a row, less a_zero_point.
    { S::load_quads(a) } -> std::same_as<typename S::I8>;
    // The pointer p, from which the compiler loads once x is computed: GCC 12 would load the operands of several
    // quads at once, and spill accumulators.
    { S::after(acc, b) } -> std::same_as<const std::int8_t*>;
    // dot4 with quad 0 to 3 of the first operand, in every lane.
    { S::template dot4_quad<3>(acc, bytes, bytes) } -> std::same_as<typename S::I32>;
};

// The primitives of products of 2 rows, 8 inputs and 2 outputs. An I32 holds their 4 sums, row by row.
template <class S>
concept RowPairSimd = Simd<S> && requires(typename S::I32 acc, typename S::I8 bytes, const std::uint8_t* a) {
    requires S::lanes == 4;
    // 8 bytes of each of 2 rows, less a_zero_point.
    { S::load_rows(a, a) } -> std::same_as<typename S::I8>;
    // acc[i][j] + sum over k of a[i][k] b[j][k], for 2 rows i, 2 outputs j and 8 inputs k.
    { S::dot8x2x2(acc, bytes, bytes) } -> std::same_as<typename S::I32>;
    // The 4 outputs of one row, from the sums of 2 rows and 2 outputs each.
    { S::first_rows(acc, acc) } -> std::same_as<typename S::I32>;
    { S::second_rows(acc, acc) } -> std::same_as<typename S::I32>;
};
// clang-format on

// Adjacent inputs of one output in packed int8 weights: what a lane of one instruction multiplies.
template <class S>
inline constexpr int int8_block = RowPairSimd<S> ? 8 : 4;

}  // namespace bothways
