// Attention of heads that share keys and values over one sequence, in tiles of keys with an online softmax: the length x length
// matrix of scores is never stored.
//
// Keys are packed once for all heads, and tiles that no query of a block sees are skipped.
//
// Milakov and Gimelshein 2018, algorithm 3 (online softmax); Dao et al. 2022, section 3.1 (tiling). Row
// blocks and key tiles lie on a grid that depends on the sequence's length alone, and so does the order of
// every sum. Scores are in units of log 2, so that softmax weights are powers of 2.
#pragma once

#include "distance_scores.h"
#include "vec_math.h"

namespace bothways {
namespace {

template <Simd S>
struct Attention {
    using V = typename S::F32;
    using Ops = RowOps<S>;
    using Tiles = AttentionTiles<S>;
    static constexpr int lanes = S::lanes, nr = Tiles::nr, kc = Tiles::kc;
    static constexpr float masked = -std::numeric_limits<float>::infinity();

    static std::size_t scratch(int length, int width, int columns) {
        return static_cast<std::size_t>(ScratchLayout<S>(length, width, columns).size);
    }

    static void attention(const AttentionArgs& args, float* out, std::ptrdiff_t stride) {
        const Scratch<S> scratch(args);
        pack_keys(args, scratch);
        const Values values = pack_values(args, scratch);
        for (int h = 0; h < args.heads; ++h, out += args.width)
            for_each_row_block(args, h, scratch, [&]<int MR>(const AttentionArgs& head, int first) {
                row_block<MR>(head, scratch, first, values, {out + first * stride, stride});
            });
    }

    static void probabilities(const AttentionArgs& args, float* probabilities) {
        const Scratch<S> scratch(args);
        pack_keys(args, scratch);
        for (int h = 0; h < args.heads; ++h, probabilities += std::ptrdiff_t(args.length) * args.length)
            for_each_row_block(args, h, scratch, [&]<int MR>(const AttentionArgs& head, int first) {
                probability_rows<MR>(head, scratch, first, probabilities);
            });
    }

private:
    // In fp32; null if values are in 16 bits.
    struct Values {
        const float* value = nullptr;
        std::ptrdiff_t stride = 0;
    };
    struct Output {
        float* row;
        std::ptrdiff_t stride;
    };
    // The state of the online softmax, for each row of a block.
    template <int MR>
    struct Softmax {
        alignas(64) float max[Tiles::padded_mr];           // the largest score so far
        alignas(64) float rescale[Tiles::padded_mr] = {};  // scales earlier sums to the new maximum
        alignas(64) float sum[MR * lanes];                 // of weights, in each lane
    };

    static AttentionArgs head_of(const AttentionArgs& args, int h) {
        AttentionArgs head = args;
        head.query += std::ptrdiff_t(h) * args.width;
        if (args.bias) head.bias += h * args.bias_stride;
        if (args.distances.queries) head.distances.queries += h * args.distances.head_stride;
        return head;
    }

    // Calls f.operator()<MR>(head, query) for each block of MR queries from position `query` of one head.
    template <class F>
    static void for_each_row_block(const AttentionArgs& args, int h, const Scratch<S>& scratch, const F& f) {
        AttentionArgs head = head_of(args, h);
        const RowBlocks blocks(args.length, S::MR);
        const int at_once = Tiles::distance_queries / S::MR;
        for (int block = 0; block < blocks.count; ++block) {
            const int first = blocks.first(block);
            if (args.distances.columns && block % at_once == 0) {
                const int end = block + at_once < blocks.count ? block + at_once : blocks.count;
                DistanceScores<S>{head, scratch, first, blocks.first(end)}.compute();
                head.bias_step = Tiles::distance_stride(args.length);
                head.bias = scratch.distance_scores - first * head.bias_step;
            }
            with_constant<S::MR>(blocks.size(block), [&]<int MR>() { f.template operator()<MR>(head, first); });
        }
    }

    static void pack_keys(const AttentionArgs& args, const Scratch<S>& scratch) {
        if (!Tiles::quantizes_scores(args)) return pack_fp32_keys(args, scratch.keys);
        if constexpr (S::has_dot4)
            QkInt8<S>::pack_keys(args, scratch.int8_keys);
        else if constexpr (Tiles::has_sums16_scores)
            QkSums16<S>::pack_keys(args, scratch.sums16_keys);
    }

    // Transposes the keys into panels, as the microkernel's right-hand side. The last vector is padded with 0.
    static void pack_fp32_keys(const AttentionArgs& args, float* keys) {
        for (int key = 0; key < args.length; key += lanes) {
            float* to = keys + std::ptrdiff_t(key / nr) * args.width * nr + key % nr;
            const int count = args.length - key < lanes ? args.length - key : lanes;
            for (int d = 0; d < args.width; d += lanes) {
                V row[lanes];
                const float* from = args.key + key * args.stride + d;
                for (int j = 0; j < lanes; ++j)
                    row[j] = j < count ? S::load(from + j * args.stride) : S::zero();
                S::transpose(row);
                for (int i = 0; i < lanes && d + i < args.width; ++i) S::store(to + (d + i) * nr, row[i]);
            }
        }
    }

