#include "config.h"

#include <cstdint>
#include <stdexcept>
#include <string>

namespace bothways {

namespace {

void require(bool condition, const char* expectation) {
    if (!condition) throw std::invalid_argument(std::string("inconsistent config: expected ") + expectation);
}

}  // namespace

void EncoderConfig::check() const {
    const auto layers = static_cast<std::size_t>(num_layers);
    require(num_layers >= 0, "no negative number of layers");
    require(num_heads >= 1 && d_ff >= 1 && embedding_width >= 1, "heads and widths of at least 1");
    require(d_model >= 1 && head_width >= 1, "widths of at least 1");
    require(key_value_heads >= 1 && num_heads % key_value_heads == 0,
            "num_heads to be a multiple of key_value_heads");
    // Sums of widths are int, and so are their products with the rows of a tile.
    const std::int64_t widest = (1 << 24);
    require(static_cast<std::int64_t>(num_heads) * head_width <= widest, "at most 2^24 numbers of queries");
    require(max_length >= 1 && max_length < (1 << 24), "max_length of 1 to 2^24 - 1");
    require(position_offset >= 0 && num_segments >= 0, "no negative position_offset or num_segments");
    require(position_padding_token < 0 || (position_table && position_offset >= 1 && input == Input::tokens),
            "position_padding_token only with ids, a position table, and a position_offset of at least 1");
    require(window.size() == layers && block.size() == layers, "one window and one block per layer");
    for (const int index : block) require(index >= 0 && index < num_layers, "blocks of 0 to num_layers - 1");
    require(convolution_kernel_size >= 0 && (convolution_kernel_size == 0 || convolution_kernel_size % 2 == 1),
            "an odd convolution_kernel_size, or 0");
    require(convolution_kernel_size == 0 || num_layers >= 1, "layers beside the convolution");
    require(convolution_groups >= 1 && d_model % convolution_groups == 0,
            "d_model to be a multiple of convolution_groups");
    require(static_cast<std::int64_t>(convolution_kernel_size) * d_model <= widest,
            "at most 2^24 inputs of the convolution");
    require(num_experts >= 0 && (expert_blocks.empty() || num_experts >= 1), "experts in blocks of experts");
    require(static_cast<std::int64_t>(num_experts) * d_ff <= widest, "at most 2^24 hidden units of experts");
    require(expert_blocks.empty() || (experts_per_token >= 1 && experts_per_token <= num_experts && !gated),
            "1 to num_experts experts per token, without gates");
    if (positions == Positions::rotary) {
        require(rotary_frequencies.size() == layers && rotary_magnitudes.size() == layers,
                "rotary frequencies and a magnitude for each layer");
        for (const std::vector<double>& frequencies : rotary_frequencies)
            require(2 * static_cast<int>(frequencies.size()) == head_width,
                    "one rotary frequency per pair of channels of a head");
    }
    if (positions == Positions::alibi)
        require(static_cast<int>(alibi_slopes.size()) == num_heads, "one slope per head");
    if (positions == Positions::disentangled) {
        require(relative_buckets >= 1 && relative_buckets <= (1 << 24), "relative_buckets of 1 to 2^24");
        require(query_key_norm == QueryKeyNorm::none, "no norm of queries with disentangled attention");
        require(static_cast<int>(distance_rows.size()) == 2 * max_length - 1, "one row per distance");
        for (std::size_t i = 0; i < distance_rows.size(); ++i)
            require(distance_rows[i] >= 0 && distance_rows[i] < relative_buckets &&
                        (i == 0 || distance_rows[i] <= distance_rows[i - 1]),
                    "rows of distances that fall, below relative_buckets");
    }
}

}  // namespace bothways
