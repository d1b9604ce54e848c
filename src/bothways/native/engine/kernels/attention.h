// One attention head of one sequence, in tiles of keys with a running softmax: no matrix of
// length x length is ever held.
//
// Milakov and Gimelshein 2018, algorithm 3 (the running softmax); Dao et al. 2022, section 3.1 (tiles).
// Blocks of queries and tiles of keys lie on a grid that the sequence's length alone determines, so the
// order of every sum is the sequence's own. Scores are in units of log 2, so that weights are powers of 2.
#pragma once

#include <cmath>

#include "qk_int8.h"
#include "vec_math.h"
#include "row_ops.h"
#include "microkernel.h"

namespace bothways {
namespace {

template <class S>
struct Attention {
    using V = typename S::V;
    using Row = RowKernels<S>;
    using Codes = Coded<S>;
    static constexpr int lanes = S::lanes;
    static constexpr int panel = lanes * S::tile_vectors;
    static constexpr int most_keys = panel * (128 / panel);  // of a tile
    static constexpr int most_rows = (S::tile_rows + lanes - 1) / lanes * lanes;
    // Longer sequences have their values moved together: rows that are a power of 2 apart, or nearly,
    // share few places in the cache.
    static constexpr int most_values_in_place = 64;
    // Of shorter sequences, making codes takes as long as they save.
    static constexpr int fewest_coded = 48;
    static constexpr float hidden = -HUGE_VALF;

    static int rounded_up(int n, int step) { return (n + step - 1) / step * step; }

    static bool is_coded(const Head& head) {
        return S::has_dot && head.coded && head.length >= fewest_coded;
    }

    // What a head's scratch holds.
    struct Scratch {
        float *keys;    // (panels, width, panel); or codes in their place
        float *values;  // (length, width rounded up), where they are moved
        float *score;   // (rows of a block, most_keys)
        float *best;    // (rows of a block, lanes), each lane's largest score
        typename Codes::Keys coded;
        std::uint8_t* queries;  // (rows of a block, Coded::query_stride)
        float *step, *end;      // (rows of a block) of the queries
        explicit Scratch(const Head& head) {
            const std::ptrdiff_t padded = rounded_up(head.length, panel);
            const int quads = Codes::quads(head.width);
            keys = head.scratch;
            coded.codes = reinterpret_cast<std::int8_t*>(keys);
            coded.step = keys + padded * quads;
            coded.offset = coded.step + padded;
            values = keys + padded * (head.width > quads + 2 ? head.width : quads + 2);
            score = values + (head.length > most_values_in_place
                                  ? std::ptrdiff_t(head.length) * rounded_up(head.width, lanes)
                                  : 0);
            best = score + most_rows * most_keys;
            queries = reinterpret_cast<std::uint8_t*>(best + most_rows * lanes);
            step = best + most_rows * (lanes + rounded_up(head.width, 4 * lanes) / 4);
            end = step + most_rows;
        }
    };

    static std::size_t scratch(int length, int width) {
        Head head{};
        head.length = length, head.width = width;
        const Scratch at(head);
        return static_cast<std::size_t>(at.end - at.keys);
    }

    static void attend(const Head& head, float* mixed, std::ptrdiff_t stride) {
        pack(head);
        const float* values = head.value;
        std::ptrdiff_t apart = head.stride;
        if (head.length > most_values_in_place) {
            values = pack_values(head);
            apart = rounded_up(head.width, lanes);
        }
        RowBlocks blocks(head.length, S::tile_rows);
        for (int block = 0; block < blocks.blocks; ++block) {
            const int first = blocks.first(block);
            with_constant<S::tile_rows>(
                blocks.first(block + 1) - first,
                Block{head, first, values, apart, mixed + first * stride, stride});
        }
    }

    static void probabilities(const Head& head, float* probability) {
        pack(head);
        RowBlocks blocks(head.length, S::tile_rows);
        for (int block = 0; block < blocks.blocks; ++block) {
            const int first = blocks.first(block);
            with_constant<S::tile_rows>(blocks.first(block + 1) - first,
                                        Whole{head, probability, first});
        }
    }

    static void pack(const Head& head) {
        is_coded(head) ? Codes::pack(head, Scratch(head).coded) : pack_keys(head);
    }

