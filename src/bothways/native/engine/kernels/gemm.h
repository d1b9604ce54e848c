// Matrix products with packed weights in fp32. gemm_int8.h has those in int8.
//
// A machine with another kind of microkernel (tiles of AMX) specializes Gemm<S> or GemmInt8<S>, in whole or by
// its tiles: the rest of the engine knows only the kernel table and the widths of panels.
#pragma once

#include "tiles.h"
#include "vec_math.h"

namespace bothways {
namespace {

template <Simd S>
struct Gemm {
    using V = typename S::F32;
    static constexpr int NR = S::NR;
    static constexpr int nr = S::lanes * NR;

    static void gemm(const GemmArgs& args) {
        for_each_tile<S::MR>(args, args.packed_b, std::ptrdiff_t(sizeof(float)) * nr * args.k, args.k,
                             [&]<int MR>(int panel, int row, Prefetch prefetch) {
                                 tile<MR>(args, panel, row, prefetch);
                             });
    }

private:
    // The sum starts at 0, and the bias is added last: partial sums on top of a large bias would each be
    // rounded to the bias's precision.
    template <int MR>
    static void tile(const GemmArgs& args, int panel, int row, Prefetch prefetch) {
        const float* bias = args.bias + std::ptrdiff_t(panel) * nr;
        V acc[MR][NR];
        zero_tile<S>(acc);
        microkernel_fp32<S, MR, NR>(acc, args.in.a + row * args.in.lda, args.in.lda,
                                    args.packed_b + std::ptrdiff_t(panel) * args.k * nr, nr, args.k, prefetch);
        Tile<S, S::MR, NR, VecMath<S>> tile;
        for (int r = 0; r < MR; ++r)
            for (int v = 0; v < NR; ++v)
                S::store(tile.at(r, v), S::add(acc[r][v], S::load(bias + v * S::lanes)));
        tile.rows = MR;
        tile.finish(args, row, panel);
    }
};

}  // namespace
}  // namespace bothways