    static Values pack_values(const AttentionArgs& args, const Scratch<S>& scratch) {
        if constexpr (S::has_dot2) {
            if (Tiles::quantizes_values(args)) {
                scratch.int16_values.quantize(args);
                return {};
            }
        }
        if (!Tiles::copies_values(args.length)) return {args.value, args.stride};
        copy_values(args, scratch.values);
        return {scratch.values, Tiles::round_up(args.width, lanes)};
    }

    static void copy_values(const AttentionArgs& args, float* to) {
        const float* from = args.value;
        for (int j = 0; j < args.length; ++j, from += args.stride)
            for (int d = 0; d < args.width; d += lanes, to += lanes) S::store(to, S::load(from + d));
    }

    // The output of MR queries from position `query`: all tiles of keys, then the division by the sums.
    template <int MR>
    static void row_block(const AttentionArgs& args, const Scratch<S>& scratch, int query, Values values,
                          Output out) {
        Softmax<MR> softmax;
        const int begin = KeyRange(args, query).first / nr * nr;
        const int end = KeyRange(args, query + MR - 1).last;
        const ScoreBlock<S, MR> scores{args, scratch, query};
        scores.prepare();
        for (int key = begin; key < end; key += kc) {
            const int keys = end - key < kc ? end - key : kc;
            const bool is_first = key == begin;
            scores.compute(key, keys);
            const float* rescale = is_first ? nullptr : softmax.rescale;
            if constexpr (S::has_dot2) {
                if (!values.value) {
                    update_softmax<MR, true>(scratch, keys, is_first, softmax);
                    accumulate_int16_values<MR>(scratch, key, keys, rescale, out, args.width);
                    continue;
                }
            }
            update_softmax<MR, false>(scratch, keys, is_first, softmax);
            accumulate_values<MR>(scratch.scores, keys, rescale,
                                  {values.value + key * values.stride, values.stride}, out, args.width);
        }
        float* inverse_sum = softmax.rescale;
        for (int r = 0; r < MR; ++r) inverse_sum[r] = S::reduce_add(S::load(softmax.sum + r * lanes));
        for (int r = 0; r < Tiles::padded_mr; r += lanes)
            S::store(inverse_sum + r, S::div(S::broadcast(1.0f), S::load(inverse_sum + r)));
        for (int r = 0; r < MR; ++r) {
            const V factor = S::broadcast(inverse_sum[r]);
            float* y = out.row + r * out.stride;
            Ops::for_each_vector(args.width, [&](int i, int n) {
                V sum = S::mul(Ops::load(y + i, n), factor);
                if (!values.value) sum = S::mul(sum, S::load(scratch.int16_values.scale + i));
                Ops::store(y + i, sum, n);
            });
        }
    }

    // Replaces the scores of a tile by weights 2^(score - max) and adds these up. A row without an unmasked
    // key so far has a maximum of minus infinity; its weights are exactly 0. Codes of weights are rounded in their
    // sum as well, so that they add up to 1 in the end.
    template <int MR, bool int16>
    static void update_softmax(const Scratch<S>& scratch, int keys, bool is_first, Softmax<MR>& softmax) {
        alignas(64) float tile_max[Tiles::padded_mr] = {}, shift[Tiles::padded_mr];
        for (int r = 0; r < MR; ++r) tile_max[r] = S::reduce_max(S::load(scratch.row_max + r * lanes));
        for (int r = 0; r < Tiles::padded_mr; r += lanes) {
            V high = S::load(tile_max + r);
            if (!is_first) high = S::max(high, S::load(softmax.max + r));
            const V finite = S::max(high, S::broadcast(-1e30f));
            if (!is_first)
                S::store(softmax.rescale + r,
                         VecMath<S>::exp2_nonpositive(S::sub(S::load(softmax.max + r), finite)));
            S::store(softmax.max + r, high);
            S::store(shift + r, finite);
        }
        for (int r = 0; r < MR; ++r) {
            float* score = scratch.scores + r * kc;
            std::int16_t* code = scratch.int16_weights + r * kc;
            const V max = S::broadcast(shift[r]);
            V sum = is_first ? S::zero()
                             : S::mul(S::load(softmax.sum + r * lanes), S::broadcast(softmax.rescale[r]));
            for (int j = 0; j < keys; j += lanes) {
                V weight = VecMath<S>::template exp2_nonpositive<int16 ? WeightedSum16::max_weight : 1>(
                    S::sub(S::load(score + j), max));
                if constexpr (int16) {
                    weight = S::round(weight);
                    S::store_i16(code + j, weight);
                } else {
                    S::store(score + j, weight);
                }
                sum = S::add(sum, weight);
            }
            S::store(softmax.sum + r * lanes, sum);
        }
    }