    // Keys transposed: the right-hand side of the scores. Missing keys of a vector are 0.
    static void pack_keys(const Head& head) {
        float* keys = Scratch(head).keys;
        for (int key = 0; key < head.length; key += lanes) {
            float* to = keys + std::ptrdiff_t(key / panel) * head.width * panel + key % panel;
            const int left = head.length - key < lanes ? head.length - key : lanes;
            for (int d = 0; d < head.width; d += lanes) {
                V row[lanes];
                const float* from = head.key + key * head.stride + d;
                for (int j = 0; j < lanes; ++j)
                    row[j] = j < left ? S::load(from + j * head.stride) : S::zero();
                S::transpose(row);
                for (int i = 0; i < lanes && d + i < head.width; ++i)
                    S::store(to + (d + i) * panel, row[i]);
            }
        }
    }

    static const float* pack_values(const Head& head) {
        float* to = Scratch(head).values;
        const float* from = head.value;
        for (int j = 0; j < head.length; ++j, from += head.stride)
            for (int d = 0; d < head.width; d += lanes, to += lanes) S::store(to, S::load(from + d));
        return Scratch(head).values;
    }

    // The keys that position `query` sees: [first, last).
    struct Span {
        int first, last;
        Span(const Head& head, int query) : first(0), last(head.length) {
            if (head.window < 0) return;
            if (query > head.window) first = query - head.window;
            if (head.length - query - 1 > head.window) last = query + head.window + 1;
        }
    };

    // Scores of ROWS queries from `query` against `keys` keys from `key`, the first of a panel. What a
    // query does not see is minus infinity.
    template <int ROWS>
    struct Scores {
        const Head& head;
        const Scratch& at;
        int query, key, keys;

        // Once for the block, before its first tile.
        void prepare() const {
            if (is_coded(head))
                Codes::quantise(head.query + query * head.stride, head.stride, ROWS, head.width,
                                at.queries, at.step);
        }

        void run() const {
            for (int r = 0; r < ROWS; ++r) S::store(at.best + r * lanes, S::set(hidden));
            for (int first = 0; first < keys; first += panel) {
                const int left = keys - first < panel ? keys - first : panel;
                const Panel panel_of_keys{*this, first, left};
                const int vectors = rounded_up(left, lanes) / lanes;
                if (is_coded(head))
                    with_constant<S::tile_vectors>(vectors, CodedPanel{panel_of_keys});
                else
                    with_constant<S::tile_vectors>(vectors, panel_of_keys);
            }
        }

        struct Panel {
            const Scores& all;
            int first, left;

            template <int VECTORS>
            void run() const {
                const Head& head = all.head;
                V sum[ROWS][VECTORS];
                for (int r = 0; r < ROWS; ++r)
                    for (int v = 0; v < VECTORS; ++v) sum[r][v] = S::zero();
                multiply_add<S, ROWS, VECTORS>(
                    sum, head.query + all.query * head.stride, head.stride,
                    all.at.keys + std::ptrdiff_t(all.key + first) * head.width, panel, head.width,
                    NoPrefetch{});
                keep<VECTORS>([&](int r, int v) { return sum[r][v]; });
            }

            // Stores the scores of each row and vector, and which are the largest.
            template <int VECTORS, class F>
            BOTHWAYS_INLINE void keep(F score_of) const {
                const bool all_seen = !all.head.bias && all.head.window < 0 && left == VECTORS * lanes;
                BOTHWAYS_UNROLL
                for (int r = 0; r < ROWS; ++r) {
                    V high = S::load(all.at.best + r * lanes);
                    BOTHWAYS_UNROLL
                    for (int v = 0; v < VECTORS; ++v) {
                        const V x = score_of(r, v);
                        S::store(all.at.score + r * most_keys + first + v * lanes, x);
                        high = S::max(high, x);
                    }
                    if (all_seen) S::store(all.at.best + r * lanes, high);
                }
                if (!all_seen) hide(VECTORS);
            }

            // The bias, and what is not seen: in a second pass, so that the first stays in registers.
            void hide(int vectors) const {
                for (int r = 0; r < ROWS; ++r) {
                    V high = S::load(all.at.best + r * lanes);
                    for (int v = 0; v < vectors; ++v) {
                        float* score = all.at.score + r * most_keys + first + v * lanes;
                        const V x = mask(S::load(score), all.head, all.query + r, all.key + first + v * lanes);
                        S::store(score, x);
                        high = S::max(high, x);
                    }
                    S::store(all.at.best + r * lanes, high);
                }
            }
        };

