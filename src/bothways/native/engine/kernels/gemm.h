// Matrix products with packed weights in fp32 and int8, with their epilogue: activation and accumulation.
//
// The outer loop runs over panels, so a panel's weights stay in cache while all rows of A pass over it. A
// machine with another kind of microkernel (tiles of AMX) specializes Gemm<S>, in whole or by its tiles:
// the rest of the engine knows only the kernel table and the widths of panels.
#pragma once

#include "../kernels.h"
#include "microkernel.h"
#include "vec_math.h"

namespace bothways {
namespace {

// Prefetches the next panel while this one is computed, spread evenly over its row blocks and steps of k:
// the weights do not all fit into the cache, and the microkernel would otherwise wait for them.
struct PanelPrefetch {
    const char* next;
    std::ptrdiff_t bytes_per_step, bytes_per_block;

    template <class T>
    PanelPrefetch(const T* packed, std::ptrdiff_t panel_bytes, int panel, int last_panel, int blocks,
                  int steps)
        : next(reinterpret_cast<const char*>(packed) + (panel + 1) * panel_bytes),
          bytes_per_step(panel_bytes / (std::ptrdiff_t(blocks) * steps) + 1),
          bytes_per_block(bytes_per_step * steps) {
        // After the last panel there is nothing to prefetch.
        if (panel + 1 == last_panel) next -= panel_bytes, bytes_per_step = bytes_per_block = 0;
    }
    Prefetch block(int index) const { return {next + index * bytes_per_block, bytes_per_step}; }
};

template <Simd S>
struct Gemm {
    using V = typename S::F32;
    static constexpr int nr = S::lanes * S::NR;
    static constexpr int int8_nr = S::lanes * S::NR_INT8;
    static constexpr int max_nr = nr > int8_nr ? nr : int8_nr;
    static constexpr int max_mr = S::MR > S::MR_INT8 ? S::MR : S::MR_INT8;

    // Results of a tile, between registers and C.
    struct Tile {
        alignas(64) float c[max_mr * max_nr];
        int mr;
        int nr;
        int columns;  // outputs among the nr; the rest of the last panel is padding
    };

    static void fp32(const GemmArgs& args) {
        const RowBlocks blocks(args.in.m, S::MR);
        const std::ptrdiff_t panel_bytes = std::ptrdiff_t(sizeof(float)) * nr * args.k;
        for (int panel = args.first_panel; panel < args.last_panel; ++panel) {
            const PanelPrefetch next(args.packed_b, panel_bytes, panel, args.last_panel, blocks.count, args.k);
            for (int block = 0; block < blocks.count; ++block)
                with_constant<S::MR>(blocks.size(block), [&]<int MR>() {
                    tile_fp32<MR>(args, panel, blocks.first(block), next.block(block));
                });
        }
    }

    static void int8(const GemmArgs& args) {
        const RowBlocks blocks(args.in.m, S::MR_INT8);
        const int quads = (args.k + 3) / 4;
        const std::ptrdiff_t panel_bytes = std::ptrdiff_t(4) * int8_nr * quads;
        for (int panel = args.first_panel; panel < args.last_panel; ++panel) {
            const PanelPrefetch next(args.packed_b8, panel_bytes, panel, args.last_panel, blocks.count, quads);
            for (int block = 0; block < blocks.count; ++block)
                with_constant<S::MR_INT8>(blocks.size(block), [&]<int MR>() {
                    tile_int8<MR>(args, panel, blocks.first(block), next.block(block));
                });
        }
    }

    // The sum starts at 0, and the bias is added last: partial sums on top of a large bias would each be
    // rounded to the bias's precision.
    template <int MR>
    static void tile_fp32(const GemmArgs& args, int panel, int row, Prefetch prefetch) {
        constexpr int NR = S::NR;
        const float* bias = args.bias + std::ptrdiff_t(panel) * nr;
        V acc[MR][NR];
        zero_tile<S>(acc);
        microkernel_fp32<S, MR, NR>(acc, args.in.a + row * args.in.lda, args.in.lda,
                                    args.packed_b + std::ptrdiff_t(panel) * args.k * nr, nr, args.k, prefetch);
        Tile tile;
        for (int r = 0; r < MR; ++r)
            for (int v = 0; v < NR; ++v)
                S::store(tile.c + r * nr + v * S::lanes, S::add(acc[r][v], S::load(bias + v * S::lanes)));
        tile.mr = MR;
        tile.nr = nr;
        epilogue<VecMath<S>>(args, tile, row, panel);
    }

