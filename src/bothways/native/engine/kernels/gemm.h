// Linear maps over packed weights, in fp32 and int8, with what follows them: activation, residual.
//
// A panel is a block of outputs whose weights lie together. Panels run outermost, so a panel's weights
// stay in cache while all the rows pass by.
#pragma once

#include "dots.h"
#include "vec_math.h"
#include "microkernel.h"

namespace bothways {
namespace {

// The next panel, brought into cache a little with each step of each block of rows that meets this one:
// there are more weights than the cache holds, and they would otherwise be waited for.
struct Ahead {
    const char* next;
    std::ptrdiff_t per_step, per_block;

    template <class T>
    Ahead(const T* panels, std::ptrdiff_t bytes, int number, int last_panel, int blocks, int steps)
        : next(reinterpret_cast<const char*>(panels) + (number + 1) * bytes),
          per_step(bytes / (std::ptrdiff_t(blocks) * steps) + 1),
          per_block(per_step * steps) {
        if (number + 1 == last_panel) next -= bytes, per_step = per_block = 0;
    }
    Prefetch block(int number) const { return {next + number * per_block, per_step}; }
};

template <class S>
struct Products {
    using V = typename S::V;
    static constexpr int panel = S::lanes * S::tile_vectors;
    static constexpr int int8_panel = S::lanes * S::dot_vectors;
    static constexpr int widest = panel > int8_panel ? panel : int8_panel;
    static constexpr int most_rows = S::tile_rows > S::dot_rows ? S::tile_rows : S::dot_rows;

    // Results of one tile on their way from registers to y.
    struct Tile {
        alignas(64) float at[most_rows * widest];
        int rows;
        int width;
        int columns;  // of `width`, those that exist
    };

    static void product(const Product& p) {
        RowBlocks blocks(p.in.count, S::tile_rows);
        const std::ptrdiff_t bytes = std::ptrdiff_t(sizeof(float)) * panel * p.inputs;
        for (int number = p.first_panel; number < p.last_panel; ++number) {
            const Ahead ahead(p.panels, bytes, number, p.last_panel, blocks.blocks, p.inputs);
            for (int block = 0; block < blocks.blocks; ++block) {
                with_constant<S::tile_rows>(blocks.first(block + 1) - blocks.first(block),
                                            Fp32{p, number, blocks.first(block), ahead.block(block)});
            }
        }
    }

    static void product_int8(const Product& p) {
        RowBlocks blocks(p.in.count, S::dot_rows);
        const int quads = (p.inputs + 3) / 4;
        const std::ptrdiff_t bytes = std::ptrdiff_t(4) * int8_panel * quads;
        for (int number = p.first_panel; number < p.last_panel; ++number) {
            const Ahead ahead(p.codes, bytes, number, p.last_panel, blocks.blocks, quads);
            for (int block = 0; block < blocks.blocks; ++block) {
                with_constant<S::dot_rows>(blocks.first(block + 1) - blocks.first(block),
                                           Int8{p, number, blocks.first(block), ahead.block(block)});
            }
        }
    }

    struct Fp32 {
        const Product& p;
        int number, row;
        Prefetch ahead;

        template <int ROWS>
        void run() const {
            constexpr int VECTORS = S::tile_vectors;
            const float* bias = p.bias + std::ptrdiff_t(number) * panel;
            V sum[ROWS][VECTORS];
            for (int r = 0; r < ROWS; ++r)
                for (int v = 0; v < VECTORS; ++v) sum[r][v] = S::load(bias + v * S::lanes);
            multiply_add<S, ROWS, VECTORS>(sum, p.in.x + row * p.in.stride, p.in.stride,
                                           p.panels + std::ptrdiff_t(number) * p.inputs * panel,
                                           panel, p.inputs, ahead);
            Tile tile;
            for (int r = 0; r < ROWS; ++r)
                for (int v = 0; v < VECTORS; ++v)
                    S::store(tile.at + r * panel + v * S::lanes, sum[r][v]);
            tile.rows = ROWS;
            tile.width = panel;
            finish<Mathematics<S>>(p, tile, row, number);
        }
    };

    struct Int8 {
        const Product& p;
        int number, row;
        Prefetch ahead;

