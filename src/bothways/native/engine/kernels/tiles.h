// Tiles of a matrix product: the loop over them, and their epilogue: activation and accumulation.
//
// The outer loop runs over panels, so a panel's weights stay in cache while all rows of A pass over it.
#pragma once

#include "../kernels.h"
#include "microkernel.h"

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

// Calls tile.operator()<MR>(panel, row, prefetch) for each tile of the product: MR rows, at most LIMIT, from
// `row` on. `packed` has panels of `panel_bytes`, which the microkernel reads in `steps`.
template <int LIMIT, class T, class F>
BOTHWAYS_INLINE void for_each_tile(const GemmArgs& args, const T* packed, std::ptrdiff_t panel_bytes,
                                   int steps, const F& tile) {
    const RowBlocks blocks(args.in.m, LIMIT);
    for (int panel = args.first_panel; panel < args.last_panel; ++panel) {
        const PanelPrefetch next(packed, panel_bytes, panel, args.last_panel, blocks.count, steps);
        for (int block = 0; block < blocks.count; ++block)
            with_constant<LIMIT>(blocks.size(block), [&]<int MR>() {
                tile.template operator()<MR>(panel, blocks.first(block), next.block(block));
            });
    }
}

// Results of a tile, between registers and C. `Math` has the activations.
template <Simd S, int MR, int NR, class Math>
struct Tile {
    using V = typename S::F32;
    static constexpr int nr = NR * S::lanes;

    alignas(64) float c[MR * nr];
    int rows;

    float* at(int row, int vector) { return c + row * nr + vector * S::lanes; }

    // Applies the activation and writes the tile to C, from `row` on.
    void finish(const GemmArgs& args, int row, int panel) {
        switch (args.activation) {
            case Activation::none: break;
            case Activation::relu: map([](V x) { return Math::relu(x); }); break;
            case Activation::gelu: map([](V x) { return Math::gelu(x); }); break;
            case Activation::gelu_tanh: map([](V x) { return Math::gelu_tanh(x); }); break;
            case Activation::silu: map([](V x) { return Math::silu(x); }); break;
            case Activation::tanh: map([](V x) { return Math::tanh(x); }); break;
        }
        const int column = panel * nr;
        const int columns = args.n - column < nr ? args.n - column : nr;  // the rest is padding
        float* to = args.c + row * args.ldc + column;
        switch (args.accumulate) {
            case Accumulate::store: write(to, args.ldc, columns, [](V, V x) { return x; }); break;
            case Accumulate::add:
                write(to, args.ldc, columns, [](V old, V x) { return S::add(old, x); });
                break;
            case Accumulate::multiply:
                write(to, args.ldc, columns, [](V old, V x) { return S::mul(old, x); });
                break;
        }
    }

private:
    template <class F>
    void map(F f) {
        for (int i = 0; i < rows * nr; i += S::lanes) S::store(c + i, f(S::load(c + i)));
    }

    template <class F>
    void write(float* to, std::ptrdiff_t ldc, int columns, F combine) const {
        for (int r = 0; r < rows; ++r, to += ldc) {
            const float* from = c + r * nr;
            int j = 0;
            for (; j + S::lanes <= columns; j += S::lanes)
                S::store(to + j, combine(S::load(to + j), S::load(from + j)));
            if (const int rest = columns - j)
                S::store_partial(to + j, combine(S::load_partial(to + j, rest), S::load(from + j)), rest);
        }
    }
};

}  // namespace
}  // namespace bothways
