// Queries and keys of one attention head as codes of 8 bits, for scores by dot products of bytes.
//
// Codes are symmetric, with a step for each query and each key: x = step * code, codes -127 to 127. Those
// of queries are stored with 128 added, as the dot products want them; `offset` takes that away again.
#pragma once

#include "dots.h"
#include "row_ops.h"

namespace bothways {
namespace {

template <class S>
struct Coded {
    using V = typename S::V;
    using Row = RowKernels<S>;
    static constexpr int lanes = S::lanes;
    static constexpr int panel = lanes * S::tile_vectors;
    static constexpr float most = 127, middle = 128;

    static int quads(int width) { return (width + 3) / 4; }
    // Bytes from the codes of one query to those of the next.
    static std::ptrdiff_t query_stride(int width) { return (width + lanes - 1) / lanes * lanes; }

    struct Keys {
        std::int8_t* codes;  // (panels, quads, panel, 4)
        float* step;         // (panels, panel)
        float* offset;       // the same: what 128 in each code of a query adds to the product, negated
    };

    // The largest absolute value there is, or a little where that is 0.
    static V largest(V high, V x) { return S::max(high, S::max(x, S::sub(S::zero(), x))); }
    static V little() { return S::set(1e-30f); }

    static void pack(const Head& head, const Keys& keys) {
        for (int key = 0; key < head.length; key += lanes) {
            const int count = head.length - key < lanes ? head.length - key : lanes;
            const float* from = head.key + key * head.stride;
            const V high = largest_of(from, head.stride, count, head.width);
            const V factor = S::div(S::set(most), high);
            std::int8_t* to = keys.codes + std::ptrdiff_t(key / panel) * quads(head.width) * panel * 4 +
                              key % panel * 4;
            Row::vectors(head.width, [&](int d, int width) {
                V column[lanes];
                turn(column, from + d, head.stride, count, width);
                for (V& x : column) x = S::mul(x, factor);
                for (int i = 0; i < width; i += 4)
                    S::store_quads(to + std::ptrdiff_t(d + i) * panel, column[i], column[i + 1],
                                   column[i + 2], column[i + 3]);
            });
            const V step = S::mul(high, S::set(1 / most));
            S::store(keys.step + key, step);
            const V sum = sum_of(to, quads(head.width));
            constexpr float added = middle + static_cast<float>(S::code_shift);
            S::store(keys.offset + key, S::mul(S::mul(sum, S::set(-added)), step));
        }
    }

    // Of each of `count` rows, as the lanes of one vector.
    static V largest_of(const float* x, std::ptrdiff_t stride, int count, int width) {
        V high[lanes];
        for (int j = 0; j < lanes; ++j) {
            high[j] = little();
            if (j < count)
                Row::vectors(width, [&](int d, int n) {
                    high[j] = largest(high[j], Row::load(x + j * stride + d, n));
                });
        }
        S::transpose(high);
        for (int j = 1; j < lanes; ++j) high[0] = S::max(high[0], high[j]);
        return high[0];
    }

    // Up to `lanes` rows of `width` numbers, as columns; the rest is 0.
    static void turn(V (&column)[lanes], const float* x, std::ptrdiff_t stride, int count, int width) {
        for (int j = 0; j < lanes; ++j)
            column[j] = j < count ? Row::load(x + j * stride, width) : S::zero();
        S::transpose(column);
    }

    // Of the codes of each lane's key.
    static V sum_of(const std::int8_t* codes, int quads) {
        constexpr std::uint8_t one = 1 - S::code_shift;
        constexpr std::uint8_t ones[4] = {one, one, one, one};
        const auto row = S::four_codes(ones);
        typename S::I sum = S::izero();
        for (int q = 0; q < quads; ++q) sum = S::dot(sum, row, S::weights(codes + q * panel * 4));
        return S::to_float(sum);
    }

    // Codes and steps of `rows` queries.
    static void quantise(const float* x, std::ptrdiff_t stride, int rows, int width, std::uint8_t* codes,
                         float* step) {
        for (int r = 0; r < rows; ++r, x += stride, codes += query_stride(width)) {
            V high = little();
            Row::vectors(width, [&](int d, int n) { high = largest(high, Row::load(x + d, n)); });
            step[r] = S::largest(high) * (1 / most);
            const V factor = S::set(1 / step[r]);
            Row::vectors(width, [&](int d, int n) {
                S::store_codes(codes + d, S::fma(Row::load(x + d, n), factor, S::set(middle)));
            });
        }
    }
};

}  // namespace
}  // namespace bothways