        // The same from codes.
        struct CodedPanel {
            const Panel& to;

            template <int VECTORS>
            void run() const {
                const Scratch& at = to.all.at;
                const int key = to.all.key + to.first, quads = Codes::quads(to.all.head.width);
                typename S::I sum[ROWS][VECTORS];
                dots<S, ROWS, VECTORS>(sum, at.queries, Codes::query_stride(to.all.head.width),
                                       at.coded.codes + std::ptrdiff_t(key) * quads * 4, panel * 4, quads,
                                       NoPrefetch{});
                V step[VECTORS], offset[VECTORS];
                for (int v = 0; v < VECTORS; ++v) {
                    step[v] = S::load(at.coded.step + key + v * lanes);
                    offset[v] = S::load(at.coded.offset + key + v * lanes);
                }
                to.template keep<VECTORS>([&](int r, int v) {
                    return S::mul(S::fma(S::to_float(sum[r][v]), step[v], offset[v]), S::set(at.step[r]));
                });
            }
        };

        // Adds the bias to the scores of the keys from `key`, and hides what the query does not see.
        static V mask(V x, const Head& head, int query, int key) {
            if (head.bias) x = S::add(x, S::load(head.bias + (key - query)));
            const Span seen(head, query);
            const int first = within(seen.first - key), last = within(seen.last - key);
            return first > 0 || last < lanes ? S::keep_between(x, first, last, hidden) : x;
        }
        static int within(int lane) { return lane < 0 ? 0 : lane > lanes ? lanes : lane; }
    };

    // A block of queries against every tile of keys.
    struct Block {
        const Head& head;
        int query;
        const float* values;
        std::ptrdiff_t apart;  // of values
        float* mixed;
        std::ptrdiff_t stride;  // of mixed

        template <int ROWS>
        void run() const {
            const Scratch at(head);
            // Of each row: its largest score, and what the sums so far are worth since that grew; and in
            // each lane, the sum of its weights.
            alignas(64) float largest[most_rows], factor[most_rows] = {};
            alignas(64) float sum[ROWS * lanes];
            const int begin = Span(head, query).first / panel * panel;
            const int end = Span(head, query + ROWS - 1).last;
            Scores<ROWS>{head, at, query, begin, 0}.prepare();
            for (int key = begin; key < end; key += most_keys) {
                const int keys = end - key < most_keys ? end - key : most_keys;
                const bool is_first = key == begin;
                Scores<ROWS>{head, at, query, key, keys}.run();
                weigh<ROWS>(at, keys, is_first, largest, sum, factor);
                mix<ROWS>(at.score, key, keys, is_first ? nullptr : factor);
            }
            for (int r = 0; r < ROWS; ++r) factor[r] = S::sum(S::load(sum + r * lanes));
            for (int r = 0; r < most_rows; r += lanes)
                S::store(factor + r, S::div(S::set(1.0f), S::load(factor + r)));
            for (int r = 0; r < ROWS; ++r) {
                const V by = S::set(factor[r]);
                float* y = mixed + r * stride;
                Row::vectors(head.width, [&](int i, int n) {
                    Row::store(y + i, S::mul(Row::load(y + i, n), by), n);
                });
            }
        }

        // Turns the scores of a tile into weights 2^(score - largest so far) and adds them up. A row that
        // has seen no key yet has a largest score of minus infinity, and weights of exactly 0.
        template <int ROWS>
        static void weigh(const Scratch& at, int keys, bool is_first, float* largest, float* sum,
                          float* factor) {
            alignas(64) float here[most_rows] = {}, shift[most_rows];
            for (int r = 0; r < ROWS; ++r) here[r] = S::largest(S::load(at.best + r * lanes));
            for (int r = 0; r < most_rows; r += lanes) {
                V now = S::load(here + r);
                if (!is_first) now = S::max(now, S::load(largest + r));
                const V from = S::max(now, S::set(-1e30f));
                if (!is_first)
                    S::store(factor + r, Mathematics<S>::falling_power(S::sub(S::load(largest + r), from)));
                S::store(largest + r, now);
                S::store(shift + r, from);
            }
            for (int r = 0; r < ROWS; ++r) {
                float* score = at.score + r * most_keys;
                const V from = S::set(shift[r]);
                V all = is_first ? S::zero() : S::mul(S::load(sum + r * lanes), S::set(factor[r]));
                for (int j = 0; j < keys; j += lanes) {
                    const V weight = Mathematics<S>::falling_power(S::sub(S::load(score + j), from));
                    S::store(score + j, weight);
                    all = S::add(all, weight);
                }
                S::store(sum + r * lanes, all);
            }
        }

