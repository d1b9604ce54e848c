// One attention head of one sequence, in tiles of keys with a running softmax: no matrix of
// length x length is ever held.
//
// Milakov and Gimelshein 2018, algorithm 3 (the running softmax); Dao et al. 2022, section 3.1 (tiles).
// Blocks of queries and tiles of keys lie on a grid that the sequence's length alone determines, so the
// order of every sum is the sequence's own.
#pragma once

#include <cmath>

#include "mathematics.h"
#include "rows.h"
#include "tile.h"

namespace bothways {
namespace {

template <class S>
struct Attention {
    using V = typename S::V;
    using Row = RowKernels<S>;
    static constexpr int panel = S::lanes * S::tile_vectors;
    static constexpr int most_keys = panel * (128 / panel);  // of a tile
    static constexpr int most_rows = S::tile_rows;

    static int panels(int keys) { return (keys + panel - 1) / panel; }

    static std::size_t scratch(int length, int width) {
        return static_cast<std::size_t>(panels(length)) * panel * width + most_rows * most_keys;
    }

    static void attend(const Head& head, float* mixed, std::ptrdiff_t stride) {
        pack_keys(head);
        RowBlocks blocks(head.length, S::tile_rows);
        for (int block = 0; block < blocks.blocks; ++block) {
            const int first = blocks.first(block);
            with_constant<S::tile_rows>(blocks.first(block + 1) - first,
                                        Block{head, mixed + first * stride, stride, first});
        }
    }

    static void probabilities(const Head& head, float* probability) {
        pack_keys(head);
        RowBlocks blocks(head.length, S::tile_rows);
        for (int block = 0; block < blocks.blocks; ++block) {
            const int first = blocks.first(block);
            with_constant<S::tile_rows>(blocks.first(block + 1) - first,
                                        Whole{head, probability, first});
        }
    }

    // Keys transposed, (panels, width, panel): the right-hand side of the scores. Missing keys are 0.
    static void pack_keys(const Head& head) {
        for (int p = 0; p < panels(head.length); ++p) {
            float* to = head.scratch + std::ptrdiff_t(p) * head.width * panel;
            const int keys = head.length - p * panel < panel ? head.length - p * panel : panel;
            const float* from = head.key + std::ptrdiff_t(p) * panel * head.stride;
            for (int d = 0; d < head.width; ++d)
                for (int j = 0; j < panel; ++j)
                    to[d * panel + j] = j < keys ? from[j * head.stride + d] : 0.0f;
        }
    }

    // score (ROWS, panels * panel), rows most_keys apart: queries from `query` times packed keys.
    template <int ROWS>
    static void scores(const Head& head, int query, int first_panel, int num_panels, float* score) {
        for (int p = 0; p < num_panels; ++p) {
            V sum[ROWS][S::tile_vectors];
            for (int r = 0; r < ROWS; ++r)
                for (int v = 0; v < S::tile_vectors; ++v) sum[r][v] = S::zero();
            multiply_add<S, ROWS, S::tile_vectors>(
                sum, head.query + query * head.stride, head.stride,
                head.scratch + std::ptrdiff_t(first_panel + p) * head.width * panel, panel, head.width);
            for (int r = 0; r < ROWS; ++r)
                for (int v = 0; v < S::tile_vectors; ++v)
                    S::store(score + r * most_keys + p * panel + v * S::lanes, sum[r][v]);
        }
    }

