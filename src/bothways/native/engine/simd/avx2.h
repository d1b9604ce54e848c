// The primitives in AVX2 with FMA, and its int8 dot products with and without AVX-VNNI.
// simd.h lists the primitives; plain.h defines what each one computes.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "../int8_scheme.h"

namespace bothways {
namespace {

struct Avx2 {
    static constexpr const char* name = "avx2";

    using F32 = __m256;
    static constexpr int lanes = 8;
    static constexpr int MR = 6;
    static constexpr int NR = 2;

    static __m256i lane_index() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
    static __m256i lane_mask(int n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane_index());
    }
    static F32 zero() { return _mm256_setzero_ps(); }
    static F32 broadcast(float a) { return _mm256_set1_ps(a); }
    static F32 load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, F32 a) { _mm256_storeu_ps(p, a); }
    static F32 load_partial(const float* p, int n) { return _mm256_maskload_ps(p, lane_mask(n)); }
    static void store_partial(float* p, F32 a, int n) { _mm256_maskstore_ps(p, lane_mask(n), a); }
    static F32 add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
    static F32 sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
    static F32 mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
    static F32 div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
    static F32 min(F32 a, F32 b) { return _mm256_min_ps(a, b); }
    static F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
    static F32 fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
    static F32 fnma(F32 a, F32 b, F32 c) { return _mm256_fnmadd_ps(a, b, c); }
    static F32 round(F32 a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    static F32 fract(F32 a) { return sub(a, _mm256_floor_ps(a)); }
    static F32 clamp_exp2_arg(F32 a) { return max(a, broadcast(-127)); }
    static F32 ldexp(F32 a, F32 x) {
        __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_floor_ps(x)), _mm256_set1_epi32(127));
        return mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
    }
    static F32 zero_below(F32 y, F32 x, float limit) {
        return _mm256_and_ps(y, _mm256_cmp_ps(x, broadcast(limit), _CMP_GE_OQ));
    }
    static F32 blend_range(F32 x, int first, int last, float other) {
        __m256i keep = _mm256_andnot_si256(lane_mask(first), lane_mask(last));
        return _mm256_blendv_ps(broadcast(other), x, _mm256_castsi256_ps(keep));
    }
    static void transpose(F32 (&row)[lanes]) {
        F32 t[lanes];
        for (int i = 0; i < lanes; i += 2) {
            t[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
            t[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
        }
        for (int i = 0; i < lanes; i += 4)
            for (int j = 0; j < 2; ++j) {
                row[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
                row[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0xee);
            }
        for (int j = 0; j < 4; ++j) {
            t[j] = _mm256_permute2f128_ps(row[j], row[j + 4], 0x20);
            t[j + 4] = _mm256_permute2f128_ps(row[j], row[j + 4], 0x31);
        }
        for (int i = 0; i < lanes; ++i) row[i] = t[i];
    }
    static __m128 reduce(F32 a, __m128 (*op)(__m128, __m128)) {
        __m128 four = op(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        __m128 two = op(four, _mm_movehl_ps(four, four));
        return op(two, _mm_shuffle_ps(two, two, 1));
    }
    static float reduce_add(F32 a) {
        return _mm_cvtss_f32(reduce(a, [](__m128 x, __m128 y) { return _mm_add_ps(x, y); }));
    }
    static float reduce_max(F32 a) {
        return _mm_cvtss_f32(reduce(a, [](__m128 x, __m128 y) { return _mm_max_ps(x, y); }));
    }
    static float reduce_min(F32 a) {
        return _mm_cvtss_f32(reduce(a, [](__m128 x, __m128 y) { return _mm_min_ps(x, y); }));
    }

    using I32 = __m256i;
    using I8 = __m256i;
    static constexpr int MR_INT8 = 6;
    static constexpr int NR_INT8 = 2;
    static constexpr int a_zero_point = 0;
    static constexpr bool has_dot4 = false;
    static constexpr bool has_dot2 = true;
    static I32 zero_i32() { return _mm256_setzero_si256(); }
    static I8 broadcast4(const std::uint8_t* a) {
        std::int32_t four;
        std::memcpy(&four, a, 4);
        return _mm256_set1_epi32(four);
    }
    static I8 load_i8(const std::int8_t* b) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)); }
    // Without VNNI, widen to 16 bits first, because vpmaddubsw saturates.
    static I32 dot4(I32 acc, I8 a, I8 b) {
        I32 a_even = _mm256_and_si256(a, _mm256_set1_epi16(0xff));
        I32 a_odd = _mm256_srli_epi16(a, 8);
        I32 b_even = _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8);
        I32 b_odd = _mm256_srai_epi16(b, 8);
        acc = _mm256_add_epi32(acc, _mm256_madd_epi16(a_even, b_even));
        return _mm256_add_epi32(acc, _mm256_madd_epi16(a_odd, b_odd));
    }
    static constexpr Int8Scheme int8_scheme = Int8Scheme::sums16;
    using I16 = __m256i;
    static I16 zero_i16() { return _mm256_setzero_si256(); }
    static I16 load_i16(const std::int16_t* p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    // Inline assembly where the compiler supports it: from the intrinsics, GCC 12 spills the accumulators.
    static I16 madd_pairs(I16 acc, I8 a, I8 b) {
#if defined(__GNUC__) || defined(__clang__)
        I16 pairs;
        asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(acc), "=&x"(pairs) : "x"(a), "x"(b));
        return acc;
#else
        return _mm256_add_epi16(acc, _mm256_maddubs_epi16(a, b));
#endif
    }
    static I32 add_pairs(I16 a) { return _mm256_madd_epi16(a, _mm256_set1_epi16(1)); }
    static I16 broadcast2(const std::int16_t* a) {
        std::int32_t two;
        std::memcpy(&two, a, 4);
        return _mm256_set1_epi32(two);
    }
    // Inline assembly for the same reason.
    static I32 dot2(I32 acc, I16 a, I16 b) {
#if defined(__GNUC__) || defined(__clang__)
        I32 pairs;
        asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(pairs) : "x"(a), "x"(b));
        return acc;
