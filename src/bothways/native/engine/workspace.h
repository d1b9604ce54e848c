// The activations of one chunk. Buffers are reused from step to step, layer to layer, call to call.
//
// R rows (tokens of the chunk); D model width; F feed-forward width; E embedding width.
#pragma once

#include <algorithm>
#include <vector>

#include "config.h"
#include "linear.h"

namespace bothways {

// Rows that go through the feed-forward together, so that what lies between its two maps stays in cache.
constexpr int feed_forward_rows = 96;

struct Workspace {
    Buffer<float> x;         // (R, D) the residual stream
    Buffer<float> side;      // (R, D) its norm, and what attention mixed
    Buffer<float> wide;      // (R, 3 D) queries, keys, values; or (feed_forward_rows, F)
    Buffer<float> embedded;  // (R, E) where a projection follows
    QuantisedBuffer quantised;
    std::vector<Buffer<float>> scratch;  // one for each member of the team

    // How much of what chunks of `rows` tokens need, whose longest sequence has `longest`.
    struct Sizes {
        std::size_t x, wide, embedded, cells, scratch;

        Sizes(const EncoderConfig& config, const Kernels& kernels, Precision precision, int rows,
              int longest) {
            const int D = config.d_model, F = config.d_ff, inner = std::min(rows, feed_forward_rows);
            x = numbers(rows, D);
            wide = std::max(numbers(rows, 3 * D), numbers(inner, F));
            embedded = config.embedding_projection ? numbers(rows, config.embedding_width) : 0;
            cells = precision == Precision::int8 ? std::max(QuantisedBuffer::cells(rows, D),
                                                            QuantisedBuffer::cells(inner, F))
                                                 : 0;
            scratch = kernels.head_scratch(longest, config.head_width());
        }
        static std::size_t numbers(int count, int width) { return static_cast<std::size_t>(count) * width; }
        std::size_t bytes(int members) const {
            return sizeof(float) * (2 * x + wide + embedded + static_cast<std::size_t>(members) * scratch) +
                   QuantisedBuffer::bytes(cells);
        }
    };

    void reserve(const Sizes& sizes, int members) {
        x.reserve(sizes.x);
        side.reserve(sizes.x);
        wide.reserve(sizes.wide);
        embedded.reserve(sizes.embedded);
        quantised.reserve(sizes.cells);
        scratch.resize(std::max(scratch.size(), static_cast<std::size_t>(members)));
        for (int member = 0; member < members; ++member) scratch[member].reserve(sizes.scratch);
    }
};

}  // namespace bothways