    static float* score_scratch(const Head& head) {
        return head.scratch + std::ptrdiff_t(panels(head.length)) * panel * head.width;
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

    // Adds the bias, hides what the query does not see, and returns the largest score; minus infinity
    // if it sees none of these keys, which start at position `key`.
    static float mask(const Head& head, int query, int key, int keys, float* score) {
        constexpr float hidden = -HUGE_VALF;
        const Span seen(head, query);
        V largest = S::set(hidden);
        for (int j = 0; j < keys; j += S::lanes) {
            V x = S::load(score + j);
            if (head.bias) {
                const int left = keys - j < S::lanes ? keys - j : S::lanes;
                x = S::add(x, Row::load(head.bias + (key + j - query), left));
            }
            const int first = within(seen.first - key - j), last = within(seen.last - key - j);
            if (first > 0 || last < S::lanes) x = S::keep_between(x, first, last, hidden);
            S::store(score + j, x);
            largest = S::max(largest, x);
        }
        return S::largest(largest);
    }

    static int within(int lane) { return lane < 0 ? 0 : lane > S::lanes ? S::lanes : lane; }

    // score := exp(score - largest); returns the sum.
    static float exponentials(int keys, float largest, float* score) {
        V total = S::zero();
        const V shift = S::set(largest);
        for (int j = 0; j < keys; j += S::lanes) {
            V weight = Mathematics<S>::exp(S::sub(S::load(score + j), shift));
            S::store(score + j, weight);
            total = S::add(total, weight);
        }
        return S::sum(total);
    }

    // A block of queries against every tile of keys.
    struct Block {
        const Head& head;
        float* mixed;
        std::ptrdiff_t stride;
        int query;

        template <int ROWS>
        void run() const {
            float* score = score_scratch(head);
            float largest[ROWS] = {}, sum[ROWS] = {}, shrink[ROWS] = {};
            const int begin = Span(head, query).first / panel;
            const int end = panels(Span(head, query + ROWS - 1).last);
            for (int first = begin; first < end; first += most_keys / panel) {
                const int left = end - first;
                const int count = left < most_keys / panel ? left : most_keys / panel;
                const int key = first * panel;
                const int keys = head.length - key < count * panel ? head.length - key : count * panel;
                scores<ROWS>(head, query, first, count, score);
                for (int r = 0; r < ROWS; ++r) {
                    const float before = first == begin ? -HUGE_VALF : largest[r];
                    const float here = mask(head, query + r, key, keys, score + r * most_keys);
                    largest[r] = here > before ? here : before;
                    // A row that has seen no key yet keeps weights of exactly 0.
                    const float shift = largest[r] == -HUGE_VALF ? 0.0f : largest[r];
                    const float total = exponentials(keys, shift, score + r * most_keys);
                    shrink[r] = before == -HUGE_VALF ? 0.0f : decay(before - shift);
                    sum[r] = first == begin ? total : sum[r] * shrink[r] + total;
                }
                mix<ROWS>(score, key, keys, first == begin, shrink);
            }
            for (int r = 0; r < ROWS; ++r) {
                const V factor = S::set(1.0f / sum[r]);
                float* y = mixed + r * stride;
                Row::vectors(head.width, [&](int i, int lanes) {
                    Row::store(y + i, S::mul(Row::load(y + i, lanes), factor), lanes);
                });
            }
        }

        // e^x by the kernel's own exp, so that it is the same on every machine of an instruction set.
        static float decay(float x) {
            float y[S::lanes];
            S::store(y, Mathematics<S>::exp(S::set(x)));
            return y[0];
        }

        // mixed := mixed * shrink + weights · values, `panel` columns of the head at a time.
        template <int ROWS>
        void mix(const float* weight, int key, int keys, bool is_first, const float* shrink) const {
            const float* value = head.value + key * head.stride;
            int column = 0;
            for (; column + panel <= head.width; column += panel)
                mix_columns<ROWS, S::tile_vectors>(weight, value, keys, column, panel, is_first, shrink);
            for (; column < head.width; column += S::lanes) {
                const int left = head.width - column < S::lanes ? head.width - column : S::lanes;
                mix_columns<ROWS, 1>(weight, value, keys, column, left, is_first, shrink);
            }
        }

        // The last vector may reach beyond the head: values are readable there, but not written.
        template <int ROWS, int VECTORS>
        void mix_columns(const float* weight, const float* value, int keys, int column, int width,
                         bool is_first, const float* shrink) const {
            V sum[ROWS][VECTORS];
            const int last = width - (VECTORS - 1) * S::lanes;
            for (int r = 0; r < ROWS; ++r)
                for (int v = 0; v < VECTORS; ++v) {
                    const float* y = mixed + r * stride + column + v * S::lanes;
                    const int lanes = v + 1 < VECTORS ? S::lanes : last;
                    sum[r][v] = is_first ? S::zero() : S::mul(Row::load(y, lanes), S::set(shrink[r]));
                }
            multiply_add<S, ROWS, VECTORS>(sum, weight, most_keys, value + column, head.stride, keys);
            for (int r = 0; r < ROWS; ++r)
                for (int v = 0; v < VECTORS; ++v)
                    Row::store(mixed + r * stride + column + v * S::lanes, sum[r][v],
                               v + 1 < VECTORS ? S::lanes : last);
        }
    };

    // Whole rows of probabilities, for those who ask to see them.
    struct Whole {
        const Head& head;
        float* probability;  // (length, length)
        int query;

        template <int ROWS>
        void run() const {
            float* score = score_scratch(head);
            const int length = head.length;
            for (int r = 0; r < ROWS; ++r) {
                float* row = probability + std::ptrdiff_t(query + r) * length;
                for (int j = 0; j < length; ++j) row[j] = 0;
            }
            for (int first = 0; first < panels(length); first += most_keys / panel) {
                const int left = panels(length) - first;
                const int key = first * panel;
                const int keys = length - key < most_keys ? length - key : most_keys;
                scores<ROWS>(head, query, first, left < most_keys / panel ? left : most_keys / panel,
                             score);
                for (int r = 0; r < ROWS; ++r) {
                    mask(head, query + r, key, keys, score + r * most_keys);
                    float* row = probability + std::ptrdiff_t(query + r) * length + key;
                    for (int j = 0; j < keys; ++j) row[j] = score[r * most_keys + j];
                }
            }
            for (int r = 0; r < ROWS; ++r)
                softmax(probability + std::ptrdiff_t(query + r) * length, length);
        }

        static void softmax(float* row, int length) {
            V largest = S::set(-HUGE_VALF);
            Row::vectors(length, [&](int j, int lanes) {
                largest = S::max(largest, S::keep_between(Row::load(row + j, lanes), 0, lanes, -HUGE_VALF));
            });
            const V shift = S::set(S::largest(largest));
            V total = S::zero();
            Row::vectors(length, [&](int j, int lanes) {
                V weight = Mathematics<S>::exp(S::sub(Row::load(row + j, lanes), shift));
                Row::store(row + j, weight, lanes);
                total = S::add(total, S::keep_between(weight, 0, lanes, 0.0f));
            });
            const V factor = S::set(1.0f / S::sum(total));
            Row::vectors(length, [&](int j, int lanes) {
                Row::store(row + j, S::mul(Row::load(row + j, lanes), factor), lanes);
            });
        }
    };
};

}  // namespace
}  // namespace bothways
