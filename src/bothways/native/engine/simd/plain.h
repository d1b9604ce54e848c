// The primitives in portable C++, four lanes wide. These functions define what each primitive computes;
// the other files in this folder implement the same primitives for one instruction set each.
//
// Primitives are static members of a type in an unnamed namespace, which only one file of `isa/` uses.
// The linker therefore cannot merge a function compiled for one instruction set into another's code.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "../int8_scheme.h"

namespace bothways {
namespace {

struct Plain {
    static constexpr const char* name = "plain";

    // A vector of `lanes` floats.
    struct F32 {
        float lane[4];
    };
    static constexpr int lanes = 4;
    // Register tile of the fp32 microkernel: MR rows by NR vectors.
    static constexpr int MR = 4;
    static constexpr int NR = 2;

    template <class F>
    static F32 each(F f) {
        F32 y;
        for (int i = 0; i < lanes; ++i) y.lane[i] = f(i);
        return y;
    }
    static F32 zero() { return F32{{0, 0, 0, 0}}; }
    static F32 broadcast(float a) { return F32{{a, a, a, a}}; }
    static F32 load(const float* p) { return F32{{p[0], p[1], p[2], p[3]}}; }
    static void store(float* p, F32 a) { std::memcpy(p, a.lane, sizeof a.lane); }
    // The first n lanes, 1 <= n <= lanes. Loads set the other lanes to 0; stores leave the memory as it is.
    static F32 load_partial(const float* p, int n) {
        return each([&](int i) { return i < n ? p[i] : 0.0f; });
    }
    static void store_partial(float* p, F32 a, int n) {
        for (int i = 0; i < n; ++i) p[i] = a.lane[i];
    }
    static F32 add(F32 a, F32 b) { return each([&](int i) { return a.lane[i] + b.lane[i]; }); }
    static F32 sub(F32 a, F32 b) { return each([&](int i) { return a.lane[i] - b.lane[i]; }); }
    static F32 mul(F32 a, F32 b) { return each([&](int i) { return a.lane[i] * b.lane[i]; }); }
    static F32 div(F32 a, F32 b) { return each([&](int i) { return a.lane[i] / b.lane[i]; }); }
    static F32 min(F32 a, F32 b) {
        return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
    }
    static F32 max(F32 a, F32 b) {
        return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
    }
    // a * b + c and c - a * b, rounded once where the machine has fused multiply-adds.
    static F32 fma(F32 a, F32 b, F32 c) {
        return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
    }
    static F32 fnma(F32 a, F32 b, F32 c) {
        return each([&](int i) { return c.lane[i] - a.lane[i] * b.lane[i]; });
    }
    // The nearest integer, ties to even.
    static F32 round(F32 a) {
        return each([&](int i) { return std::nearbyint(a.lane[i]); });
    }
    // a - floor(a)
    static F32 fract(F32 a) {
        return each([&](int i) { return a.lane[i] - std::floor(a.lane[i]); });
    }
    // Clamps the argument of a power of 2 from below, to where `ldexp` returns 0.
    static F32 clamp_exp2_arg(F32 a) { return max(a, broadcast(-127)); }
    // a * 2^floor(x) for -126 <= floor(x) <= 127, and 0 for floor(x) = -127. Instruction sets that produce
    // subnormal numbers return 0 only where those end.
    static F32 ldexp(F32 a, F32 x) {
        return each([&](int i) {
            const int exponent = static_cast<int>(std::floor(x.lane[i])) + 127;
            std::uint32_t bits = static_cast<std::uint32_t>(exponent) << 23;
            float power;
            std::memcpy(&power, &bits, sizeof power);
            return a.lane[i] * power;
        });
    }
    // y where x >= limit, else 0.
    static F32 zero_below(F32 y, F32 x, float limit) {
        return each([&](int i) { return x.lane[i] >= limit ? y.lane[i] : 0.0f; });
    }
    // x in lanes [first, last), `other` in the rest.
    static F32 blend_range(F32 x, int first, int last, float other) {
        return each([&](int i) { return i >= first && i < last ? x.lane[i] : other; });
    }
    // Transposes a square of `lanes` vectors in place.
    static void transpose(F32 (&row)[lanes]) {
        for (int i = 0; i < lanes; ++i)
            for (int j = 0; j < i; ++j) {
                const float a = row[i].lane[j];
                row[i].lane[j] = row[j].lane[i];
                row[j].lane[i] = a;
            }
    }
    static float reduce_add(F32 a) { return (a.lane[0] + a.lane[2]) + (a.lane[1] + a.lane[3]); }
    static float reduce_max(F32 a) {
        float m = a.lane[0];
        for (int i = 1; i < lanes; ++i) m = a.lane[i] > m ? a.lane[i] : m;
        return m;
    }
    static float reduce_min(F32 a) {
        float m = a.lane[0];
        for (int i = 1; i < lanes; ++i) m = a.lane[i] < m ? a.lane[i] : m;
        return m;
    }

