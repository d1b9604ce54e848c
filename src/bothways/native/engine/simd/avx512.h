// The primitives in AVX-512 (F, BW, DQ, VL), and its int8 dot products with and without VNNI.
// simd.h lists the primitives; plain.h defines what each one computes.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "../int8_scheme.h"

namespace bothways {
namespace {

struct Avx512 {
    static constexpr const char* name = "avx512";

    using F32 = __m512;
    static constexpr int lanes = 16;
    static constexpr int MR = 14;
    static constexpr int NR = 2;

    static __mmask16 lane_mask(int n) { return static_cast<__mmask16>((1u << n) - 1); }
    static F32 zero() { return _mm512_setzero_ps(); }
    static F32 broadcast(float a) { return _mm512_set1_ps(a); }
    static F32 load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, F32 a) { _mm512_storeu_ps(p, a); }
    static F32 load_partial(const float* p, int n) { return _mm512_maskz_loadu_ps(lane_mask(n), p); }
    static void store_partial(float* p, F32 a, int n) { _mm512_mask_storeu_ps(p, lane_mask(n), a); }
    static F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
    static F32 sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
    static F32 mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
    static F32 div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
    static F32 min(F32 a, F32 b) { return _mm512_min_ps(a, b); }
    static F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
    static F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
    static F32 fnma(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a, b, c); }
    static F32 round(F32 a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT); }
    static F32 fract(F32 a) { return _mm512_reduce_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
    static F32 clamp_exp2_arg(F32 a) { return a; }
    static F32 ldexp(F32 a, F32 x) { return _mm512_scalef_ps(a, x); }
    static F32 zero_below(F32 y, F32 x, float limit) {
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, broadcast(limit), _CMP_GE_OQ), y);
    }
    static F32 blend_range(F32 x, int first, int last, float other) {
        __mmask16 keep = static_cast<__mmask16>(lane_mask(last) & ~lane_mask(first));
        return _mm512_mask_mov_ps(broadcast(other), keep, x);
    }
    static F32 pairs(__m512d a) { return _mm512_castpd_ps(a); }
    static __m512d doubles(F32 a) { return _mm512_castps_pd(a); }
    // Transposes 2 x 2 blocks, then 4 x 4 blocks, then the 4 x 4 grid of those.
    static void transpose(F32 (&row)[lanes]) {
        F32 t[lanes];
        for (int i = 0; i < lanes; i += 2) {
            t[i] = _mm512_unpacklo_ps(row[i], row[i + 1]);
            t[i + 1] = _mm512_unpackhi_ps(row[i], row[i + 1]);
        }
        for (int i = 0; i < lanes; i += 4)
            for (int j = 0; j < 2; ++j) {
                row[i + 2 * j] = pairs(_mm512_unpacklo_pd(doubles(t[i + j]), doubles(t[i + j + 2])));
                row[i + 2 * j + 1] = pairs(_mm512_unpackhi_pd(doubles(t[i + j]), doubles(t[i + j + 2])));
            }
        for (int j = 0; j < 4; ++j) {
            const F32 low = _mm512_shuffle_f32x4(row[j], row[j + 4], 0x88);
            const F32 high = _mm512_shuffle_f32x4(row[j + 8], row[j + 12], 0x88);
            const F32 low_odd = _mm512_shuffle_f32x4(row[j], row[j + 4], 0xdd);
            const F32 high_odd = _mm512_shuffle_f32x4(row[j + 8], row[j + 12], 0xdd);
            t[j] = _mm512_shuffle_f32x4(low, high, 0x88);
            t[j + 8] = _mm512_shuffle_f32x4(low, high, 0xdd);
            t[j + 4] = _mm512_shuffle_f32x4(low_odd, high_odd, 0x88);
            t[j + 12] = _mm512_shuffle_f32x4(low_odd, high_odd, 0xdd);
        }
        for (int i = 0; i < lanes; ++i) row[i] = t[i];
    }
    static float reduce_add(F32 a) { return _mm512_reduce_add_ps(a); }
    static float reduce_max(F32 a) { return _mm512_reduce_max_ps(a); }
    static float reduce_min(F32 a) { return _mm512_reduce_min_ps(a); }

    using I32 = __m512i;
    using I8 = __m512i;
    static constexpr int MR_INT8 = 12;
    static constexpr int NR_INT8 = 2;
    static constexpr int a_zero_point = 0;
    static constexpr bool has_dot4 = false;
    static constexpr bool has_dot2 = true;
    static I32 zero_i32() { return _mm512_setzero_si512(); }
    static I8 broadcast4(const std::uint8_t* a) {
        std::int32_t four;
        std::memcpy(&four, a, 4);
        return _mm512_set1_epi32(four);
    }
    static I8 load_i8(const std::int8_t* b) { return _mm512_loadu_si512(b); }
    // Without VNNI, widen to 16 bits first, because vpmaddubsw saturates.
    static I32 dot4(I32 acc, I8 a, I8 b) {
        I32 a_even = _mm512_and_si512(a, _mm512_set1_epi16(0xff));
        I32 a_odd = _mm512_srli_epi16(a, 8);
        I32 b_even = _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8);
        I32 b_odd = _mm512_srai_epi16(b, 8);
        acc = _mm512_add_epi32(acc, _mm512_madd_epi16(a_even, b_even));
        return _mm512_add_epi32(acc, _mm512_madd_epi16(a_odd, b_odd));
    }
    static constexpr Int8Scheme int8_scheme = Int8Scheme::sums16;
    using I16 = __m512i;
    static I16 zero_i16() { return _mm512_setzero_si512(); }
    static I16 load_i16(const std::int16_t* p) { return _mm512_loadu_si512(p); }
    // Inline assembly where the compiler supports it: from the intrinsics, GCC 12 spills the accumulators.
    static I16 madd_pairs(I16 acc, I8 a, I8 b) {
#if defined(__GNUC__) || defined(__clang__)
        I16 pairs;
        asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+v"(acc), "=&v"(pairs) : "v"(a), "v"(b));
        return acc;
#else
        return _mm512_add_epi16(acc, _mm512_maddubs_epi16(a, b));
#endif
    }
    static I32 add_pairs(I16 a) { return _mm512_madd_epi16(a, _mm512_set1_epi16(1)); }
    static I16 broadcast2(const std::int16_t* a) {
        std::int32_t two;
        std::memcpy(&two, a, 4);
        return _mm512_set1_epi32(two);
    }
    // Inline assembly for the same reason.
    static I32 dot2(I32 acc, I16 a, I16 b) {
#if defined(__GNUC__) || defined(__clang__)
        I32 pairs;
        asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(acc), "=&v"(pairs) : "v"(a), "v"(b));
        return acc;
