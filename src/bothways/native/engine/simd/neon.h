// The primitives in NEON (AArch64), and its int8 dot products with and without the dot product
// extension. What each does is said in plain.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace bothways {
namespace {

struct Neon {
    static constexpr const char* name = "neon";

    using V = float32x4_t;
    static constexpr int lanes = 4;
    static constexpr int tile_rows = 8;
    static constexpr int tile_vectors = 3;

    static V zero() { return vdupq_n_f32(0); }
    static V set(float a) { return vdupq_n_f32(a); }
    static V load(const float* p) { return vld1q_f32(p); }
    static void store(float* p, V a) { vst1q_f32(p, a); }
    static V load_first(const float* p, int n) {
        float four[4] = {0, 0, 0, 0};
        std::memcpy(four, p, sizeof(float) * static_cast<unsigned>(n));
        return vld1q_f32(four);
    }
    static void store_first(float* p, V a, int n) {
        float four[4];
        vst1q_f32(four, a);
        std::memcpy(p, four, sizeof(float) * static_cast<unsigned>(n));
    }
    static V add(V a, V b) { return vaddq_f32(a, b); }
    static V sub(V a, V b) { return vsubq_f32(a, b); }
    static V mul(V a, V b) { return vmulq_f32(a, b); }
    static V div(V a, V b) { return vdivq_f32(a, b); }
    static V min(V a, V b) { return vminq_f32(a, b); }
    static V max(V a, V b) { return vmaxq_f32(a, b); }
    static V fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
    static V fnma(V a, V b, V c) { return vfmsq_f32(c, a, b); }
    static V round(V a) { return vrndnq_f32(a); }
    static V fraction(V a) { return sub(a, vrndmq_f32(a)); }
    static V not_vanishing(V a) { return max(a, set(-127)); }
    static V scale_by_power(V a, V x) {
        int32x4_t exponent = vaddq_s32(vcvtmq_s32_f32(x), vdupq_n_s32(127));
        return mul(a, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
    }
    static V zero_below(V y, V x, float limit) {
        uint32x4_t keep = vcgeq_f32(x, set(limit));
        return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(y), keep));
    }
    static V keep_between(V x, int first, int last, float other) {
        const std::int32_t numbers[4] = {0, 1, 2, 3};
        int32x4_t lane = vld1q_s32(numbers);
        uint32x4_t keep =
            vandq_u32(vcgeq_s32(lane, vdupq_n_s32(first)), vcltq_s32(lane, vdupq_n_s32(last)));
        return vbslq_f32(keep, x, set(other));
    }
    static void transpose(V (&row)[lanes]) {
        const float32x4x2_t a = vtrnq_f32(row[0], row[1]), b = vtrnq_f32(row[2], row[3]);
        row[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
        row[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
        row[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
        row[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
    }
    static float sum(V a) { return vaddvq_f32(a); }
    static float largest(V a) { return vmaxvq_f32(a); }
    static float smallest(V a) { return vminvq_f32(a); }

    using I = int32x4_t;
    static constexpr int dot_rows = 4;
    static constexpr int dot_vectors = 4;
    static constexpr int code_shift = -128;
    static constexpr bool has_dot = false;
    static I izero() { return vdupq_n_s32(0); }
    static int8x16_t four_codes(const std::uint8_t* a) {
        std::uint32_t four;
        std::memcpy(&four, a, 4);
        return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
    }
    static int8x16_t weights(const std::int8_t* b) { return vld1q_s8(b); }
    static I dot(I sum, int8x16_t codes, int8x16_t weights) {
        int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(weights));
        int16x8_t high = vmull_high_s8(codes, weights);
        return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
    }
    static V to_float(I a) { return vcvtq_f32_s32(a); }
    static void store_codes(std::uint8_t* p, V a) {
        uint16x4_t words = vqmovun_s32(vcvtnq_s32_f32(a));
        uint8x8_t bytes = vqmovn_u16(vcombine_u16(words, words));
        vst1_lane_u32(reinterpret_cast<std::uint32_t*>(p), vreinterpret_u32_u8(bytes), 0);
    }
    static void store_quads(std::int8_t* p, V a, V b, V c, V d) {
        // Each shift leaves the lower bits as they are.
        int32x4_t quads = vcvtnq_s32_f32(a);
        quads = vsliq_n_s32(quads, vcvtnq_s32_f32(b), 8);
        quads = vsliq_n_s32(quads, vcvtnq_s32_f32(c), 16);
        quads = vsliq_n_s32(quads, vcvtnq_s32_f32(d), 24);
        vst1q_s8(p, vreinterpretq_s8_s32(quads));
    }
};

#ifdef __ARM_FEATURE_DOTPROD
struct NeonDot : Neon {
    static constexpr const char* name = "neondot";
    static constexpr bool has_dot = true;
    static constexpr int dot_rows = 4;
    static I dot(I sum, int8x16_t codes, int8x16_t weights) { return vdotq_s32(sum, codes, weights); }
};
#endif

}  // namespace
}  // namespace bothways