#else
        return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
#endif
    }
    static F32 to_float(I32 a) { return _mm256_cvtepi32_ps(a); }
    static void store_u8_sat(std::uint8_t* p, F32 a) {
        __m256i rounded = _mm256_cvtps_epi32(a);
        __m128i words =
            _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
    }
    static void store_i8x4(std::int8_t* p, F32 a, F32 b, F32 c, F32 d) {
        const __m256i low = _mm256_set1_epi32(0xff);
        const __m256i ab = _mm256_or_si256(_mm256_and_si256(_mm256_cvtps_epi32(a), low),
                                           _mm256_slli_epi32(_mm256_and_si256(_mm256_cvtps_epi32(b), low), 8));
        const __m256i cd = _mm256_or_si256(_mm256_and_si256(_mm256_cvtps_epi32(c), low),
                                           _mm256_slli_epi32(_mm256_cvtps_epi32(d), 8));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_or_si256(ab, _mm256_slli_epi32(cd, 16)));
    }
    static void store_i16(std::int16_t* p, F32 a) {
        const __m256i rounded = _mm256_cvtps_epi32(a);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi32(_mm256_castsi256_si128(rounded),
                                                                        _mm256_extracti128_si256(rounded, 1)));
    }
    static void store_i16x2(std::int16_t* p, F32 a, F32 b) {
        const __m256i low = _mm256_and_si256(_mm256_cvtps_epi32(a), _mm256_set1_epi32(0xffff));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm256_or_si256(low, _mm256_slli_epi32(_mm256_cvtps_epi32(b), 16)));
    }
};

#ifdef BOTHWAYS_ISA_AVX2VNNI
struct Avx2Vnni : Avx2 {
    static constexpr const char* name = "avx2vnni";
    static constexpr int MR_INT8 = 4;
    static constexpr bool has_dot4 = true;
    static constexpr Int8Scheme int8_scheme = Int8Scheme::sums32;
    // Inline assembly where the compiler supports it: with the intrinsic, GCC 12 spills the accumulators,
    // which halves the speed.
    static I32 dot4(I32 acc, I8 a, I8 b) {
#if defined(__GNUC__) || defined(__clang__)
        asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
        return acc;
#else
        return _mm256_dpbusd_avx_epi32(acc, a, b);
#endif
    }
    static I32 dot2(I32 acc, I16 a, I16 b) {
#if defined(__GNUC__) || defined(__clang__)
        asm("%{vex%} vpdpwssd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
        return acc;
#else
        return _mm256_dpwssd_avx_epi32(acc, a, b);
#endif
    }
};
#endif

}  // namespace
}  // namespace bothways
