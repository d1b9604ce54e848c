// The primitives in plain C++: four lanes that any compiler understands. The definition of what each
// primitive does; the other files of this folder say the same in one instruction set each.
//
// Everything here is a member of a type that only one file of `isa/` uses, so that no function
// compiled for one instruction set can be linked into the code of another.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace bothways {
namespace {

struct Plain {
    static constexpr const char* name = "plain";

    // Floats: V holds `lanes` of them.
    struct V {
        float lane[4];
    };
    static constexpr int lanes = 4;
    // The tile of a matrix product that registers hold: rows, and vectors side by side.
    static constexpr int tile_rows = 4;
    static constexpr int tile_vectors = 2;

    template <class F>
    static V each(F f) {
        V y;
        for (int i = 0; i < lanes; ++i) y.lane[i] = f(i);
        return y;
    }
    static V zero() { return V{{0, 0, 0, 0}}; }
    static V set(float a) { return V{{a, a, a, a}}; }
    static V load(const float* p) { return V{{p[0], p[1], p[2], p[3]}}; }
    static void store(float* p, V a) { std::memcpy(p, a.lane, sizeof a.lane); }
    // The first n lanes (1 to `lanes`); the rest are zero, or are not written.
    static V load_first(const float* p, int n) {
        return each([&](int i) { return i < n ? p[i] : 0.0f; });
    }
    static void store_first(float* p, V a, int n) {
        for (int i = 0; i < n; ++i) p[i] = a.lane[i];
    }
    static V add(V a, V b) { return each([&](int i) { return a.lane[i] + b.lane[i]; }); }
    static V sub(V a, V b) { return each([&](int i) { return a.lane[i] - b.lane[i]; }); }
    static V mul(V a, V b) { return each([&](int i) { return a.lane[i] * b.lane[i]; }); }
    static V div(V a, V b) { return each([&](int i) { return a.lane[i] / b.lane[i]; }); }
    static V min(V a, V b) {
        return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
    }
    static V max(V a, V b) {
        return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
    }
    // a * b + c and c - a * b; rounded once where the machine can.
    static V fma(V a, V b, V c) {
        return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
    }
    static V fnma(V a, V b, V c) {
        return each([&](int i) { return c.lane[i] - a.lane[i] * b.lane[i]; });
    }
    // To the nearest whole number, ties to even.
    static V round(V a) {
        return each([&](int i) { return std::nearbyint(a.lane[i]); });
    }
    // What is left of a number when the largest whole number that is not above it is taken away.
    static V fraction(V a) {
        return each([&](int i) { return a.lane[i] - std::floor(a.lane[i]); });
    }
    // The nearest number that scale_by_power can take: where it makes 0 of what is there, at the least.
    static V not_vanishing(V a) { return max(a, set(-127)); }
    // a * 2^floor(x) for floor(x) of -126 to 127, and 0 where it is -127 or, if the instruction set makes
    // floats below 2^-126, where those end.
    static V scale_by_power(V a, V x) {
        return each([&](int i) {
            const int exponent = static_cast<int>(std::floor(x.lane[i])) + 127;
            std::uint32_t bits = static_cast<std::uint32_t>(exponent) << 23;
            float power;
            std::memcpy(&power, &bits, sizeof power);
            return a.lane[i] * power;
        });
    }
    // y where x >= limit, else zero.
    static V zero_below(V y, V x, float limit) {
        return each([&](int i) { return x.lane[i] >= limit ? y.lane[i] : 0.0f; });
    }
    // x in the lanes from `first` up to, not including, `last`; `other` elsewhere.
    static V keep_between(V x, int first, int last, float other) {
        return each([&](int i) { return i >= first && i < last ? x.lane[i] : other; });
    }
    // Rows become columns.
    static void transpose(V (&row)[lanes]) {
        for (int i = 0; i < lanes; ++i)
            for (int j = 0; j < i; ++j) {
                const float a = row[i].lane[j];
                row[i].lane[j] = row[j].lane[i];
                row[j].lane[i] = a;
            }
    }
    static float sum(V a) { return (a.lane[0] + a.lane[2]) + (a.lane[1] + a.lane[3]); }
    static float largest(V a) {
        float m = a.lane[0];
        for (int i = 1; i < lanes; ++i) m = a.lane[i] > m ? a.lane[i] : m;
        return m;
    }
    static float smallest(V a) {
        float m = a.lane[0];
        for (int i = 1; i < lanes; ++i) m = a.lane[i] < m ? a.lane[i] : m;
        return m;
    }

    // Whole numbers: I holds `lanes` sums of 32 bits.
    struct I {
        std::int32_t lane[4];
    };
    static constexpr int dot_rows = 4;
    static constexpr int dot_vectors = 1;
    // What is added to an activation's code (0 to 255) before the product, because the instruction
    // wants it signed. The weights' sums correct for it.
    static constexpr int code_shift = 0;
    // Whether the machine has the dot product as one instruction.
    static constexpr bool has_dot = false;
    static I izero() { return I{{0, 0, 0, 0}}; }
    // The 4 activations at `a`, for every lane; 4 weights for each lane; and, in each lane, the sum
    // plus the products of the two.
    struct Bytes {
        std::uint8_t byte[16];
    };
    static Bytes four_codes(const std::uint8_t* a) {
        Bytes y;
        for (int i = 0; i < 16; ++i) y.byte[i] = a[i % 4];
        return y;
    }
    static Bytes weights(const std::int8_t* b) {
        Bytes y;
        std::memcpy(y.byte, b, sizeof y.byte);
        return y;
    }
    static I dot(I sum, Bytes codes, Bytes weights) {
        for (int i = 0; i < 16; ++i)
            sum.lane[i / 4] += int(codes.byte[i]) * static_cast<std::int8_t>(weights.byte[i]);
        return sum;
    }
    static V to_float(I a) {
        return each([&](int i) { return static_cast<float>(a.lane[i]); });
    }
    // Rounds to whole numbers, clamped to 0 to 255, and stores `lanes` of them as bytes.
    static void store_codes(std::uint8_t* p, V a) {
        for (int i = 0; i < lanes; ++i) {
            float whole = std::nearbyint(a.lane[i]);
            whole = whole >= 0 ? whole : 0;  // NaN too
            p[i] = static_cast<std::uint8_t>(whole <= 255 ? whole : 255);
        }
    }
    // Rounds four numbers of each lane, of -127 to 127, and stores them side by side as signed bytes.
    static void store_quads(std::int8_t* p, V a, V b, V c, V d) {
        for (int i = 0; i < lanes; ++i)
            for (const V* v : {&a, &b, &c, &d})
                *p++ = static_cast<std::int8_t>(std::nearbyint(v->lane[i]));
    }
};

}  // namespace
}  // namespace bothways