    // out = out * rescale + weights (MR, keys) values (keys, width); without `rescale`, out is overwritten.
    template <int MR>
    static void accumulate_values(const float* weights, int keys, const float* rescale, Values values,
                                  Output out, int width) {
        for (int column = 0; column < width; column += nr) {
            const int count = width - column < nr ? width - column : nr;
            with_constant<S::NR>(Tiles::round_up(count, lanes) / lanes, [&]<int NR>() {
                value_panel<MR, NR>(weights, keys, rescale, {values.value + column, values.stride},
                                    {out.row + column, out.stride}, count - (NR - 1) * lanes);
            });
        }
    }

    // NR vectors of the output's columns, `last` of them in the last vector: reading values beyond the head
    // is allowed, writing them is not.
    template <int MR, int NR>
    static void value_panel(const float* weights, int keys, const float* rescale, Values values, Output out,
                            int last) {
        V acc[MR][NR];
        if (rescale) {
            BOTHWAYS_UNROLL
            for (int r = 0; r < MR; ++r)
                BOTHWAYS_UNROLL
                for (int v = 0; v < NR; ++v)
                    acc[r][v] = S::mul(
                        Ops::load(out.row + r * out.stride + v * lanes, v + 1 < NR ? lanes : last),
                        S::broadcast(rescale[r]));
        } else {
            zero_tile<S>(acc);
        }
        microkernel_fp32<S, MR, NR>(acc, weights, kc, values.value, values.stride, keys, NoPrefetch{});
        BOTHWAYS_UNROLL
        for (int r = 0; r < MR; ++r)
            BOTHWAYS_UNROLL
            for (int v = 0; v < NR; ++v)
                Ops::store(out.row + r * out.stride + v * lanes, acc[r][v], v + 1 < NR ? lanes : last);
    }

    // The same from the codes of weights and values of the keys [key, key + keys), in units of the values' scale.
    template <int MR>
    static void accumulate_int16_values(const Scratch<S>& scratch, int key, int keys, const float* rescale,
                                        Output out, int width) {
        const std::ptrdiff_t stride = 2 * ValuesInt16<S>::padded_width(width);
        const std::int16_t* values = scratch.int16_values.codes + key / 2 * stride;
        for (int column = 0; column < width; column += nr) {
            const int count = width - column < nr ? width - column : nr;
            with_constant<S::NR>(Tiles::round_up(count, lanes) / lanes, [&]<int NR>() {
                typename S::I32 acc[MR][NR];
                microkernel_int16<S, MR, NR>(acc, scratch.int16_weights, kc, values + 2 * column, stride,
                                             (keys + 1) / 2);
                const int last = count - (NR - 1) * lanes;
                BOTHWAYS_UNROLL
                for (int r = 0; r < MR; ++r)
                    BOTHWAYS_UNROLL
                    for (int v = 0; v < NR; ++v) {
                        const int n = v + 1 < NR ? lanes : last;
                        float* y = out.row + r * out.stride + column + v * lanes;
                        V sum = S::to_float(acc[r][v]);
                        if (rescale) sum = S::fma(Ops::load(y, n), S::broadcast(rescale[r]), sum);
                        Ops::store(y, sum, n);
                    }
            });
        }
    }

    // MR whole rows of the probabilities (length, length).
    template <int MR>
    static void probability_rows(const AttentionArgs& args, const Scratch<S>& scratch, int query,
                                 float* probabilities) {
        const int length = args.length;
        const ScoreBlock<S, MR> scores{args, scratch, query};
        scores.prepare();
        for (int key = 0; key < length; key += kc) {
            const int keys = length - key < kc ? length - key : kc;
            scores.compute(key, keys);
            for (int r = 0; r < MR; ++r) {
                float* row = probabilities + std::ptrdiff_t(query + r) * length + key;
                for (int j = 0; j < keys; ++j) row[j] = scratch.scores[r * kc + j];
            }
        }
        for (int r = 0; r < MR; ++r)
            softmax_row(probabilities + std::ptrdiff_t(query + r) * length, length);
    }

    static void softmax_row(float* row, int length) {
        V high = S::broadcast(masked);
        Ops::for_each_vector(length, [&](int j, int n) {
            high = S::max(high, S::blend_range(Ops::load(row + j, n), 0, n, masked));
        });
        const V max = S::broadcast(S::reduce_max(high));
        V sum = S::zero();
        Ops::for_each_vector(length, [&](int j, int n) {
            V weight = VecMath<S>::exp2_nonpositive(S::sub(Ops::load(row + j, n), max));
            Ops::store(row + j, weight, n);
            sum = S::add(sum, S::blend_range(weight, 0, n, 0.0f));
        });
        const V factor = S::broadcast(1.0f / S::reduce_add(sum));
        Ops::for_each_vector(length, [&](int j, int n) {
            Ops::store(row + j, S::mul(Ops::load(row + j, n), factor), n);
        });
    }
};

}  // namespace
}  // namespace bothways
