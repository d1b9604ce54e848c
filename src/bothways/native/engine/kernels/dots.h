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
                                    int steps) {
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < S::dot_vectors; ++v) sum[r][v] = S::izero();
        for (int step = 0; step < steps; ++step) {
            for (int v = 0; v < S::dot_vectors; ++v)
                for (int r = 0; r < ROWS; ++r)
                    sum[r][v] = S::dot(sum[r][v], codes + r * QuantisedRows::group,
                                       weights + v * S::lanes * 4);
            codes += 4;
            weights += S::dot_vectors * S::lanes * 4;
        }
    }
};

}  // namespace
}  // namespace bothways
