// Operations on rows: norms, rotary positions, pooling.
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