        // mixed := mixed * factor + weights · values, some columns of the head at a time.
        template <int ROWS>
        void mix(const float* weight, int key, int keys, const float* factor) const {
            for (int column = 0; column < head.width; column += panel) {
                const int left = head.width - column < panel ? head.width - column : panel;
                with_constant<S::tile_vectors>(rounded_up(left, lanes) / lanes,
                                               Columns<ROWS>{*this, weight, key, keys, factor, column, left});
            }
        }

        template <int ROWS>
        struct Columns {
            const Block& all;
            const float* weight;
            int key, keys;
            const float* factor;
            int column, left;

            // The last vector may reach beyond the head: values are readable there, but not written.
            template <int VECTORS>
            void run() const {
                V sum[ROWS][VECTORS];
                const int last = left - (VECTORS - 1) * lanes;
                float* y = all.mixed + column;
                if (factor) {
                    BOTHWAYS_UNROLL
                    for (int r = 0; r < ROWS; ++r)
                        BOTHWAYS_UNROLL
                        for (int v = 0; v < VECTORS; ++v)
                            sum[r][v] = S::mul(Row::load(y + r * all.stride + v * lanes,
                                                         v + 1 < VECTORS ? lanes : last),
                                               S::set(factor[r]));
                } else {
                    for (int r = 0; r < ROWS; ++r)
                        for (int v = 0; v < VECTORS; ++v) sum[r][v] = S::zero();
                }
                multiply_add<S, ROWS, VECTORS>(sum, weight, most_keys,
                                               all.values + key * all.apart + column, all.apart, keys,
                                               NoPrefetch{});
                BOTHWAYS_UNROLL
                for (int r = 0; r < ROWS; ++r)
                    BOTHWAYS_UNROLL
                    for (int v = 0; v < VECTORS; ++v)
                        Row::store(y + r * all.stride + v * lanes, sum[r][v],
                                   v + 1 < VECTORS ? lanes : last);
            }
        };
    };

    // Whole rows of probabilities, for those who ask to see them.
    struct Whole {
        const Head& head;
        float* probability;  // (length, length)
        int query;

        template <int ROWS>
        void run() const {
            const Scratch at(head);
            const int length = head.length;
            Scores<ROWS>{head, at, query, 0, 0}.prepare();
            for (int key = 0; key < length; key += most_keys) {
                const int keys = length - key < most_keys ? length - key : most_keys;
                Scores<ROWS>{head, at, query, key, keys}.run();
                for (int r = 0; r < ROWS; ++r) {
                    float* row = probability + std::ptrdiff_t(query + r) * length + key;
                    for (int j = 0; j < keys; ++j) row[j] = at.score[r * most_keys + j];
                }
            }
            for (int r = 0; r < ROWS; ++r)
                softmax(probability + std::ptrdiff_t(query + r) * length, length);
        }

        static void softmax(float* row, int length) {
            V largest = S::set(hidden);
            Row::vectors(length, [&](int j, int n) {
                largest = S::max(largest, S::keep_between(Row::load(row + j, n), 0, n, hidden));
            });
            const V shift = S::set(S::largest(largest));
            V total = S::zero();
            Row::vectors(length, [&](int j, int n) {
                V weight = Mathematics<S>::falling_power(S::sub(Row::load(row + j, n), shift));
                Row::store(row + j, weight, n);
                total = S::add(total, S::keep_between(weight, 0, n, 0.0f));
            });
            const V factor = S::set(1.0f / S::sum(total));
            Row::vectors(length, [&](int j, int n) {
                Row::store(row + j, S::mul(Row::load(row + j, n), factor), n);
            });
        }
    };
};

}  // namespace
}  // namespace bothways
