// The primitives in AVX-512 (F, BW, DQ, VL), and its int8 dot products with and without VNNI.
// What each does is said in plain.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace bothways {
namespace {

struct Avx512 {
    static constexpr const char* name = "avx512";

    using V = __m512;
    static constexpr int lanes = 16;
    static constexpr int tile_rows = 14;
    static constexpr int tile_vectors = 2;

    static __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }
    static V zero() { return _mm512_setzero_ps(); }
    static V set(float a) { return _mm512_set1_ps(a); }
    static V load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, V a) { _mm512_storeu_ps(p, a); }
    static V load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
    static void store_first(float* p, V a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a); }
    static V add(V a, V b) { return _mm512_add_ps(a, b); }
    static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
    static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
    static V div(V a, V b) { return _mm512_div_ps(a, b); }
    static V min(V a, V b) { return _mm512_min_ps(a, b); }
    static V max(V a, V b) { return _mm512_max_ps(a, b); }
    static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
    static V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }
    static V round(V a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT); }
    static V fraction(V a) { return _mm512_reduce_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
    static V not_vanishing(V a) { return a; }
    static V scale_by_power(V a, V x) { return _mm512_scalef_ps(a, x); }
    static V zero_below(V y, V x, float limit) {
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, set(limit), _CMP_GE_OQ), y);
    }
    static V keep_between(V x, int first, int last, float other) {
        __mmask16 keep = static_cast<__mmask16>(first_lanes(last) & ~first_lanes(first));
        return _mm512_mask_mov_ps(set(other), keep, x);
    }
    static V pairs(__m512d a) { return _mm512_castpd_ps(a); }
    static __m512d doubles(V a) { return _mm512_castps_pd(a); }
    // In squares of 2, of 4, then of squares of 4.
    static void transpose(V (&row)[lanes]) {
        V t[lanes];
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
            const V low = _mm512_shuffle_f32x4(row[j], row[j + 4], 0x88);
            const V high = _mm512_shuffle_f32x4(row[j + 8], row[j + 12], 0x88);
            const V low_odd = _mm512_shuffle_f32x4(row[j], row[j + 4], 0xdd);
            const V high_odd = _mm512_shuffle_f32x4(row[j + 8], row[j + 12], 0xdd);
            t[j] = _mm512_shuffle_f32x4(low, high, 0x88);
            t[j + 8] = _mm512_shuffle_f32x4(low, high, 0xdd);
            t[j + 4] = _mm512_shuffle_f32x4(low_odd, high_odd, 0x88);
            t[j + 12] = _mm512_shuffle_f32x4(low_odd, high_odd, 0xdd);
        }
        for (int i = 0; i < lanes; ++i) row[i] = t[i];
    }
    static float sum(V a) { return _mm512_reduce_add_ps(a); }
    static float largest(V a) { return _mm512_reduce_max_ps(a); }
    static float smallest(V a) { return _mm512_reduce_min_ps(a); }

    using I = __m512i;
    static constexpr int dot_rows = 4;
    static constexpr int dot_vectors = 4;
    static constexpr int code_shift = 0;
    static constexpr bool has_dot = false;
    static I izero() { return _mm512_setzero_si512(); }
    static I four_codes(const std::uint8_t* a) {
        std::int32_t four;
        __builtin_memcpy(&four, a, 4);
        return _mm512_set1_epi32(four);
    }
    static I weights(const std::int8_t* b) { return _mm512_loadu_si512(b); }
    // Without VNNI: widened to 16 bits, because the 8-bit multiply-add saturates.
    static I dot(I sum, I codes, I weights) {
        I even = _mm512_and_si512(codes, _mm512_set1_epi16(0xff));
        I odd = _mm512_srli_epi16(codes, 8);
        I weights_even = _mm512_srai_epi16(_mm512_slli_epi16(weights, 8), 8);
        I weights_odd = _mm512_srai_epi16(weights, 8);
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(even, weights_even));
        return _mm512_add_epi32(sum, _mm512_madd_epi16(odd, weights_odd));
    }
    static V to_float(I a) { return _mm512_cvtepi32_ps(a); }
    static void store_codes(std::uint8_t* p, V a) {
        __m512i whole = _mm512_max_epi32(_mm512_cvtps_epi32(a), _mm512_setzero_si512());
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(whole));
    }
    static void store_quads(std::int8_t* p, V a, V b, V c, V d) {
        const __m512i low = _mm512_set1_epi32(0xff);
        const __m512i ab = _mm512_or_si512(_mm512_and_si512(_mm512_cvtps_epi32(a), low),
                                           _mm512_slli_epi32(_mm512_and_si512(_mm512_cvtps_epi32(b), low), 8));
        const __m512i cd = _mm512_or_si512(_mm512_and_si512(_mm512_cvtps_epi32(c), low),
                                           _mm512_slli_epi32(_mm512_cvtps_epi32(d), 8));
        _mm512_storeu_si512(p, _mm512_or_si512(ab, _mm512_slli_epi32(cd, 16)));
    }
};

#ifdef __AVX512VNNI__
struct Avx512Vnni : Avx512 {
    static constexpr const char* name = "avx512vnni";
    static constexpr bool has_dot = true;
    // As assembly where the compiler reads it: from the intrinsic, GCC 12 moves the sums to memory and
    // back, at less than half the speed.
    static I dot(I sum, I codes, I weights) {
#if defined(__GNUC__) || defined(__clang__)
        asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
        return sum;
#else
        return _mm512_dpbusd_epi32(sum, codes, weights);
#endif
    }
};
#endif

}  // namespace
}  // namespace bothways
