// Matrix products with packed weights in int8, in both schemes (Int8Scheme in kernels.h).
//
// Sums of each group of inputs are integers; the scale of the group is applied to each, and the scales of
// the outputs at the end.
#pragma once

#include "tiles.h"
#include "vec_math.h"

namespace bothways {
namespace {

template <Simd S>
struct GemmInt8 {
    using V = typename S::F32;
    static constexpr int NR = S::NR_INT8;
    static constexpr int nr = S::lanes * NR;
    static constexpr int group = int8_group(S::int8_scheme);
    static constexpr int block = int8_block<S>;
    static constexpr int steps_per_group = group / block;

    static void gemm(const GemmArgs& args) {
        const int groups = (args.k + group - 1) / group;
        const int steps = S::int8_scheme == Int8Scheme::sums16 ? groups * steps_per_group
                                                               : (args.k + block - 1) / block;
        for_each_tile<S::MR_INT8>(
            args, args.packed_b8, std::ptrdiff_t(block) * nr * steps, steps,
            [&]<int MR>(int panel, int row, Prefetch prefetch) {
                Tile tile;
                if constexpr (S::int8_scheme == Int8Scheme::sums16) {
                    args.b_start ? sums16<MR, true>(tile, args, panel, row, groups, prefetch)
                                 : sums16<MR, false>(tile, args, panel, row, groups, prefetch);
                } else {
                    sums32<MR>(tile, args, panel, row, steps, prefetch);
                }
                tile.rows = MR;
                tile.finish(args, row, panel);
            });
    }

private:
    using Tile = bothways::Tile<S, S::MR_INT8, NR, FastVecMath<S>>;

    template <int MR>
    static void sums32(Tile& tile, const GemmArgs& args, int panel, int row, int steps, Prefetch prefetch) {
        const QuantizedRows& a = args.in.quantized;
        const int groups = (args.k + group - 1) / group;
        const std::int8_t* b = args.packed_b8 + std::ptrdiff_t(panel) * steps * nr * block;
        V total[MR][NR];
        add_zero_points(total, args, panel, row, groups);
        for (int g = 0; g < groups; ++g) {
            const std::ptrdiff_t at = std::ptrdiff_t(g) * a.capacity + row;
            const int count = g + 1 < groups ? steps_per_group : steps - g * steps_per_group;
            typename S::I32 acc[MR][NR];
            multiply<MR>(acc, a.q8 + at * group, b, count, prefetch.advanced(g * steps_per_group));
            BOTHWAYS_UNROLL
            for (int r = 0; r < MR; ++r) {
                const V scale = S::broadcast(a.scale[at + r]);
                BOTHWAYS_UNROLL
                for (int v = 0; v < NR; ++v) total[r][v] = S::fma(S::to_float(acc[r][v]), scale, total[r][v]);
            }
            b += std::ptrdiff_t(count) * nr * block;
        }
        apply_output_scales<MR>(tile, args, panel, [&](int r, int v) { return total[r][v]; });
    }

    template <int MR, class P>
    BOTHWAYS_INLINE static void multiply(typename S::I32 (&acc)[MR][NR], const std::uint8_t* a,
                                         const std::int8_t* b, int steps, P prefetch) {
        if constexpr (RowPairSimd<S>)
            microkernel_row_pairs<S, MR, NR>(acc, a, group, b, nr * block, steps, prefetch);
        else
            microkernel_int8<S, MR, NR>(acc, a, group, b, nr * block, steps, prefetch);
    }

    // total = sum over groups of zero point times sum of q8 weights, in units of b_scale.
    template <int MR>
    BOTHWAYS_INLINE static void add_zero_points(V (&total)[MR][NR], const GemmArgs& args, int panel, int row,
                                                int groups) {
        zero_tile<S>(total);
        if (args.b_sum)
            microkernel_fp32<S, MR, NR>(total, args.in.quantized.zero_point + std::ptrdiff_t(row) * groups,
                                        groups, args.b_sum + std::ptrdiff_t(panel) * groups * nr, nr, groups,
                                        NoPrefetch{});
    }

    // The totals are in memory: with the 16-bit sums, they would not fit into the registers of AVX2.
    template <int MR, bool starts>
    static void sums16(Tile& tile, const GemmArgs& args, int panel, int row, int groups, Prefetch prefetch) {
        const QuantizedRows& a = args.in.quantized;
        const std::int8_t* b = args.packed_b8 + std::ptrdiff_t(panel) * groups * group * nr;
        const std::int16_t* start =
            starts ? args.b_start + std::ptrdiff_t(panel) * groups * nr * 2 : nullptr;
        for (int r = 0; r < MR; ++r)
            for (int v = 0; v < NR; ++v) S::store(tile.at(r, v), S::zero());
        for (int g = 0; g < groups; ++g) {
            const std::ptrdiff_t at = std::ptrdiff_t(g) * a.capacity + row;
            typename S::I16 acc[MR][NR];
            microkernel_sums16<S, MR, NR, starts>(acc, a.q8 + at * group, group, b, start,
                                                  prefetch.advanced(g * steps_per_group));
            BOTHWAYS_UNROLL
            for (int r = 0; r < MR; ++r) {
                const V scale = S::broadcast(a.scale[at + r]);
                BOTHWAYS_UNROLL
                for (int v = 0; v < NR; ++v)
                    S::store(tile.at(r, v),
                             S::fma(S::to_float(S::add_pairs(acc[r][v])), scale, S::load(tile.at(r, v))));
            }
            b += group * nr;
            if (starts) start += nr * 2;
        }
        apply_output_scales<MR>(tile, args, panel, [&](int r, int v) { return S::load(tile.at(r, v)); });
    }

    // tile = total(r, v) times the outputs' scales, plus bias.
    template <int MR, class F>
    BOTHWAYS_INLINE static void apply_output_scales(Tile& tile, const GemmArgs& args, int panel, F total) {
        const std::ptrdiff_t column = std::ptrdiff_t(panel) * nr;
        BOTHWAYS_UNROLL
        for (int r = 0; r < MR; ++r)
            BOTHWAYS_UNROLL
            for (int v = 0; v < NR; ++v) {
                const V scale = S::load(args.b_scale + column + v * S::lanes);
                const V bias = S::load(args.bias + column + v * S::lanes);
                S::store(tile.at(r, v), S::fma(total(r, v), scale, bias));
            }
    }
};

}  // namespace
}  // namespace bothways
