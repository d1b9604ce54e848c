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
        for (int row = first; row < last; ++row)
            if constexpr (S::int8_scheme == Int8Scheme::sums16)
                row_sums16(in.a + row * in.lda, k, range, in.quantized, row);
            else
                row_sums32(in.a + row * in.lda, k, range, in.quantized, row);
    }

    // The scale of each group is the smallest one with |x - lower| <= largest code * scale, and norms of at most
    // activation_norm * scale. Scales of `lanes` groups are computed at once.
    static void row_sums16(const float* x, int k, QuantRange range, const QuantizedRows& q, int row) {
        const bool centered = range.is_dynamic();
        const float lower = centered ? 0 : range.lower, center = centered ? Sums16::center : 0;
        const V per_code = S::broadcast(1 / (centered ? Sums16::max_centered : Sums16::max_q8));
        for (int first = 0; first < k; first += S::lanes * group) {
            const int count = k - first < S::lanes * group ? k - first : S::lanes * group;
            alignas(64) float scale[S::lanes], inverse_scale[S::lanes];
            const Extent extent = extent_of_groups(x + first, count, lower);
            // NaN if an input is, because of the norm and of the order of the operands.
            const V scales = S::max(S::broadcast(1e-30f),
                                    S::max(S::mul(extent.largest, per_code),
                                           S::mul(extent.norm, S::broadcast(1 / Sums16::activation_norm))));
            S::store(scale, scales);
            S::store(inverse_scale, S::div(S::broadcast(1), scales));
            for (int g = 0; g * group < count; ++g) {
                const std::ptrdiff_t at = std::ptrdiff_t(first / group + g) * q.capacity + row;
                q.scale[at] = scale[g];
                const V factor = S::broadcast(inverse_scale[g]);
                const V shift = S::broadcast(center - lower * inverse_scale[g]);
                const float* from = x + first + g * group;
                const int width = count - g * group < group ? count - g * group : group;
                Ops::for_each_vector(width, [&](int i, int n) {
                    S::store_u8_sat(q.q8 + at * group + i, S::fma(Ops::load(from + i, n), factor, shift));
                });
            }
        }
    }

private:
    static void row_sums32(const float* x, int k, QuantRange range, const QuantizedRows& q, int row) {
        const int groups = (k + group - 1) / group;
        for (int g = 0; g < groups; ++g, x += group) {
            const int width = k - g * group < group ? k - g * group : group;
            const std::ptrdiff_t at = std::ptrdiff_t(g) * q.capacity + row;
            V low = S::broadcast(x[0]), high = low;
            Ops::for_each_vector(width, [&](int i, int n) {
                const V v = load_padded(x, i, n);
                low = S::min(low, v);
                high = S::max(high, v);
            });
            const float lower = range.is_dynamic() ? S::reduce_min(low) : range.lower;
            q.scale[at] = group_sums32(x, width, lower, S::reduce_max(high), q.q8 + at * group);
            // dot4 subtracts a_zero_point from q8; this adds it again.
            q.zero_point[std::ptrdiff_t(row) * groups + g] =
                lower + static_cast<float>(S::a_zero_point) * q.scale[at];
        }
    }

    // Of `lanes` groups of inputs, less a lower bound: the largest absolute value, and the largest norm of the
    // inputs that share a sum.
    struct Extent {
        V largest, norm;
    };

    static Extent extent_of_groups(const float* x, int count, float lower) {
        V largest[S::lanes], squares[S::lanes];
        for (int g = 0; g < S::lanes; ++g) {
            V high = S::zero(), low = S::zero(), sum = S::zero();
            const int width = count - g * group < group ? count - g * group : group;
            Ops::for_each_vector(width, [&](int i, int n) {
                V shifted = S::sub(Ops::load(x + g * group + i, n), S::broadcast(lower));
                if (n < S::lanes) shifted = S::blend_range(shifted, 0, n, 0.0f);
                high = S::max(high, shifted);
                low = S::min(low, shifted);
                sum = S::fma(shifted, shifted, sum);
            });
            largest[g] = S::max(high, S::sub(S::zero(), low));
            squares[g] = sum;
        }
        // From lanes of a group to lanes of groups.
        S::transpose(largest);
        S::transpose(squares);
        V sums[2] = {S::zero(), S::zero()};
        for (int i = 0; i < S::lanes; ++i) {
            if (i > 0) largest[0] = S::max(largest[0], largest[i]);
            sums[i % 4 / 2] = S::add(sums[i % 4 / 2], squares[i]);
        }
        alignas(64) float norm[S::lanes];
        S::store(norm, S::max(sums[0], sums[1]));
        for (float& each : norm) each = std::sqrt(each);
        return {largest[0], S::load(norm)};
    }

    // Loads n lanes from x + i, and fills the rest with x[0], which changes neither minimum nor maximum.
    static V load_padded(const float* x, int i, int n) {
        const V v = Ops::load(x + i, n);
        return n < S::lanes ? S::blend_range(v, 0, n, x[0]) : v;
    }

    // Writes q8 = round((x - lower) / scale) and returns the scale, which maps `upper` to 255.
    static float group_sums32(const float* x, int width, float lower, float upper, std::uint8_t* q8) {
        const float range = upper - lower;
        const V inverse_scale = S::broadcast(range > 0 ? 255.0f / range : 0.0f);
        const V shift = S::broadcast(lower);
        Ops::for_each_vector(width, [&](int i, int n) {
            S::store_u8_sat(q8 + i, S::mul(S::sub(Ops::load(x + i, n), shift), inverse_scale));
        });
        return range > 0 ? range / 255.0f : 0.0f;
    }
};

}  // namespace
}  // namespace bothways
