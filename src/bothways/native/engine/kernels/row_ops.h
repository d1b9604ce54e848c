// What happens row by row: norms, quantising, rotary positions, sums, pooling.
#pragma once

#include <cmath>

#include "../kernels.h"

namespace bothways {
namespace {

template <class S>
struct RowKernels {
    using V = typename S::V;

    // Calls f(i, lanes) for each vector of a row, the last with the lanes that are left.
    template <class F>
    static void vectors(int width, F f) {
        int i = 0;
        for (; i + S::lanes <= width; i += S::lanes) f(i, S::lanes);
        if (i < width) f(i, width - i);
    }
    static V load(const float* p, int n) { return n == S::lanes ? S::load(p) : S::load_first(p, n); }
    static void store(float* p, V a, int n) {
        n == S::lanes ? S::store(p, a) : S::store_first(p, a, n);
    }

    // layer: (x - mean) / sqrt(variance + eps) * gain + bias    Ba et al. 2016, eq. 4
    // rms:   x / sqrt(mean(x²) + eps) * gain                    Zhang and Sennrich 2019, eq. 4
    static void norm(const Norm& n) {
        for (int row = 0; row < n.rows; ++row) {
            const float* x = n.x + row * n.x_stride;
            float* y = n.y + row * n.y_stride;
            const float mean = n.centred ? sum(x, n.width) / static_cast<float>(n.width) : 0.0f;
            const float variance = squares(x, n.width, mean) / static_cast<float>(n.width);
            const V shift = S::set(mean), factor = S::set(1.0f / std::sqrt(variance + n.eps));
            vectors(n.width, [&](int i, int lanes) {
                V unit = S::mul(S::sub(load(x + i, lanes), shift), factor);
                V gain = load(n.gain + i, lanes);
                V scaled = n.bias ? S::fma(unit, gain, load(n.bias + i, lanes)) : S::mul(unit, gain);
                store(y + i, scaled, lanes);
            });
        }
    }

    static float sum(const float* x, int width) {
        V total = S::zero();
        vectors(width, [&](int i, int lanes) { total = S::add(total, load(x + i, lanes)); });
        return S::sum(total);
    }

    static float squares(const float* x, int width, float mean) {
        V total = S::zero();
        const V shift = S::set(mean);
        vectors(width, [&](int i, int lanes) {
            V d = S::sub(load(x + i, lanes), shift);
            if (lanes < S::lanes) d = S::keep_between(d, 0, lanes, 0.0f);
            total = S::fma(d, d, total);
        });
        return S::sum(total);
    }

    static void quantise(const Rows& in, int inputs, int first, int last, Coding coding) {
        constexpr int group = QuantisedRows::group;
        const QuantisedRows& q = in.quantised;
        const int groups = (inputs + group - 1) / group;
        for (int row = first; row < last; ++row) {
            for (int g = 0; g < groups; ++g) {
                const float* x = in.x + row * in.stride + g * group;
                const int width = inputs - g * group < group ? inputs - g * group : group;
                const std::ptrdiff_t at = std::ptrdiff_t(g) * q.capacity + row;
                const float least = coding.is_measured() ? measured_least(x, width) : coding.least;
                q.step[at] = quantise_group(x, width, least, q.codes + at * group);
                q.offset[std::ptrdiff_t(row) * groups + g] =
                    least - static_cast<float>(S::code_shift) * q.step[at];
            }
        }
    }

    static float measured_least(const float* x, int width) {
        V low = S::set(x[0]);
        vectors(width, [&](int i, int lanes) { low = S::min(low, or_first(x, i, lanes)); });
        return S::smallest(low);
    }

    // The lanes from i, and where there are none, the first.
    static V or_first(const float* x, int i, int lanes) {
        const V v = load(x + i, lanes);
        return lanes < S::lanes ? S::keep_between(v, 0, lanes, x[0]) : v;
    }

    // Writes codes, and returns their step.
    static float quantise_group(const float* x, int width, float least, std::uint8_t* codes) {
        V high = S::set(x[0]);
        vectors(width, [&](int i, int lanes) { high = S::max(high, or_first(x, i, lanes)); });
        const float range = S::largest(high) - least;
        const V factor = S::set(range > 0 ? 255.0f / range : 0.0f), shift = S::set(least);
        vectors(width, [&](int i, int lanes) {
            S::store_codes(codes + i, S::mul(S::sub(load(x + i, lanes), shift), factor));
        });
        return range > 0 ? range / 255.0f : 0.0f;
    }

    // Su et al. 2021, eq. 34.
    static void rotate(float* x, int heads, int width, const float* cosine, const float* sine) {
        const int half = width / 2;
        for (int h = 0; h < heads; ++h, x += width)
            vectors(half, [&](int i, int lanes) {
                V a = load(x + i, lanes), b = load(x + half + i, lanes);
                V c = load(cosine + i, lanes), s = load(sine + i, lanes);
                store(x + i, S::fnma(b, s, S::mul(a, c)), lanes);
                store(x + half + i, S::fma(a, s, S::mul(b, c)), lanes);
            });
    }

    // A column at a time; every sum runs over the rows in their order.
    static void pool(const float* x, std::ptrdiff_t stride, int rows, int width, int first,
                     PoolingMode mode, float* y) {
        const float count = static_cast<float>(rows);
        const float weights = count * (static_cast<float>(first) + (count + 1) / 2);
        vectors(width, [&](int i, int lanes) {
            const float* column = x + i;
            V pooled = load(column, lanes);
            switch (mode) {
                case PoolingMode::cls: break;
                case PoolingMode::last: pooled = load(column + (rows - 1) * stride, lanes); break;
                case PoolingMode::max:
                    for (int r = 1; r < rows; ++r)
                        pooled = S::max(pooled, load(column + r * stride, lanes));
                    break;
                case PoolingMode::mean:
                case PoolingMode::mean_sqrt_len:
                    for (int r = 1; r < rows; ++r)
                        pooled = S::add(pooled, load(column + r * stride, lanes));
                    pooled = S::div(
                        pooled, S::set(mode == PoolingMode::mean ? count : std::sqrt(count)));
                    break;
                case PoolingMode::weighted_mean:
                    pooled = S::zero();
                    for (int r = 0; r < rows; ++r)
                        pooled = S::fma(load(column + r * stride, lanes),
                                        S::set(static_cast<float>(first + r + 1)), pooled);
                    pooled = S::div(pooled, S::set(weights));
                    break;
            }
            store(y + i, pooled, lanes);
        });
    }
};

}  // namespace
}  // namespace bothways
