// Attention scores of a block of queries against a tile of keys, with bias and window.
#pragma once

#include "attention_scratch.h"

namespace bothways {
namespace {

// The keys that the query at position `query` attends to: [first, last).
struct KeyRange {
    int first, last;
    KeyRange(const AttentionArgs& args, int query) : first(0), last(args.causal ? query + 1 : args.length) {
        if (args.keys >= 0 && last > args.keys) last = args.keys;
        if (args.window < 0) return;
        if (query > args.window) first = query - args.window;
        if (last - query - 1 > args.window) last = query + args.window + 1;
    }
};

// The scores of MR queries, the first at position `query`.
template <Simd S, int MR>
struct ScoreBlock {
    using V = typename S::F32;
    using Tiles = AttentionTiles<S>;
    using Qk = QkInt8<S>;
    static constexpr int lanes = S::lanes, nr = Tiles::nr, kc = Tiles::kc;
    static constexpr float masked = -std::numeric_limits<float>::infinity();

    const AttentionArgs& args;
    const Scratch<S>& scratch;
    int query;

    // Call once before the first tile.
    void prepare() const {
        if (Tiles::uses_int8_scores(args))
            Qk::quantize_queries(args.query + query * args.stride, args.stride, MR, args.width,
                                 scratch.queries, scratch.query_scale);
    }

    // Fills scratch.scores for the keys [key, key + keys), where `key` starts a panel, and scratch.row_max
    // with the largest score of each row in each lane. Masked scores are minus infinity.
    void compute(int key, int keys) const {
        for (int r = 0; r < MR; ++r) S::store(scratch.row_max + r * lanes, S::broadcast(masked));
        for (int first = 0; first < keys; first += nr) {
            const Panel panel{key, first, keys - first < nr ? keys - first : nr};
            const int vectors = Tiles::round_up(panel.count, lanes) / lanes;
            if (Tiles::uses_int8_scores(args))
                with_constant<S::NR>(vectors, [&]<int NR>() { int8_panel<NR>(panel); });
            else
                with_constant<S::NR>(vectors, [&]<int NR>() { fp32_panel<NR>(panel); });
        }
    }

private:
    // `count` keys of the tile that starts at `key`, the first of them in column `column` of the scores.
    struct Panel {
        int key, column, count;
        int first_key() const { return key + column; }
    };

    template <int NR>
    void fp32_panel(const Panel& panel) const {
        V acc[MR][NR];
        zero_tile<S>(acc);
        microkernel_fp32<S, MR, NR>(acc, args.query + query * args.stride, args.stride,
                                    scratch.keys + std::ptrdiff_t(panel.first_key()) * args.width, nr,
                                    args.width, NoPrefetch{});
        store_scores<NR>(panel, [&](int r, int v) { return acc[r][v]; });
    }

    template <int NR>
    void int8_panel(const Panel& panel) const {
        const int key = panel.first_key(), quads = Qk::quads(args.width);
        typename S::I32 acc[MR][NR];
        microkernel_int8<S, MR, NR>(acc, scratch.queries, Qk::query_stride(args.width),
                                    scratch.int8_keys.q8 + std::ptrdiff_t(key) * quads * 4, nr * 4, quads,
                                    NoPrefetch{});
        V scale[NR], correction[NR];
        for (int v = 0; v < NR; ++v) {
            scale[v] = S::load(scratch.int8_keys.scale + key + v * lanes);
            correction[v] = S::load(scratch.int8_keys.zero_point_correction + key + v * lanes);
        }
        store_scores<NR>(panel, [&](int r, int v) {
            return S::mul(S::fma(S::to_float(acc[r][v]), scale[v], correction[v]),
                          S::broadcast(scratch.query_scale[r]));
        });
    }

    // Stores score(r, v) for each row and vector, and updates row_max.
    template <int NR, class F>
    BOTHWAYS_INLINE void store_scores(const Panel& panel, F score) const {
        const bool unmasked = !args.bias && panel.count == NR * lanes && all_see(panel);
        BOTHWAYS_UNROLL
        for (int r = 0; r < MR; ++r) {
            V high = S::load(scratch.row_max + r * lanes);
            BOTHWAYS_UNROLL
            for (int v = 0; v < NR; ++v) {
                const V x = score(r, v);
                S::store(scratch.scores + r * kc + panel.column + v * lanes, x);
                high = S::max(high, x);
            }
            if (unmasked) S::store(scratch.row_max + r * lanes, high);
        }
        if (!unmasked) add_bias_and_mask(panel, NR);
    }

    // Whether every query of the block sees every key of the panel.
    bool all_see(const Panel& panel) const {
        return KeyRange(args, query + MR - 1).first <= panel.first_key() &&
               panel.first_key() + panel.count <= KeyRange(args, query).last;
    }

    // In a second pass over the stored scores, so that the first pass stays in registers.
    void add_bias_and_mask(const Panel& panel, int vectors) const {
        for (int r = 0; r < MR; ++r) {
            V high = S::load(scratch.row_max + r * lanes);
            for (int v = 0; v < vectors; ++v) {
                float* score = scratch.scores + r * kc + panel.column + v * lanes;
                const V x = biased_and_masked(S::load(score), query + r, panel.first_key() + v * lanes);
                S::store(score, x);
                high = S::max(high, x);
            }
            S::store(scratch.row_max + r * lanes, high);
        }
    }

    // x holds the scores of one query against `lanes` keys from `key`.
    V biased_and_masked(V x, int query, int key) const {
        if (args.bias) x = S::add(x, S::load(args.bias + (key + args.bias_step * query)));
        const KeyRange range(args, query);
        const int first = clamp_lane(range.first - key), last = clamp_lane(range.last - key);
        return first > 0 || last < lanes ? S::blend_range(x, first, last, masked) : x;
    }
    static int clamp_lane(int lane) { return lane < 0 ? 0 : lane > lanes ? lanes : lane; }
};

}  // namespace
}  // namespace bothways
