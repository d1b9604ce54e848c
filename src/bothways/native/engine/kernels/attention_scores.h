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
    static constexpr int lanes = S::lanes, nr = Tiles::nr, kc = Tiles::kc;
    static constexpr float masked = -std::numeric_limits<float>::infinity();

    const AttentionArgs& args;
    const Scratch<S>& scratch;
    int query;

    // Call once before the first tile.
    void prepare() const {
        if (!Tiles::quantizes_scores(args)) return;
        const float* from = args.query + query * args.stride;
        if constexpr (S::has_dot4)
            QkInt8<S>::quantize_queries(from, args.stride, MR, args.width, scratch.queries,
                                        scratch.query_scale);
        else if constexpr (Tiles::has_sums16_scores)
            QkSums16<S>::quantize_queries(from, args.stride, MR, args.width, scratch.queries, scratch.query_scale);
    }

    // Fills scratch.scores for the keys [key, key + keys), where `key` starts a panel, and scratch.row_max
    // with the largest score of each row in each lane. Masked scores are minus infinity.
    void compute(int key, int keys) const {
        for (int r = 0; r < MR; ++r) S::store(scratch.row_max + r * lanes, S::broadcast(masked));
        for (int first = 0; first < keys; first += nr) {
            const Panel panel{key, first, keys - first < nr ? keys - first : nr};
            const int vectors = Tiles::round_up(panel.count, lanes) / lanes;
            if (Tiles::quantizes_scores(args))
                with_constant<S::NR>(vectors, [&]<int NR>() { integer_panel<NR>(panel); });
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
    void integer_panel(const Panel& panel) const {
        if constexpr (S::has_dot4)
            int8_panel<NR>(panel);
        else if constexpr (Tiles::has_sums16_scores)
            sums16_panel<NR>(panel);
    }

    template <int NR>
    void sums16_panel(const Panel& panel) const {
        using Qk = QkSums16<S>;
        const int key = panel.first_key();
        const std::uint8_t* q8 = scratch.queries;
        const std::int8_t* keys = scratch.sums16_keys.panel(key, args.width);
        const std::int16_t* start = scratch.sums16_keys.start_of(key, args.width);
        V total[MR][NR];
        add_group<NR>(total, true, q8, keys, start);
        for (int g = 1; g < Qk::groups(args.width); ++g)
            add_group<NR>(total, false, q8 + g * Qk::group, keys + g * Qk::group * nr, start + g * nr * 2);
        const float* query_scale = scratch.query_scale;
        V scale[NR];
        for (int v = 0; v < NR; ++v) scale[v] = S::load(scratch.sums16_keys.scale + key + v * lanes);
        store_scores<NR>(panel, [&](int r, int v) {
            return S::mul(S::mul(total[r][v], scale[v]), S::broadcast(query_scale[r]));
        });
    }

    // total (+)= the products of one group of inputs.
    template <int NR>
    BOTHWAYS_INLINE void add_group(V (&total)[MR][NR], bool is_first, const std::uint8_t* q8,
                                   const std::int8_t* keys, const std::int16_t* start) const {
        typename S::I16 acc[MR][NR];
        microkernel_sums16<S, MR, NR, true>(acc, q8, QkSums16<S>::query_stride(args.width), keys, nr * 4, start,
                                            NoPrefetch{});
        BOTHWAYS_UNROLL
        for (int r = 0; r < MR; ++r)
            BOTHWAYS_UNROLL
            for (int v = 0; v < NR; ++v) {
                const V sum = S::to_float(S::add_pairs(acc[r][v]));
                total[r][v] = is_first ? sum : S::add(total[r][v], sum);
            }
    }

    template <int NR>
    void int8_panel(const Panel& panel) const {
        using Qk = QkInt8<S>;
        const int key = panel.first_key(), quads = Qk::quads(args.width);
        typename S::I32 acc[MR][NR];
        microkernel_int8<S, MR, NR>(acc, scratch.queries, Qk::query_stride(args.width),
                                    scratch.int8_keys.q8 + std::ptrdiff_t(key) * quads * 4, nr * 4, quads,
                                    NoPrefetch{});
        const float* query_scale = scratch.query_scale;
        V scale[NR], correction[NR];
        for (int v = 0; v < NR; ++v) {
            scale[v] = S::load(scratch.int8_keys.scale + key + v * lanes);
            correction[v] = S::load(scratch.int8_keys.zero_point_correction + key + v * lanes);
        }
        store_scores<NR>(panel, [&](int r, int v) {
            return S::mul(S::fma(S::to_float(acc[r][v]), scale[v], correction[v]),
                          S::broadcast(query_scale[r]));
        });
    }

    // Stores score(r, v) for each row and vector, and updates row_max.
    template <int NR, class F>
    BOTHWAYS_INLINE void store_scores(const Panel& panel, F score) const {
        const bool unmasked = !args.bias && panel.count == NR * lanes && all_see(panel);
        // In variables, because a store of a vector may change whatever is in memory, as far as compilers know.
        float* scores = scratch.scores + panel.column;
        float* row_max = scratch.row_max;
        BOTHWAYS_UNROLL
        for (int r = 0; r < MR; ++r) {
            V high = S::load(row_max + r * lanes);
            BOTHWAYS_UNROLL
            for (int v = 0; v < NR; ++v) {
                const V x = score(r, v);
                S::store(scores + r * kc + v * lanes, x);
                high = S::max(high, x);
            }
            if (unmasked) S::store(row_max + r * lanes, high);
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