    // Sums of each group of inputs are integers; their scales and zero points are applied group by group.
    template <int MR>
    static void tile_int8(const GemmArgs& args, int panel, int row, Prefetch prefetch) {
        constexpr int NR = S::NR_INT8;
        constexpr int group = QuantizedRows::group;
        const QuantizedRows& a = args.in.quantized;
        const int groups = (args.k + group - 1) / group;
        const int quads = (args.k + 3) / 4;
        const std::int8_t* b = args.packed_b8 + std::ptrdiff_t(panel) * quads * int8_nr * 4;
        V total[MR][NR];
        add_zero_points(total, args, panel, row, groups);
        for (int g = 0; g < groups; ++g) {
            const std::ptrdiff_t at = std::ptrdiff_t(g) * a.capacity + row;
            const int kc4 = g + 1 < groups ? group / 4 : quads - g * (group / 4);
            typename S::I32 acc[MR][NR];
            microkernel_int8<S, MR, NR>(acc, a.q8 + at * group, group, b, int8_nr * 4, kc4,
                                        prefetch.advanced(g * (group / 4)));
            BOTHWAYS_UNROLL
            for (int r = 0; r < MR; ++r) {
                const V scale = S::broadcast(a.scale[at + r]);
                BOTHWAYS_UNROLL
                for (int v = 0; v < NR; ++v) total[r][v] = S::fma(S::to_float(acc[r][v]), scale, total[r][v]);
            }
            b += std::ptrdiff_t(kc4) * int8_nr * 4;
        }
        const std::ptrdiff_t column = std::ptrdiff_t(panel) * int8_nr;
        Tile tile;
        BOTHWAYS_UNROLL
        for (int r = 0; r < MR; ++r)
            BOTHWAYS_UNROLL
            for (int v = 0; v < NR; ++v) {
                const V scale = S::load(args.b_scale + column + v * S::lanes);
                const V bias = S::load(args.bias + column + v * S::lanes);
                S::store(tile.c + r * int8_nr + v * S::lanes, S::fma(total[r][v], scale, bias));
            }
        tile.mr = MR;
        tile.nr = int8_nr;
        epilogue<FastVecMath<S>>(args, tile, row, panel);
    }

    // total = sum over groups of zero point times sum of q8 weights, in units of b_scale.
    template <int MR>
    BOTHWAYS_INLINE static void add_zero_points(V (&total)[MR][S::NR_INT8], const GemmArgs& args, int panel,
                                                int row, int groups) {
        zero_tile<S>(total);
        if (args.b_sum)
            microkernel_fp32<S, MR, S::NR_INT8>(
                total, args.in.quantized.zero_point + std::ptrdiff_t(row) * groups, groups,
                args.b_sum + std::ptrdiff_t(panel) * groups * int8_nr, int8_nr, groups, NoPrefetch{});
    }

    // Applies the activation to a tile and writes it to C.
    template <class Math>
    static void epilogue(const GemmArgs& args, Tile& tile, int row, int panel) {
        const int column = panel * tile.nr;
        tile.columns = args.n - column < tile.nr ? args.n - column : tile.nr;
        switch (args.activation) {
            case Activation::none: break;
            case Activation::relu: map(tile, [](V x) { return Math::relu(x); }); break;
            case Activation::gelu: map(tile, [](V x) { return Math::gelu(x); }); break;
            case Activation::gelu_tanh: map(tile, [](V x) { return Math::gelu_tanh(x); }); break;
            case Activation::silu: map(tile, [](V x) { return Math::silu(x); }); break;
        }
        float* c = args.c + row * args.ldc + column;
        switch (args.accumulate) {
            case Accumulate::store: write(tile, c, args.ldc, [](V, V x) { return x; }); break;
            case Accumulate::add: write(tile, c, args.ldc, [](V old, V x) { return S::add(old, x); }); break;
            case Accumulate::multiply:
                write(tile, c, args.ldc, [](V old, V x) { return S::mul(old, x); });
                break;
        }
    }

    template <class F>
    static void map(Tile& tile, F f) {
        for (int i = 0; i < tile.mr * tile.nr; i += S::lanes)
            S::store(tile.c + i, f(S::load(tile.c + i)));
    }

    template <class F>
    static void write(const Tile& tile, float* c, std::ptrdiff_t ldc, F combine) {
        for (int r = 0; r < tile.mr; ++r, c += ldc) {
            const float* from = tile.c + r * tile.nr;
            int j = 0;
            for (; j + S::lanes <= tile.columns; j += S::lanes)
                S::store(c + j, combine(S::load(c + j), S::load(from + j)));
            if (const int rest = tile.columns - j)
                S::store_partial(c + j, combine(S::load_partial(c + j, rest), S::load(from + j)), rest);
        }
    }
};

}  // namespace
}  // namespace bothways
