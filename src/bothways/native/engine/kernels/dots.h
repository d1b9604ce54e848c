// The heart of every int8 product: a tile of whole-number sums kept in registers.
#pragma once

#include "../kernels.h"
#include "tile.h"

namespace bothways {
namespace {

// sum (ROWS, dot_vectors) = codes (ROWS, 4 steps) · weights (steps, dot_vectors * lanes, 4);
// rows of codes are `QuantisedRows::group` bytes apart.
template <class S, int ROWS>
struct Dots {
    static BOTHWAYS_INLINE void run(typename S::I (&sum)[ROWS][S::dot_vectors],
                                    const std::uint8_t* codes, const std::int8_t* weights,
                                    int steps, Prefetch ahead) {
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < S::dot_vectors; ++v) sum[r][v] = S::izero();
        for (int step = 0; step < steps; ++step) {
            decltype(S::weights(weights)) column[S::dot_vectors];
            for (int v = 0; v < S::dot_vectors; ++v)
                column[v] = S::weights(weights + v * S::lanes * 4);
            for (int r = 0; r < ROWS; ++r) {
                const auto row = S::four_codes(codes + r * QuantisedRows::group);
                for (int v = 0; v < S::dot_vectors; ++v)
                    sum[r][v] = S::dot(sum[r][v], row, column[v]);
            }
            ahead.fetch(step);
            codes += 4;
            weights += S::dot_vectors * S::lanes * 4;
        }
    }
};

}  // namespace
}  // namespace bothways
