// The primitives in NEON (AArch64), and its int8 products: without an extension, with dot products, and with
// products of matrices (i8mm). simd.h lists the primitives; plain.h defines what each one computes.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "../int8_scheme.h"

namespace bothways {
namespace {

struct Neon {
    static constexpr const char* name = "neon";

    using F32 = float32x4_t;
    static constexpr int lanes = 4;
    static constexpr int MR = 7;
    static constexpr int NR = 3;

    static F32 zero() { return vdupq_n_f32(0); }
    static F32 broadcast(float a) { return vdupq_n_f32(a); }
    static F32 load(const float* p) { return vld1q_f32(p); }
    static void store(float* p, F32 a) { vst1q_f32(p, a); }
    static F32 load_partial(const float* p, int n) {
        float four[4] = {0, 0, 0, 0};
        std::memcpy(four, p, sizeof(float) * static_cast<unsigned>(n));
        return vld1q_f32(four);
    }
    static void store_partial(float* p, F32 a, int n) {
        float four[4];
        vst1q_f32(four, a);
        std::memcpy(p, four, sizeof(float) * static_cast<unsigned>(n));
    }
    static F32 add(F32 a, F32 b) { return vaddq_f32(a, b); }
    static F32 sub(F32 a, F32 b) { return vsubq_f32(a, b); }
    static F32 mul(F32 a, F32 b) { return vmulq_f32(a, b); }
    static F32 div(F32 a, F32 b) { return vdivq_f32(a, b); }
    static F32 min(F32 a, F32 b) { return vminq_f32(a, b); }
    static F32 max(F32 a, F32 b) { return vmaxq_f32(a, b); }
    static F32 fma(F32 a, F32 b, F32 c) { return vfmaq_f32(c, a, b); }
    static F32 fnma(F32 a, F32 b, F32 c) { return vfmsq_f32(c, a, b); }
    static F32 round(F32 a) { return vrndnq_f32(a); }
    static F32 fract(F32 a) { return sub(a, vrndmq_f32(a)); }
    static F32 clamp_exp2_arg(F32 a) { return max(a, broadcast(-127)); }
    static F32 ldexp(F32 a, F32 x) {
        int32x4_t exponent = vaddq_s32(vcvtmq_s32_f32(x), vdupq_n_s32(127));
        return mul(a, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
    }
    static F32 zero_below(F32 y, F32 x, float limit) {
        uint32x4_t keep = vcgeq_f32(x, broadcast(limit));
        return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(y), keep));
    }
    static F32 blend_range(F32 x, int first, int last, float other) {
        const std::int32_t numbers[4] = {0, 1, 2, 3};
        int32x4_t lane = vld1q_s32(numbers);
        uint32x4_t keep =
            vandq_u32(vcgeq_s32(lane, vdupq_n_s32(first)), vcltq_s32(lane, vdupq_n_s32(last)));
        return vbslq_f32(keep, x, broadcast(other));
    }
    static void transpose(F32 (&row)[lanes]) {
        const float32x4x2_t a = vtrnq_f32(row[0], row[1]), b = vtrnq_f32(row[2], row[3]);
        row[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
        row[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
        row[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
        row[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
    }
    static float reduce_add(F32 a) { return vaddvq_f32(a); }
    static float reduce_max(F32 a) { return vmaxvq_f32(a); }
    static float reduce_min(F32 a) { return vminvq_f32(a); }

    using I32 = int32x4_t;
    using I8 = int8x16_t;
    static constexpr int MR_INT8 = 4;
    static constexpr int NR_INT8 = 4;
    static constexpr int a_zero_point = 128;
    static constexpr bool has_dot4 = false;
    static constexpr Int8Scheme int8_scheme = Int8Scheme::sums32;
    static I32 zero_i32() { return vdupq_n_s32(0); }
    static I8 broadcast4(const std::uint8_t* a) {
        std::uint32_t four;
        std::memcpy(&four, a, 4);
        return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
    }
    static I8 load_i8(const std::int8_t* b) { return vld1q_s8(b); }
    static I32 dot4(I32 acc, I8 a, I8 b) {
        int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
        int16x8_t high = vmull_high_s8(a, b);
        return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
    }
    static F32 to_float(I32 a) { return vcvtq_f32_s32(a); }
    static void store_u8_sat(std::uint8_t* p, F32 a) {
        uint16x4_t words = vqmovun_s32(vcvtnq_s32_f32(a));
        uint8x8_t bytes = vqmovn_u16(vcombine_u16(words, words));
        vst1_lane_u32(reinterpret_cast<std::uint32_t*>(p), vreinterpret_u32_u8(bytes), 0);
    }
    static void store_i8x4(std::int8_t* p, F32 a, F32 b, F32 c, F32 d) {
        // vsli shifts left and inserts: it keeps the bits below the shift.
        int32x4_t quads = vcvtnq_s32_f32(a);
        quads = vsliq_n_s32(quads, vcvtnq_s32_f32(b), 8);
        quads = vsliq_n_s32(quads, vcvtnq_s32_f32(c), 16);
        quads = vsliq_n_s32(quads, vcvtnq_s32_f32(d), 24);
        vst1q_s8(p, vreinterpretq_s8_s32(quads));
    }
};

#if defined(BOTHWAYS_ISA_NEONDOT) || defined(BOTHWAYS_ISA_NEONI8MM)
struct NeonDot : Neon {
    static constexpr const char* name = "neondot";
    static constexpr int MR_INT8 = 6;
    static constexpr int NR_INT8 = 3;
    static constexpr bool has_dot4 = true;
    static I32 dot4(I32 acc, I8 a, I8 b) { return vdotq_s32(acc, a, b); }
    static I8 load_quads(const std::uint8_t* a) {
        return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(a), vdupq_n_u8(128)));
    }
    static const std::int8_t* after(I32& x, const std::int8_t* p) {
        asm volatile("" : "+w"(x), "+r"(p));
        return p;
    }
    template <int quad>
    static I32 dot4_quad(I32 acc, I8 a, I8 b) {
        return vdotq_laneq_s32(acc, b, a, quad);
    }
};
#endif

#ifdef BOTHWAYS_ISA_NEONI8MM
struct NeonI8mm : NeonDot {
    static constexpr const char* name = "neoni8mm";
    static I8 load_rows(const std::uint8_t* first, const std::uint8_t* second) {
        return vreinterpretq_s8_u8(veorq_u8(vcombine_u8(vld1_u8(first), vld1_u8(second)), vdupq_n_u8(128)));
    }
    static I32 dot8x2x2(I32 acc, I8 a, I8 b) { return vmmlaq_s32(acc, a, b); }
    static I32 first_rows(I32 low, I32 high) {
        return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(low), vreinterpretq_s64_s32(high)));
    }
    static I32 second_rows(I32 low, I32 high) {
        return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(low), vreinterpretq_s64_s32(high)));
    }
};
#endif

}  // namespace
}  // namespace bothways