    // A vector of `lanes` 32-bit accumulators.
    struct I32 {
        std::int32_t lane[4];
    };
    // A vector of 4 * lanes bytes: the operands of dot4, unsigned for a and signed for b.
    struct I8 {
        std::uint8_t byte[16];
    };
    // Register tile of the int8 microkernel: rows, and vectors of accumulators.
    static constexpr int MR_INT8 = 4;
    static constexpr int NR_INT8 = 1;
    // dot4 multiplies by (a - a_zero_point): 128 where the instruction takes signed operands only, else 0.
    static constexpr int a_zero_point = 0;
    // Whether the machine has dot4 as one instruction.
    static constexpr bool has_dot4 = false;
    // Whether products of 16-bit integers are faster than those of floats.
    static constexpr bool has_dot2 = false;
    static constexpr Int8Scheme int8_scheme = Int8Scheme::sums32;
    static I32 zero_i32() { return I32{{0, 0, 0, 0}}; }
    // The 4 bytes at `a`, repeated in every lane.
    static I8 broadcast4(const std::uint8_t* a) {
        I8 y;
        for (int i = 0; i < 16; ++i) y.byte[i] = a[i % 4];
        return y;
    }
    // 4 * lanes bytes.
    static I8 load_i8(const std::int8_t* b) {
        I8 y;
        std::memcpy(y.byte, b, sizeof y.byte);
        return y;
    }
    // acc + (a0 b0 + a1 b1 + a2 b2 + a3 b3) in each lane, of its 4 bytes of a and b.
    static I32 dot4(I32 acc, I8 a, I8 b) {
        for (int i = 0; i < 16; ++i)
            acc.lane[i / 4] += int(a.byte[i]) * static_cast<std::int8_t>(b.byte[i]);
        return acc;
    }
    // A vector of 2 * lanes 16-bit integers.
    struct I16 {
        std::int16_t lane[8];
    };
    static I16 zero_i16() { return I16{}; }
    static I16 load_i16(const std::int16_t* p) {
        I16 y;
        std::memcpy(y.lane, p, sizeof y.lane);
        return y;
    }
    // acc + (a0 b0 + a1 b1) in each lane, of its 2 bytes of a and b. The sum wraps around; that of a pair alone
    // must fit.
    static I16 madd_pairs(I16 acc, I8 a, I8 b) {
        I16 y;
        for (int i = 0; i < 8; ++i)
            y.lane[i] = static_cast<std::int16_t>(acc.lane[i] +
                                                  int(a.byte[2 * i]) * static_cast<std::int8_t>(b.byte[2 * i]) +
                                                  int(a.byte[2 * i + 1]) *
                                                      static_cast<std::int8_t>(b.byte[2 * i + 1]));
        return y;
    }
    // The sum of the 2 lanes of a that belong to each lane of the result.
    static I32 add_pairs(I16 a) {
        I32 y;
        for (int i = 0; i < lanes; ++i) y.lane[i] = a.lane[2 * i] + a.lane[2 * i + 1];
        return y;
    }
    // The 2 integers at `a`, repeated in every lane.
    static I16 broadcast2(const std::int16_t* a) {
        I16 y;
        for (int i = 0; i < 8; ++i) y.lane[i] = a[i % 2];
        return y;
    }
    // acc + (a0 b0 + a1 b1) in each lane, of its 2 integers of a and b.
    static I32 dot2(I32 acc, I16 a, I16 b) {
        for (int i = 0; i < 8; ++i) acc.lane[i / 2] += int(a.lane[i]) * b.lane[i];
        return acc;
    }
    static F32 to_float(I32 a) {
        return each([&](int i) { return static_cast<float>(a.lane[i]); });
    }
    // Rounds to the nearest integer, saturates to 0..255 and stores `lanes` bytes.
    static void store_u8_sat(std::uint8_t* p, F32 a) {
        for (int i = 0; i < lanes; ++i) {
            float rounded = std::nearbyint(a.lane[i]);
            rounded = rounded >= 0 ? rounded : 0;  // also for NaN
            p[i] = static_cast<std::uint8_t>(rounded <= 255 ? rounded : 255);
        }
    }
    // Rounds four vectors of numbers within -127..127 and stores them as signed bytes, interleaved: the 4
    // bytes of each lane are adjacent.
    static void store_i8x4(std::int8_t* p, F32 a, F32 b, F32 c, F32 d) {
        for (int i = 0; i < lanes; ++i)
            for (const F32* v : {&a, &b, &c, &d})
                *p++ = static_cast<std::int8_t>(std::nearbyint(v->lane[i]));
    }
    // Rounds numbers within -32767..32767 and stores them in 16 bits.
    static void store_i16(std::int16_t* p, F32 a) {
        for (float x : a.lane) *p++ = static_cast<std::int16_t>(std::nearbyint(x));
    }
    // Rounds two vectors and stores the lowest 16 bits of each number, interleaved.
    static void store_i16x2(std::int16_t* p, F32 a, F32 b) {
        for (int i = 0; i < lanes; ++i)
            for (const F32* v : {&a, &b})
                *p++ = static_cast<std::int16_t>(static_cast<std::int32_t>(std::nearbyint(v->lane[i])));
    }
};

}  // namespace
}  // namespace bothways
