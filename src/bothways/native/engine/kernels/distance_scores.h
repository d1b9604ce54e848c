// What distances add to the scores of one head in disentangled attention. He et al. 2021, eq. 4.
//
// Products with all vectors of distances are computed for a few queries or keys at a time. Of these, each
// pair of positions takes the column of its distance: adjacent columns where distances have one each.
#pragma once

#include "attention_scores.h"

namespace bothways {
namespace {

// The sums of both terms for the queries [first, last), at most Tiles::distance_queries, and their keys.
template <Simd S>
struct DistanceScores {
    using V = typename S::F32;
    using Tiles = AttentionTiles<S>;
    static constexpr int lanes = S::lanes, nr = Tiles::nr;

    const AttentionArgs& args;
    const Scratch<S>& scratch;
    int first, last;

    // Fills scratch.distance_scores; scores that no query sees are undefined.
    void compute() const {
        if (args.distances.keys) content_to_position();
        if (args.distances.queries) position_to_content();
    }

private:
    static int column_stride(const AttentionArgs& args) { return Tiles::column_stride(args.distances.columns); }
    int column(int distance) const { return args.distances.column[distance]; }
    // Whether adjacent distances in [from, to] have adjacent columns.
    bool is_exact(int from, int to) const {
        return from >= -args.distances.exact && to <= args.distances.exact;
    }
    float* row(int query) const {
        return scratch.distance_scores + (query - first) * Tiles::distance_stride(args.length);
    }

    // Queries by the vectors of distances.
    void content_to_position() const {
        const RowBlocks blocks(last - first, S::MR);
        for (int block = 0; block < blocks.count; ++block)
            with_constant<S::MR>(blocks.size(block),
                                 [&]<int MR>() { query_block<MR>(first + blocks.first(block)); });
    }

    template <int MR>
    void query_block(int query) const {
        const int begin = KeyRange(args, query).first / lanes * lanes;
        const int end = KeyRange(args, query + MR - 1).last;
        const int from = column(begin - (query + MR - 1)), to = column(end - 1 - query);
        products<MR>(args.query + query * args.stride, args.distances.keys + from, to + 1 - from,
                     scratch.columns);
        for (int r = 0; r < MR; ++r) {
            const float* score = scratch.columns + r * column_stride(args) - from;
            float* out = row(query + r);
            for (int key = begin; key < end; key += lanes)
                S::store(out + key, select(score, key - (query + r)));
        }
    }

    // The scores of `lanes` adjacent distances.
    V select(const float* score, int distance) const {
        const std::int32_t* at = args.distances.column + distance;
        if (is_exact(distance, distance + lanes - 1)) return S::load(score + at[0]);
        if (at[0] == at[lanes - 1]) return S::broadcast(score[at[0]]);
        alignas(64) float selected[lanes];
        for (int i = 0; i < lanes; ++i) selected[i] = score[at[i]];
        return S::load(selected);
    }

    // The vectors of distances by keys.
    void position_to_content() const {
        const int begin = KeyRange(args, first).first / lanes * lanes;
        const int end = KeyRange(args, last - 1).last;
        for (int key = begin; key < end; key += lanes)
            key_block(key, end - key < lanes ? end - key : lanes);
    }

    void key_block(int key, int keys) const {
        const int padded_last = first + Tiles::round_up(last - first, lanes);
        const int from = column(key - (padded_last - 1)), to = column(key + keys - 1 - first);
        const RowBlocks blocks(keys, S::MR);
        for (int block = 0; block < blocks.count; ++block)
            with_constant<S::MR>(blocks.size(block), [&]<int MR>() {
                products<MR>(args.key + (key + blocks.first(block)) * args.stride,
                             args.distances.queries + from, to + 1 - from,
                             scratch.columns + blocks.first(block) * column_stride(args));
            });
        for (int query = first; query < last; query += lanes) {
            V score[lanes];
            select_square(key, query, from, score);
            for (int i = 0; i < lanes && query + i < last; ++i) {
                float* out = row(query + i) + key;
                S::store(out, args.distances.keys ? S::add(S::load(out), score[i]) : score[i]);
            }
        }
    }

    // score[i] has the scores of `lanes` adjacent keys for the query `query + i`.
    void select_square(int key, int query, int from, V (&score)[lanes]) const {
        const int nearest = key - query - (lanes - 1), farthest = key - query + lanes - 1;
        const std::ptrdiff_t stride = column_stride(args);
        const float* of_key = scratch.columns - from;
        if (is_exact(nearest, farthest)) {
            // By key, the distances of the last query to the first, and then by query.
            for (int j = 0; j < lanes; ++j) score[j] = S::load(of_key + j * stride + column(nearest + j));
            S::transpose(score);
            for (int i = 0; i < lanes / 2; ++i) std::swap(score[i], score[lanes - 1 - i]);
            return;
        }
        alignas(64) float selected[lanes];
        const bool is_same = column(nearest) == column(farthest);
        for (int i = 0; i < lanes; ++i) {
            if (i == 0 || !is_same) {
                const std::int32_t* at = args.distances.column + key - query - i;
                for (int j = 0; j < lanes; ++j) selected[j] = of_key[j * stride + at[j]];
            }
            score[i] = S::load(selected);
        }
    }

    // out (MR, count) = a (MR, width) b (width, count), in whole vectors.
    template <int MR>
    void products(const float* a, const float* b, int count, float* out) const {
        for (int c = 0; c < count; c += nr) {
            const int panel = count - c < nr ? count - c : nr;
            with_constant<S::NR>(Tiles::round_up(panel, lanes) / lanes, [&]<int NR>() {
                V acc[MR][NR];
                zero_tile<S>(acc);
                microkernel_fp32<S, MR, NR>(acc, a, args.stride, b + c, args.distances.stride, args.width,
                                            NoPrefetch{});
                BOTHWAYS_UNROLL
                for (int r = 0; r < MR; ++r)
                    BOTHWAYS_UNROLL
                    for (int v = 0; v < NR; ++v)
                        S::store(out + r * column_stride(args) + c + v * lanes, acc[r][v]);
            });
        }
    }
};

}  // namespace
}  // namespace bothways
