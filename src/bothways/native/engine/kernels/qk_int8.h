// Queries and keys of one attention head in 8 bits, for scores from int8 dot products.
//
// Quantization is symmetric with one scale per query and per key: x = scale * q8, -127 <= q8 <= 127. Queries
// are stored with a zero point of 128, because dot4 takes an unsigned first operand; each key has a
// correction that subtracts the product of that zero point and the key.
#pragma once

#include "../kernels.h"
#include "microkernel.h"
#include "row_ops.h"

namespace bothways {
namespace {

template <Simd S>
struct QkInt8 {
    using V = typename S::F32;
    using Ops = RowOps<S>;
    static constexpr int lanes = S::lanes;
    static constexpr int nr = lanes * S::NR;
    static constexpr float max_q8 = 127, query_zero_point = 128;

    static int quads(int width) { return (width + 3) / 4; }
    // Bytes between the starts of consecutive queries.
    static std::ptrdiff_t query_stride(int width) { return (width + lanes - 1) / lanes * lanes; }

    struct Keys {
        std::int8_t* q8;               // (panels, quads, nr, 4)
        float* scale;                  // (panels, nr)
        float* zero_point_correction;  // (panels, nr)
    };

    static V max_abs(V high, V x) { return S::max(high, S::max(x, S::sub(S::zero(), x))); }
    // The smallest max_abs, so that rows of zeros have a scale.
    static V tiny() { return S::broadcast(1e-30f); }

    static void pack_keys(const AttentionArgs& args, const Keys& keys) {
        for (int key = 0; key < args.length; key += lanes) {
            const int count = args.length - key < lanes ? args.length - key : lanes;
            const float* from = args.key + key * args.stride;
            const V high = max_abs_of_rows(from, args.stride, count, args.width);
            const V inverse_scale = S::div(S::broadcast(max_q8), high);
            std::int8_t* to =
                keys.q8 + std::ptrdiff_t(key / nr) * quads(args.width) * nr * 4 + key % nr * 4;
            Ops::for_each_vector(args.width, [&](int d, int n) {
                V column[lanes];
                load_transposed(column, from + d, args.stride, count, n);
                for (V& x : column) x = S::mul(x, inverse_scale);
                for (int i = 0; i < n; i += 4)
                    S::store_i8x4(to + std::ptrdiff_t(d + i) * nr, column[i], column[i + 1], column[i + 2],
                                  column[i + 3]);
            });
            const V scale = S::mul(high, S::broadcast(1 / max_q8));
            S::store(keys.scale + key, scale);
            const V sum = sum_of_keys(to, quads(args.width));
            // What is left of the zero point after dot4 has subtracted its own.
            constexpr float zero_point = query_zero_point - static_cast<float>(S::a_zero_point);
            S::store(keys.zero_point_correction + key,
                     S::mul(S::mul(sum, S::broadcast(-zero_point)), scale));
        }
    }

    // The largest absolute value of each of `count` rows, one row per lane.
    static V max_abs_of_rows(const float* x, std::ptrdiff_t stride, int count, int width) {
        V high[lanes];
        for (int j = 0; j < lanes; ++j) {
            high[j] = tiny();
            if (j < count)
                Ops::for_each_vector(width, [&](int d, int n) {
                    high[j] = max_abs(high[j], Ops::load(x + j * stride + d, n));
                });
        }
        S::transpose(high);
        for (int j = 1; j < lanes; ++j) high[0] = S::max(high[0], high[j]);
        return high[0];
    }

    // Loads n columns of `count` rows, one row per lane; the other lanes are 0.
    static void load_transposed(V (&column)[lanes], const float* x, std::ptrdiff_t stride, int count, int n) {
        for (int j = 0; j < lanes; ++j)
            column[j] = j < count ? Ops::load(x + j * stride, n) : S::zero();
        S::transpose(column);
    }

    // The sum of the q8 of each lane's key, as a dot product with ones.
    static V sum_of_keys(const std::int8_t* q8, int quads) {
        constexpr std::uint8_t one = 1 + S::a_zero_point;
        constexpr std::uint8_t ones[4] = {one, one, one, one};
        const auto a = S::broadcast4(ones);
        typename S::I32 acc = S::zero_i32();
        for (int quad = 0; quad < quads; ++quad) acc = S::dot4(acc, a, S::load_i8(q8 + quad * nr * 4));
        return S::to_float(acc);
    }

    static void quantize_queries(const float* x, std::ptrdiff_t stride, int rows, int width,
                                 std::uint8_t* q8, float* scale) {
        for (int r = 0; r < rows; ++r, x += stride, q8 += query_stride(width)) {
            V high = tiny();
            Ops::for_each_vector(width, [&](int d, int n) { high = max_abs(high, Ops::load(x + d, n)); });
            scale[r] = S::reduce_max(high) * (1 / max_q8);
            const V inverse_scale = S::broadcast(1 / scale[r]);
            Ops::for_each_vector(width, [&](int d, int n) {
                S::store_u8_sat(q8 + d, S::fma(Ops::load(x + d, n), inverse_scale,
                                               S::broadcast(query_zero_point)));
            });
        }
    }
};

}  // namespace
}  // namespace bothways
