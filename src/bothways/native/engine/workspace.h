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

    // Makes room for chunks of `rows` tokens whose longest sequence has `longest`.
    void reserve(const EncoderConfig& config, const Kernels& kernels, Precision precision, int rows,
                 int longest, int members) {
        const auto numbers = [](int count, int width) { return static_cast<std::size_t>(count) * width; };
        const int D = config.d_model, F = config.d_ff, inner = std::min(rows, feed_forward_rows);
        x.reserve(numbers(rows, D));
        side.reserve(numbers(rows, D));
        wide.reserve(std::max(numbers(rows, 3 * D), numbers(inner, F)));
        if (config.embedding_projection) embedded.reserve(numbers(rows, config.embedding_width));
        if (precision == Precision::int8)
            quantised.reserve(
                std::max(QuantisedBuffer::cells(rows, D), QuantisedBuffer::cells(inner, F)));
        scratch.resize(std::max(scratch.size(), static_cast<std::size_t>(members)));
        for (int member = 0; member < members; ++member)
            scratch[member].reserve(kernels.head_scratch(longest, config.head_width()));
    }
};

}  // namespace bothways
