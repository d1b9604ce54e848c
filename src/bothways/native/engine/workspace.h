// The activations of one chunk. All steps, layers and calls reuse the same buffers.
//
// R rows (tokens of the chunk); D model width; F feed-forward width; X experts and k per row; E embedding width; Q and V, widths of the
// queries and of the values of all heads.
#pragma once

#include <algorithm>
#include <vector>

#include "config.h"
#include "linear.h"

namespace bothways {

// Rows per pass through the feed-forward. With few, the activations between its maps stay in cache. Weights of
// more than 16 MiB, though, do not stay there from one pass to the next: a pass then takes all rows of an
// ordinary chunk, so that the weights are read once.
inline int feed_forward_rows(const EncoderConfig& config, Precision precision) {
    const double weights = (config.gated ? 3.0 : 2.0) * config.d_model * config.d_ff;
    const double bytes = weights * (precision == Precision::fp32 ? sizeof(float) : sizeof(std::int8_t));
    return bytes > 16 * 1024 * 1024 ? 320 : 96;
}

// Rows per pass through the convolution, whose inputs are several times as wide as its outputs.
constexpr int convolution_rows = 96;

struct Workspace {
    Buffer<float> x;         // (R, D) the residual stream
    Buffer<float> side;      // (R, D) the norm of x, or (R, Q) the heads' outputs
    Buffer<float> branch;    // (R, D) a sublayer's output that a norm follows
    Buffer<float> wide;      // (R, Q + 2 V) queries, keys, values; or (feed_forward_rows(), F); or
                             // (convolution_rows, inputs of the convolution)
    Buffer<float> convolved;  // (R, D) what the convolution adds to the first layer
    Buffer<float> embedded;  // (R, E) embeddings that a projection follows
    // Of experts: the probability of each for each row (R, X), 0 for those that it does not use; the rows of each,
    // one expert after the other (R, k), and where each begins (X + 1); and the inputs and outputs of some rows of
    // one, (feed_forward_rows(), D).
    Buffer<float> probability, expert_input, expert_output;
    Buffer<int> expert_rows, expert_start;
    QuantizedBuffer quantized;
    std::vector<Buffer<float>> scratch;  // attention scratch, one per member of the team

    // Buffer sizes for chunks of `rows` tokens with sequences of at most `longest` tokens.
    struct Sizes {
        std::size_t x, side, branch, wide, convolved, embedded, cells, scratch;
        std::size_t probability = 0, expert_rows = 0, expert_start = 0, expert_values = 0;
        int group;  // of quantized activations

        Sizes(const EncoderConfig& config, const Kernels& kernels, Precision precision, int rows,
              int longest) {
            const int D = config.d_model, F = config.d_ff;
            const int inner = std::min(rows, feed_forward_rows(config, precision));
            const int widest = std::max(D, config.query_width());
            x = product(rows, D);
            side = product(rows, widest);
            branch = config.norm_placement == NormPlacement::sandwich ? x : 0;
            wide = std::max({product(rows, config.query_key_value_width()), product(inner, F),
                             product(std::min(rows, convolution_rows), config.convolution_inputs())});
            convolved = config.convolution_kernel_size ? x : 0;
            embedded = config.embedding_projection ? product(rows, config.embedding_width) : 0;
            group = int8_group(kernels.int8_scheme);
            cells = precision == Precision::int8 ? std::max(QuantizedBuffer::cells(rows, widest, group),
                                                            QuantizedBuffer::cells(inner, F, group))
                                                 : 0;
            scratch = kernels.attention_scratch(longest, config.head_width, config.distance_columns());
            if (!config.expert_blocks.empty()) {
                probability = product(rows, config.num_experts);
                expert_rows = product(rows, config.experts_per_token);
                expert_start = static_cast<std::size_t>(config.num_experts) + 1;
                expert_values = product(inner, D);
            }
            if (config.num_layers == 0) side = branch = wide = scratch = 0;  // which blocks alone use
        }
        static std::size_t product(int rows, int width) { return static_cast<std::size_t>(rows) * width; }
        std::size_t bytes(int members) const {
            const std::size_t scratches = static_cast<std::size_t>(members) * scratch;
            return sizeof(float) * (x + side + branch + wide + convolved + embedded + scratches + probability +
                                    2 * expert_values) +
                   sizeof(int) * (expert_rows + expert_start) + QuantizedBuffer::bytes(cells, group);
        }
    };

    void reserve(const Sizes& sizes, int members) {
        x.reserve(sizes.x);
        side.reserve(sizes.side);
        branch.reserve(sizes.branch);
        wide.reserve(sizes.wide);
        convolved.reserve(sizes.convolved);
        embedded.reserve(sizes.embedded);
        probability.reserve(sizes.probability);
        expert_input.reserve(sizes.expert_values);
        expert_output.reserve(sizes.expert_values);
        expert_rows.reserve(sizes.expert_rows);
        expert_start.reserve(sizes.expert_start);
        quantized.reserve(sizes.cells, sizes.group);
        scratch.resize(std::max(scratch.size(), static_cast<std::size_t>(members)));
        for (int member = 0; member < members; ++member) scratch[member].reserve(sizes.scratch);
    }
};

}  // namespace bothways
