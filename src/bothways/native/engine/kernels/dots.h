// The heart of every int8 product: a tile of whole-number sums kept in registers.
#pragma once

#include "../kernels.h"
#include "microkernel.h"

namespace bothways {
namespace {

// sum (ROWS, VECTORS) = codes (ROWS, 4 steps) · weights (steps, VECTORS * lanes, 4); rows of codes are
// `stride` bytes apart, and the weights of a step `apart` bytes from those of the one before.
template <class S, int ROWS, int VECTORS, class P>
BOTHWAYS_INLINE void dots(typename S::I (&sum)[ROWS][VECTORS], const std::uint8_t* codes,
                          std::ptrdiff_t stride, const std::int8_t* weights, std::ptrdiff_t apart,
                          int steps, P ahead) {
    for (int r = 0; r < ROWS; ++r)
        for (int v = 0; v < VECTORS; ++v) sum[r][v] = S::izero();
    for (int step = 0; step < steps; ++step) {
        decltype(S::weights(weights)) column[VECTORS];
        for (int v = 0; v < VECTORS; ++v) column[v] = S::weights(weights + v * S::lanes * 4);
        for (int r = 0; r < ROWS; ++r) {
            const auto row = S::four_codes(codes + r * stride);
            for (int v = 0; v < VECTORS; ++v) sum[r][v] = S::dot(sum[r][v], row, column[v]);
        }
        ahead.fetch(step);
        codes += 4;
        weights += apart;
    }
}

}  // namespace
}  // namespace bothways
