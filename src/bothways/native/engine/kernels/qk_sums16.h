// Queries and keys of one attention head in 8 bits, for scores from 16-bit sums (Int8Scheme::sums16).
//
// One scale per query and per key, with the limits of activations and weights in int8_scheme.h: each sum is of
// the products of 16 inputs. Queries are stored as code + center, and the sums of a key start at the product of
// that center and the key.
#pragma once

#include <cmath>

#include "qk_int8.h"

namespace bothways {
namespace {

template <Simd S>
struct QkSums16 {
    using V = typename S::F32;
    using Ops = RowOps<S>;
    using Int8 = QkInt8<S>;
    static constexpr int lanes = S::lanes, nr = Int8::nr;
    static constexpr int group = int8_group(Int8Scheme::sums16), quads_per_group = group / 4;

    static int groups(int width) { return (width + group - 1) / group; }
    // Bytes between the starts of consecutive queries.
    static std::ptrdiff_t query_stride(int width) { return std::ptrdiff_t(groups(width)) * group; }
    // Memory of a key, in floats.
    static int floats_per_key(int width) { return groups(width) * (quads_per_group + 1) + 1; }

    struct Keys {
        std::int8_t* q8;      // (panels, groups, quads, nr, 4)
        std::int16_t* start;  // (panels, groups, nr, 2)
        float* scale;         // (panels, nr)

        Keys(float* base, int padded_keys, int width)
            : q8(reinterpret_cast<std::int8_t*>(base)),
              start(reinterpret_cast<std::int16_t*>(base + std::ptrdiff_t(padded_keys) * groups(width) *
                                                               quads_per_group)),
              scale(base + std::ptrdiff_t(padded_keys) * (floats_per_key(width) - 1)) {}
        // Of the panel that starts at `key`.
        const std::int8_t* panel(int key, int width) const {
            return q8 + std::ptrdiff_t(key) * query_stride(width);
        }
        const std::int16_t* start_of(int key, int width) const {
            return start + std::ptrdiff_t(key) * groups(width) * 2;
        }
    };

    static void pack_keys(const AttentionArgs& args, const Keys& keys) {
        const int num_groups = groups(args.width);
        for (int key = 0; key < args.length; key += lanes) {
            const int count = args.length - key < lanes ? args.length - key : lanes;
            const float* from = args.key + key * args.stride;
            const V scale = scale_of_keys(from, args.stride, count, args.width);
            S::store(keys.scale + key, scale);
            const V inverse_scale = S::div(S::broadcast(1), scale);
            const std::ptrdiff_t panel = key / nr * num_groups, column = key % nr;
            for (int g = 0; g < num_groups; ++g) {
                V sum[2] = {S::zero(), S::zero()};
                std::int8_t* to = keys.q8 + ((panel + g) * quads_per_group * nr + column) * 4;
                for (int d = 0; d < group; d += lanes) {
                    V x[lanes];
                    load_transposed(x, from, args.stride, count, g * group + d, args.width);
                    for (int i = 0; i < lanes; ++i) {
                        x[i] = S::round(S::mul(x[i], inverse_scale));
                        sum[i % 4 / 2] = S::add(sum[i % 4 / 2], x[i]);
                    }
                    for (int i = 0; i < lanes; i += 4)
                        S::store_i8x4(to + std::ptrdiff_t(d + i) * nr, x[i], x[i + 1], x[i + 2], x[i + 3]);
                }
                const V center = S::broadcast(-Sums16::center);
                S::store_i16x2(keys.start + ((panel + g) * nr + column) * 2, S::mul(sum[0], center),
                               S::mul(sum[1], center));
            }
        }
    }

    static void quantize_queries(const float* x, std::ptrdiff_t stride, int rows, int width, std::uint8_t* q8,
                                 float* scale) {
        alignas(64) static constexpr float of_first_sum[16] = {1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0};
        alignas(64) static constexpr float of_second_sum[16] = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1};
        const V first = S::load(of_first_sum), second = S::load(of_second_sum);
        for (int r = 0; r < rows; ++r, x += stride, q8 += query_stride(width)) {
            V high = Int8::tiny();
            float square = 0;
            for (int g = 0; g < width; g += group) {
                V squares = S::zero();
                Ops::for_each_vector(width - g < group ? width - g : group, [&](int i, int n) {
                    const V v = Ops::load(x + g + i, n);
                    high = Int8::max_abs(high, v);
                    squares = S::fma(v, v, squares);
                });
                square = larger(square, larger(S::reduce_add(S::mul(squares, first)),
                                               S::reduce_add(S::mul(squares, second))));
            }
            scale[r] = larger(S::reduce_max(high) / Sums16::max_centered,
                              std::sqrt(square) / Sums16::activation_norm);
            const V inverse_scale = S::broadcast(1 / scale[r]), center = S::broadcast(Sums16::center);
            for (int d = 0; d < query_stride(width); d += lanes) {
                const V v = d < width ? Ops::load(x + d, width - d < lanes ? width - d : lanes) : S::zero();
                S::store_u8_sat(q8 + d, S::fma(v, inverse_scale, center));
            }
        }
    }

private:
    static float larger(float a, float b) { return a > b ? a : b; }

    // Loads `lanes` columns from `first` on of `count` rows, one row per lane; what is beyond the rows is 0.
    static void load_transposed(V (&column)[lanes], const float* x, std::ptrdiff_t stride, int count, int first,
                                int width) {
        if (first < width)
            return Int8::load_transposed(column, x + first, stride, count,
                                         width - first < lanes ? width - first : lanes);
        for (V& each : column) each = S::zero();
    }

    static V scale_of_keys(const float* x, std::ptrdiff_t stride, int count, int width) {
        V high = Int8::tiny(), square = S::zero();
        for (int g = 0; g < width; g += group) {
            V squares[2] = {S::zero(), S::zero()};
            for (int d = g; d < g + group && d < width; d += lanes) {
                V column[lanes];
                load_transposed(column, x, stride, count, d, width);
                for (int i = 0; i < lanes; ++i) {
                    high = Int8::max_abs(high, column[i]);
                    squares[i % 4 / 2] = S::fma(column[i], column[i], squares[i % 4 / 2]);
                }
            }
            square = S::max(square, S::max(squares[0], squares[1]));
        }
        alignas(64) float norm[lanes];
        S::store(norm, square);
        for (float& each : norm) each = std::sqrt(each);
        return S::max(S::mul(high, S::broadcast(1 / Sums16::max_weight)),
                      S::mul(S::load(norm), S::broadcast(1 / Sums16::weight_norm)));
    }
};

}  // namespace
}  // namespace bothways
