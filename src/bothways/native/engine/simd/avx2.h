// The primitives in AVX2 with FMA, and its int8 dot products with and without AVX-VNNI.
// What each does is said in plain.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace bothways {
namespace {

struct Avx2 {
    static constexpr const char* name = "avx2";

    using V = __m256;
    static constexpr int lanes = 8;
    static constexpr int tile_rows = 6;
    static constexpr int tile_vectors = 2;

    static __m256i lane_numbers() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
    static __m256i first_lanes(int n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane_numbers());
    }
    static V zero() { return _mm256_setzero_ps(); }
    static V set(float a) { return _mm256_set1_ps(a); }
    static V load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, V a) { _mm256_storeu_ps(p, a); }
    static V load_first(const float* p, int n) { return _mm256_maskload_ps(p, first_lanes(n)); }
    static void store_first(float* p, V a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a); }
    static V add(V a, V b) { return _mm256_add_ps(a, b); }
    static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
    static V mul(V a, V b) { return _mm256_mul_ps(a, b); }
    static V div(V a, V b) { return _mm256_div_ps(a, b); }
    static V min(V a, V b) { return _mm256_min_ps(a, b); }
    static V max(V a, V b) { return _mm256_max_ps(a, b); }
    static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
    static V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }
    static V round(V a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    static V fraction(V a) { return sub(a, _mm256_floor_ps(a)); }
    static V not_vanishing(V a) { return max(a, set(-127)); }
    static V scale_by_power(V a, V x) {
        __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_floor_ps(x)), _mm256_set1_epi32(127));
        return mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
    }
    static V zero_below(V y, V x, float limit) {
        return _mm256_and_ps(y, _mm256_cmp_ps(x, set(limit), _CMP_GE_OQ));
    }
    static V keep_between(V x, int first, int last, float other) {
        __m256i keep = _mm256_andnot_si256(first_lanes(first), first_lanes(last));
        return _mm256_blendv_ps(set(other), x, _mm256_castsi256_ps(keep));
    }
    static void transpose(V (&row)[lanes]) {
        V t[lanes];
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
    static __m128 halves(V a, __m128 (*join)(__m128, __m128)) {
        __m128 four = join(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        __m128 two = join(four, _mm_movehl_ps(four, four));
        return join(two, _mm_shuffle_ps(two, two, 1));
    }
    static float sum(V a) {
        return _mm_cvtss_f32(halves(a, [](__m128 x, __m128 y) { return _mm_add_ps(x, y); }));
    }
    static float largest(V a) {
        return _mm_cvtss_f32(halves(a, [](__m128 x, __m128 y) { return _mm_max_ps(x, y); }));
    }
    static float smallest(V a) {
        return _mm_cvtss_f32(halves(a, [](__m128 x, __m128 y) { return _mm_min_ps(x, y); }));
    }

    using I = __m256i;
    static constexpr int dot_rows = 4;
    static constexpr int dot_vectors = 2;
    static constexpr int code_shift = 0;
    static constexpr bool has_dot = false;
    static I izero() { return _mm256_setzero_si256(); }
    static I four_codes(const std::uint8_t* a) {
        std::int32_t four;
        __builtin_memcpy(&four, a, 4);
        return _mm256_set1_epi32(four);
    }
    static I weights(const std::int8_t* b) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)); }
    // Without VNNI: widened to 16 bits, because the 8-bit multiply-add saturates.
    static I dot(I sum, I codes, I weights) {
        I even = _mm256_and_si256(codes, _mm256_set1_epi16(0xff));
        I odd = _mm256_srli_epi16(codes, 8);
        I weights_even = _mm256_srai_epi16(_mm256_slli_epi16(weights, 8), 8);
        I weights_odd = _mm256_srai_epi16(weights, 8);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, weights_even));
        return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, weights_odd));
    }
    static V to_float(I a) { return _mm256_cvtepi32_ps(a); }
    static void store_codes(std::uint8_t* p, V a) {
        __m256i whole = _mm256_cvtps_epi32(a);
        __m128i words =
            _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
    }
    static void store_quads(std::int8_t* p, V a, V b, V c, V d) {
        const __m256i low = _mm256_set1_epi32(0xff);
        const __m256i ab = _mm256_or_si256(_mm256_and_si256(_mm256_cvtps_epi32(a), low),
                                           _mm256_slli_epi32(_mm256_and_si256(_mm256_cvtps_epi32(b), low), 8));
        const __m256i cd = _mm256_or_si256(_mm256_and_si256(_mm256_cvtps_epi32(c), low),
                                           _mm256_slli_epi32(_mm256_cvtps_epi32(d), 8));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_or_si256(ab, _mm256_slli_epi32(cd, 16)));
    }
};

#ifdef __AVXVNNI__
struct Avx2Vnni : Avx2 {
    static constexpr const char* name = "avx2vnni";
    static constexpr bool has_dot = true;
    static constexpr int dot_rows = 4;
    // As assembly where the compiler reads it: from the intrinsic, GCC 12 moves the sums to memory and
    // back, at less than half the speed.
    static I dot(I sum, I codes, I weights) {
#if defined(__GNUC__) || defined(__clang__)
        asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(codes), "x"(weights));
        return sum;
#else
        return _mm256_dpbusd_avx_epi32(sum, codes, weights);
#endif
    }
};
#endif

}  // namespace
}  // namespace bothways
