// Operations on rows: norms, quantization, rotary positions, pooling.
#pragma once

#include <cmath>

#include "../kernels.h"
#include "../simd/simd.h"

namespace bothways {
namespace {

template <Simd S>
struct RowOps {
    using V = typename S::F32;

    // Calls f(i, n) for each vector of a row, starting at i; n is S::lanes but for the last vector.
    template <class F>
    static void for_each_vector(int width, F f) {
        int i = 0;
        for (; i + S::lanes <= width; i += S::lanes) f(i, S::lanes);
        if (i < width) f(i, width - i);
    }
    static V load(const float* p, int n) { return n == S::lanes ? S::load(p) : S::load_partial(p, n); }
    static void store(float* p, V a, int n) {
        n == S::lanes ? S::store(p, a) : S::store_partial(p, a, n);
    }

    // layer: (x - mean) / sqrt(variance + eps) * gain + bias    Ba et al. 2016, eq. 4
    // rms:   x / sqrt(mean(x²) + eps) * gain                    Zhang and Sennrich 2019, eq. 4
    static void norm(const NormArgs& args) {
        for (int row = 0; row < args.rows; ++row) {
            const float* x = args.x + row * args.x_stride;
            float* y = args.y + row * args.y_stride;
            const float width = static_cast<float>(args.width);
            const float mean = args.subtract_mean ? sum(x, args.width) / width : 0.0f;
            const float variance = sum_squares(x, args.width, mean) / width;
            const V center = S::broadcast(mean), scale = S::broadcast(1.0f / std::sqrt(variance + args.eps));
            for_each_vector(args.width, [&](int i, int n) {
                V unit = S::mul(S::sub(load(x + i, n), center), scale);
                V gain = load(args.gain + i, n);
                V scaled = args.bias ? S::fma(unit, gain, load(args.bias + i, n)) : S::mul(unit, gain);
                store(y + i, args.accumulate == Accumulate::add ? S::add(load(y + i, n), scaled) : scaled, n);
            });
        }
    }

    static float sum(const float* x, int width) {
        V total = S::zero();
        for_each_vector(width, [&](int i, int n) { total = S::add(total, load(x + i, n)); });
        return S::reduce_add(total);
    }

    // The sum of (x - center)².
    static float sum_squares(const float* x, int width, float center) {
        V total = S::zero();
        const V c = S::broadcast(center);
        for_each_vector(width, [&](int i, int n) {
            V d = S::sub(load(x + i, n), c);
            if (n < S::lanes) d = S::blend_range(d, 0, n, 0.0f);
            total = S::fma(d, d, total);
        });
        return S::reduce_add(total);
    }

    static void quantize(const GemmInput& in, int k, int first, int last, QuantRange range) {
        constexpr int group = QuantizedRows::group;
        const QuantizedRows& q = in.quantized;
        const int groups = (k + group - 1) / group;
        for (int row = first; row < last; ++row) {
            for (int g = 0; g < groups; ++g) {
                const float* x = in.a + row * in.lda + g * group;
                const int width = k - g * group < group ? k - g * group : group;
                const std::ptrdiff_t at = std::ptrdiff_t(g) * q.capacity + row;
                const float lower = range.is_dynamic() ? min(x, width) : range.lower;
                q.scale[at] = quantize_group(x, width, lower, q.q8 + at * group);
                // dot4 subtracts a_zero_point from q8; this adds it again.
                q.zero_point[std::ptrdiff_t(row) * groups + g] =
                    lower + static_cast<float>(S::a_zero_point) * q.scale[at];
            }
        }
    }

    static float min(const float* x, int width) {
        V low = S::broadcast(x[0]);
        for_each_vector(width, [&](int i, int n) { low = S::min(low, load_padded(x, i, n)); });
        return S::reduce_min(low);
    }

    // Loads n lanes from x + i, and fills the rest with x[0], which changes neither minimum nor maximum.
    static V load_padded(const float* x, int i, int n) {
        const V v = load(x + i, n);
        return n < S::lanes ? S::blend_range(v, 0, n, x[0]) : v;
    }

    // Writes q8 = round((x - lower) / scale) and returns the scale, which maps max(x) to 255.
    static float quantize_group(const float* x, int width, float lower, std::uint8_t* q8) {
        V high = S::broadcast(x[0]);
        for_each_vector(width, [&](int i, int n) { high = S::max(high, load_padded(x, i, n)); });
        const float range = S::reduce_max(high) - lower;
        const V inverse_scale = S::broadcast(range > 0 ? 255.0f / range : 0.0f);
        const V shift = S::broadcast(lower);
        for_each_vector(width, [&](int i, int n) {
            S::store_u8_sat(q8 + i, S::mul(S::sub(load(x + i, n), shift), inverse_scale));
        });
        return range > 0 ? range / 255.0f : 0.0f;
    }

    // Su et al. 2021, eq. 34.
    static void rotate(float* x, int heads, int width, const float* cosine, const float* sine) {
        const int half = width / 2;
        for (int h = 0; h < heads; ++h, x += width)
            for_each_vector(half, [&](int i, int n) {
                V a = load(x + i, n), b = load(x + half + i, n);
                V c = load(cosine + i, n), s = load(sine + i, n);
                store(x + i, S::fnma(b, s, S::mul(a, c)), n);
                store(x + half + i, S::fma(a, s, S::mul(b, c)), n);
            });
    }

    // Column by column; each sum adds the rows in their order.
    static void pool(const float* x, std::ptrdiff_t stride, int rows, int width, int first,
                     PoolingMode mode, const std::uint8_t* content, float* y) {
        const float count = static_cast<float>(rows);
        float content_count = 0;
        if (mode == PoolingMode::mean_content)
            for (int r = 0; r < rows; ++r) content_count += content[r] ? 1.0f : 0.0f;
        const float weight_sum = count * (static_cast<float>(first) + (count + 1) / 2);
        for_each_vector(width, [&](int i, int n) {
            const float* column = x + i;
            V pooled = load(column, n);
            switch (mode) {
                case PoolingMode::cls: break;
                case PoolingMode::last: pooled = load(column + (rows - 1) * stride, n); break;
                case PoolingMode::max:
                    for (int r = 1; r < rows; ++r) pooled = S::max(pooled, load(column + r * stride, n));
                    break;
                case PoolingMode::mean:
                case PoolingMode::mean_sqrt_len:
                    for (int r = 1; r < rows; ++r) pooled = S::add(pooled, load(column + r * stride, n));
                    pooled = S::div(
                        pooled, S::broadcast(mode == PoolingMode::mean ? count : std::sqrt(count)));
                    break;
                case PoolingMode::weighted_mean:
                    pooled = S::zero();
                    for (int r = 0; r < rows; ++r)
                        pooled = S::fma(load(column + r * stride, n),
                                        S::broadcast(static_cast<float>(first + r + 1)), pooled);
                    pooled = S::div(pooled, S::broadcast(weight_sum));
                    break;
                case PoolingMode::mean_content:
                    pooled = S::zero();
                    for (int r = 0; r < rows; ++r)
                        if (content[r]) pooled = S::add(pooled, load(column + r * stride, n));
                    pooled = S::div(pooled, S::broadcast(content_count));
                    break;
            }
            store(y + i, pooled, n);
        });
    }
};

}  // namespace
}  // namespace bothways