#else
        return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
#endif
    }
    static F32 to_float(I32 a) { return _mm512_cvtepi32_ps(a); }
    static void store_u8_sat(std::uint8_t* p, F32 a) {
        __m512i rounded = _mm512_max_epi32(_mm512_cvtps_epi32(a), _mm512_setzero_si512());
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(rounded));
    }
    static void store_i8x4(std::int8_t* p, F32 a, F32 b, F32 c, F32 d) {
        const __m512i low = _mm512_set1_epi32(0xff);
        const __m512i ab = _mm512_or_si512(_mm512_and_si512(_mm512_cvtps_epi32(a), low),
                                           _mm512_slli_epi32(_mm512_and_si512(_mm512_cvtps_epi32(b), low), 8));
        const __m512i cd = _mm512_or_si512(_mm512_and_si512(_mm512_cvtps_epi32(c), low),
                                           _mm512_slli_epi32(_mm512_cvtps_epi32(d), 8));
        _mm512_storeu_si512(p, _mm512_or_si512(ab, _mm512_slli_epi32(cd, 16)));
    }
    static void store_i16(std::int16_t* p, F32 a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(a)));
    }
    static void store_i16x2(std::int16_t* p, F32 a, F32 b) {
        const __m512i low = _mm512_and_si512(_mm512_cvtps_epi32(a), _mm512_set1_epi32(0xffff));
        _mm512_storeu_si512(p, _mm512_or_si512(low, _mm512_slli_epi32(_mm512_cvtps_epi32(b), 16)));
    }
};

#ifdef BOTHWAYS_ISA_AVX512VNNI
struct Avx512Vnni : Avx512 {
    static constexpr const char* name = "avx512vnni";
    static constexpr int MR_INT8 = 4;
    static constexpr int NR_INT8 = 4;
    static constexpr bool has_dot4 = true;
    static constexpr Int8Scheme int8_scheme = Int8Scheme::sums32;
    // Inline assembly where the compiler supports it: with the intrinsic, GCC 12 spills the accumulators,
    // which halves the speed.
    static I32 dot4(I32 acc, I8 a, I8 b) {
#if defined(__GNUC__) || defined(__clang__)
        asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
        return acc;
#else
        return _mm512_dpbusd_epi32(acc, a, b);
#endif
    }
    static I32 dot2(I32 acc, I16 a, I16 b) {
#if defined(__GNUC__) || defined(__clang__)
        asm("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
        return acc;
#else
        return _mm512_dpwssd_epi32(acc, a, b);
#endif
    }
};
#endif

}  // namespace
}  // namespace bothways