        template <int ROWS>
        void run() const {
            constexpr int VECTORS = S::dot_vectors;
            constexpr int group = QuantisedRows::group;
            const QuantisedRows& q = p.in.quantised;
            const int groups = (p.inputs + group - 1) / group;
            const int quads = (p.inputs + 3) / 4;
            const std::int8_t* weights =
                p.codes + std::ptrdiff_t(number) * quads * int8_panel * 4;
            V total[ROWS][VECTORS];
            start(total, groups);
            for (int g = 0; g < groups; ++g) {
                const std::ptrdiff_t at = std::ptrdiff_t(g) * q.capacity + row;
                const int steps = g + 1 < groups ? group / 4 : quads - g * (group / 4);
                typename S::I sum[ROWS][VECTORS];
                dots<S, ROWS, VECTORS>(sum, q.codes + at * group, group, weights, int8_panel * 4, steps,
                                       ahead.after(g * (group / 4)));
                BOTHWAYS_UNROLL
                for (int r = 0; r < ROWS; ++r) {
                    const V step = S::set(q.step[at + r]);
                    BOTHWAYS_UNROLL
                    for (int v = 0; v < VECTORS; ++v)
                        total[r][v] = S::fma(S::to_float(sum[r][v]), step, total[r][v]);
                }
                weights += std::ptrdiff_t(steps) * int8_panel * 4;
            }
            const std::ptrdiff_t column = std::ptrdiff_t(number) * int8_panel;
            Tile tile;
            BOTHWAYS_UNROLL
            for (int r = 0; r < ROWS; ++r)
                BOTHWAYS_UNROLL
                for (int v = 0; v < VECTORS; ++v) {
                    const V step = S::load(p.weight_step + column + v * S::lanes);
                    const V bias = S::load(p.bias + column + v * S::lanes);
                    S::store(tile.at + r * int8_panel + v * S::lanes, S::fma(total[r][v], step, bias));
                }
            tile.rows = ROWS;
            tile.width = int8_panel;
            finish<CoarseMathematics<S>>(p, tile, row, number);
        }

        // total = what the offsets of all groups make, in steps of the weights.
        template <int ROWS>
        BOTHWAYS_INLINE void start(V (&total)[ROWS][S::dot_vectors], int groups) const {
            for (int r = 0; r < ROWS; ++r)
                for (int v = 0; v < S::dot_vectors; ++v) total[r][v] = S::zero();
            if (p.weight_sum)
                multiply_add<S, ROWS, S::dot_vectors>(
                    total, p.in.quantised.offset + std::ptrdiff_t(row) * groups, groups,
                    p.weight_sum + std::ptrdiff_t(number) * groups * int8_panel, int8_panel, groups,
                    NoPrefetch{});
        }
    };

    // Activates a tile and puts it where it belongs.
    template <class M>
    static void finish(const Product& p, Tile& tile, int row, int number) {
        const int column = number * tile.width;
        tile.columns = p.outputs - column < tile.width ? p.outputs - column : tile.width;
        switch (p.activation) {
            case Activation::none: break;
            case Activation::relu: map(tile, [](V x) { return M::relu(x); }); break;
            case Activation::gelu: map(tile, [](V x) { return M::gelu(x); }); break;
            case Activation::gelu_tanh: map(tile, [](V x) { return M::gelu_tanh(x); }); break;
            case Activation::silu: map(tile, [](V x) { return M::silu(x); }); break;
        }
        float* y = p.y + row * p.y_stride + column;
        switch (p.into) {
            case Into::store: put(tile, y, p.y_stride, [](V, V x) { return x; }); break;
            case Into::add: put(tile, y, p.y_stride, [](V old, V x) { return S::add(old, x); }); break;
            case Into::multiply:
                put(tile, y, p.y_stride, [](V old, V x) { return S::mul(old, x); });
                break;
        }
    }

    template <class F>
    static void map(Tile& tile, F f) {
        for (int i = 0; i < tile.rows * tile.width; i += S::lanes)
            S::store(tile.at + i, f(S::load(tile.at + i)));
    }

    template <class F>
    static void put(const Tile& tile, float* y, std::ptrdiff_t stride, F f) {
        for (int r = 0; r < tile.rows; ++r, y += stride) {
            const float* from = tile.at + r * tile.width;
            int c = 0;
            for (; c + S::lanes <= tile.columns; c += S::lanes)
                S::store(y + c, f(S::load(y + c), S::load(from + c)));
            if (const int left = tile.columns - c)
                S::store_first(y + c, f(S::load_first(y + c, left), S::load(from + c)), left);
        }
    }
};

}  // namespace
}  // namespace bothways
