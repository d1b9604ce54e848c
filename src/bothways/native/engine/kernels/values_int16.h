// Values and softmax weights of one attention head in 16 bits, for weighted sums from integer dot products.
//
// Quantization is symmetric: a value is its column's scale times a code. Codes are as large as their sums in 32
// bits allow, whatever the numbers are (WeightedSum16).
#pragma once

#include "qk_int8.h"

namespace bothways {
namespace {

template <Simd S>
struct ValuesInt16 {
    using V = typename S::F32;
    using Ops = RowOps<S>;
    static constexpr int lanes = S::lanes;

    std::int16_t* codes;  // (pairs of keys, width rounded up to vectors, 2)
    float* scale;         // (width rounded up to vectors)

    static int padded_width(int width) { return (width + lanes - 1) / lanes * lanes; }

    void quantize(const AttentionArgs& args) const {
        const std::ptrdiff_t pair_stride = 2 * padded_width(args.width);
        Ops::for_each_vector(args.width, [&](int d, int n) {
            const float* x = args.value + d;
            V high = QkInt8<S>::tiny();
            for (int key = 0; key < args.length; ++key)
                high = QkInt8<S>::max_abs(high, Ops::load(x + key * args.stride, n));
            S::store(scale + d, S::mul(high, S::broadcast(1.0f / WeightedSum16::max_value)));
            const V inverse_scale = S::div(S::broadcast(WeightedSum16::max_value), high);
            std::int16_t* to = codes + 2 * d;
            for (int key = 0; key < args.length; key += 2, x += 2 * args.stride, to += pair_stride) {
                const V second = key + 1 < args.length ? Ops::load(x + args.stride, n) : S::zero();
                S::store_i16x2(to, S::mul(Ops::load(x, n), inverse_scale), S::mul(second, inverse_scale));
            }
        });
    }
};

}  // namespace
}  // namespace bothways
