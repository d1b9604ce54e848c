// Quantization of activations for int8 products, in both schemes (Int8Scheme in kernels.h).
#pragma once

#include <cmath>

#include "row_ops.h"

namespace bothways {
namespace {

template <Simd S>
struct Quantize {
    using V = typename S::F32;
    using Ops = RowOps<S>;
    static constexpr int group = int8_group(S::int8_scheme);

    static void rows(const GemmInput& in, int k, int first, int last, QuantRange range) {
        const QuantizedRows& q = in.quantized;
        const int groups = (k + group - 1) / group;
        for (int row = first; row < last; ++row)
            for (int g = 0; g < groups; ++g) {
                const float* x = in.a + row * in.lda + g * group;
                const int width = k - g * group < group ? k - g * group : group;
                const std::ptrdiff_t at = std::ptrdiff_t(g) * q.capacity + row;
                std::uint8_t* q8 = q.q8 + at * group;
                if constexpr (S::int8_scheme == Int8Scheme::sums16) {
                    q.scale[at] = range.is_dynamic()
                                      ? group_sums16(x, width, 0, Sums16::max_centered, Sums16::center, q8)
                                      : group_sums16(x, width, range.lower, Sums16::max_q8, 0, q8);
                } else {
                    const float lower = range.is_dynamic() ? min(x, width) : range.lower;
                    q.scale[at] = group_sums32(x, width, lower, q8);
                    // dot4 subtracts a_zero_point from q8; this adds it again.
                    q.zero_point[std::ptrdiff_t(row) * groups + g] =
                        lower + static_cast<float>(S::a_zero_point) * q.scale[at];
                }
            }
    }

private:
    static float min(const float* x, int width) {
        V low = S::broadcast(x[0]);
        Ops::for_each_vector(width, [&](int i, int n) { low = S::min(low, load_padded(x, i, n)); });
        return S::reduce_min(low);
    }

    // Loads n lanes from x + i, and fills the rest with x[0], which changes neither minimum nor maximum.
    static V load_padded(const float* x, int i, int n) {
        const V v = Ops::load(x + i, n);
        return n < S::lanes ? S::blend_range(v, 0, n, x[0]) : v;
    }

    // Writes q8 = round((x - lower) / scale) and returns the scale, which maps max(x) to 255.
    static float group_sums32(const float* x, int width, float lower, std::uint8_t* q8) {
        V high = S::broadcast(x[0]);
        Ops::for_each_vector(width, [&](int i, int n) { high = S::max(high, load_padded(x, i, n)); });
        const float range = S::reduce_max(high) - lower;
        const V inverse_scale = S::broadcast(range > 0 ? 255.0f / range : 0.0f);
        const V shift = S::broadcast(lower);
        Ops::for_each_vector(width, [&](int i, int n) {
            S::store_u8_sat(q8 + i, S::mul(S::sub(Ops::load(x + i, n), shift), inverse_scale));
        });
        return range > 0 ? range / 255.0f : 0.0f;
    }

    // Writes q8 = round((x - lower) / scale) + center and returns the scale: the smallest one with |x - lower|
    // <= max_code * scale and norms of at most activation_norm * scale.
    static float group_sums16(const float* x, int width, float lower, float max_code, float center,
                              std::uint8_t* q8) {
        constexpr int vectors = group / S::lanes;
        V shifted[vectors], high = S::zero(), squares = S::zero();
        for (int v = 0; v < vectors; ++v) {
            const int n = width - v * S::lanes < S::lanes ? width - v * S::lanes : S::lanes;
            shifted[v] = n > 0 ? S::sub(Ops::load(x + v * S::lanes, n), S::broadcast(lower)) : S::zero();
            if (n > 0 && n < S::lanes) shifted[v] = S::blend_range(shifted[v], 0, n, 0.0f);
            high = S::max(high, S::max(shifted[v], S::sub(S::zero(), shifted[v])));
            squares = S::fma(shifted[v], shifted[v], squares);
        }
        const float norm = std::sqrt(S::reduce_max(S::add_like_pairs(squares)));
        const float by_value = S::reduce_max(high) / max_code, by_norm = norm / Sums16::activation_norm;
        const float scale = by_value > by_norm ? by_value : by_norm;  // NaN if there is one, from the norm
        const V inverse_scale = S::broadcast(scale > 0 ? 1 / scale : 0.0f);
        for (int v = 0; v < vectors; ++v)
            S::store_u8_sat(q8 + v * S::lanes, S::fma(shifted[v], inverse_scale, S::broadcast(center)));
        return scale;
    }
};

}  // namespace
}  // namespace bothways
