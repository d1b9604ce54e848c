// The architecture, with the field names of Python's EncoderConfig and what depends on the layer resolved.
#pragma once

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "kernels.h"

namespace bothways {

enum class Input { tokens, vectors };
enum class Positions { learned, sinusoidal, rotary, relative, alibi, disentangled, none };
enum class NormKind { layer, rms };
enum class NormPlacement { post, pre, sandwich };
enum class QueryKeyNorm { none, head, all_heads };
enum class AttentionDirection { both, causal };

struct EncoderConfig {
    int num_layers = 0, num_heads = 0, d_model = 0, d_ff = 0, max_length = 0;
    int head_width = 0;
    int key_value_heads = 0;  // each serves num_heads / key_value_heads adjacent heads of queries

    Input input = Input::tokens;
    int vocab_size = 0, num_channels = 0, num_segments = 0;
    int embedding_width = 0;            // of the embeddings, before any projection
    bool embedding_projection = false;  // from embedding_width to d_model
    float embedding_scale = 1;          // of the token embeddings
    bool embedding_norm = false;
    int rescaled_mask_token = -1;  // -1 for none

    Positions positions = Positions::none;
    bool position_table = false;  // whether learned position embeddings are added
    int position_offset = 0;
    int position_padding_token = -1;  // takes the row before the first position's; -1 for none
    std::vector<std::vector<double>> rotary_frequencies;  // per layer; empty unless rotary
    std::vector<double> rotary_magnitudes;                // per layer, of what is rotated; empty unless rotary
    int relative_buckets = 0, relative_max_distance = 0;
    std::vector<double> alibi_slopes;  // per head; empty unless alibi
    // Disentangled attention: the row of each distance from 1 - max_length to max_length - 1, which fall; empty
    // without.
    std::vector<int> distance_rows;
    bool content_to_position = false, position_to_content = false;  // false without disentangled attention
    bool relative_embedding_norm = false, shared_position_projections = false;

    NormKind norm = NormKind::layer;
    float norm_eps = 0;
    bool norm_zero_centered = false;  // gains are 1 + weight
    NormPlacement norm_placement = NormPlacement::post;
    bool first_attention_norm = true, final_norm = false;
    float residual_scale = 1;  // of what each sublayer adds
    QueryKeyNorm query_key_norm = QueryKeyNorm::none;
    double score_scale = 0;  // of the products of queries and keys
    AttentionDirection attention_direction = AttentionDirection::both;
    Activation activation = Activation::none;
    bool gated = false;
    int num_experts = 0, experts_per_token = 0;
    std::vector<int> expert_blocks;  // those whose feed-forward is a mixture of experts
    std::vector<int> window;  // per layer; -1 for no limit
    std::vector<int> block;   // per layer: the index of its weights
    // A convolution beside the first layer; a size of 0 for none.
    int convolution_kernel_size = 0, convolution_groups = 1;
    Activation convolution_activation = Activation::none;

    // Widths of the queries of all heads, of their keys, and of queries, keys and values together.
    int query_width() const { return num_heads * head_width; }
    int key_value_width() const { return key_value_heads * head_width; }
    // Vectors of distances of disentangled attention; 0 without.
    int distance_columns() const { return positions == Positions::disentangled ? relative_buckets : 0; }
    // Inputs of each output of the convolution; 0 without.
    int convolution_inputs() const { return convolution_kernel_size * (d_model / convolution_groups); }
    int query_key_value_width() const { return query_width() + 2 * key_value_width(); }

    bool has_experts(int block) const {
        return std::find(expert_blocks.begin(), expert_blocks.end(), block) != expert_blocks.end();
    }

    // Throws std::invalid_argument unless the fields are consistent, so that no kernel leaves its arrays.
    void check() const;
};

// The only list of the fields that cross from Python; backend.py has its counterpart, `_engine_config`.
// A field that is missing on either side is an error at run time. Calls f(name, field) for each.
template <class F>
void for_each_field(EncoderConfig& c, F&& f) {
    f("num_layers", c.num_layers);
    f("num_heads", c.num_heads);
    f("d_model", c.d_model);
    f("d_ff", c.d_ff);
    f("max_length", c.max_length);
    f("head_width", c.head_width);
    f("key_value_heads", c.key_value_heads);
    f("input", c.input);
    f("vocab_size", c.vocab_size);
    f("num_channels", c.num_channels);
    f("num_segments", c.num_segments);
    f("embedding_width", c.embedding_width);
    f("embedding_projection", c.embedding_projection);
    f("embedding_scale", c.embedding_scale);
    f("embedding_norm", c.embedding_norm);
    f("rescaled_mask_token", c.rescaled_mask_token);
    f("positions", c.positions);
    f("position_table", c.position_table);
    f("position_offset", c.position_offset);
    f("position_padding_token", c.position_padding_token);
    f("rotary_frequencies", c.rotary_frequencies);
    f("rotary_magnitudes", c.rotary_magnitudes);
    f("relative_buckets", c.relative_buckets);
    f("relative_max_distance", c.relative_max_distance);
    f("alibi_slopes", c.alibi_slopes);
    f("distance_rows", c.distance_rows);
    f("content_to_position", c.content_to_position);
    f("position_to_content", c.position_to_content);
    f("relative_embedding_norm", c.relative_embedding_norm);
    f("shared_position_projections", c.shared_position_projections);
    f("norm", c.norm);
    f("norm_eps", c.norm_eps);
    f("norm_zero_centered", c.norm_zero_centered);
    f("norm_placement", c.norm_placement);
    f("first_attention_norm", c.first_attention_norm);
    f("final_norm", c.final_norm);
    f("residual_scale", c.residual_scale);
    f("query_key_norm", c.query_key_norm);
    f("score_scale", c.score_scale);
    f("attention_direction", c.attention_direction);
    f("activation", c.activation);
    f("gated", c.gated);
    f("num_experts", c.num_experts);
    f("experts_per_token", c.experts_per_token);
    f("expert_blocks", c.expert_blocks);
    f("window", c.window);
    f("block", c.block);
    f("convolution_kernel_size", c.convolution_kernel_size);
    f("convolution_groups", c.convolution_groups);
    f("convolution_activation", c.convolution_activation);
}

// The values of each enumeration by the names that Python uses: enum_names(Enum{}) lists them.
template <class E, std::size_t N>
using EnumNames = std::array<std::pair<const char*, E>, N>;

constexpr EnumNames<Input, 2> enum_names(Input) {
    return {{{"tokens", Input::tokens}, {"vectors", Input::vectors}}};
}
constexpr EnumNames<Positions, 7> enum_names(Positions) {
    return {{{"learned", Positions::learned},
             {"sinusoidal", Positions::sinusoidal},
             {"rotary", Positions::rotary},
             {"relative", Positions::relative},
             {"alibi", Positions::alibi},
             {"disentangled", Positions::disentangled},
             {"none", Positions::none}}};
}
constexpr EnumNames<NormKind, 2> enum_names(NormKind) {
    return {{{"layer", NormKind::layer}, {"rms", NormKind::rms}}};
}
constexpr EnumNames<NormPlacement, 3> enum_names(NormPlacement) {
    return {{{"post", NormPlacement::post},
             {"pre", NormPlacement::pre},
             {"sandwich", NormPlacement::sandwich}}};
}
constexpr EnumNames<QueryKeyNorm, 3> enum_names(QueryKeyNorm) {
    return {{{"none", QueryKeyNorm::none},
             {"head", QueryKeyNorm::head},
             {"all_heads", QueryKeyNorm::all_heads}}};
}
constexpr EnumNames<AttentionDirection, 2> enum_names(AttentionDirection) {
    return {{{"both", AttentionDirection::both}, {"causal", AttentionDirection::causal}}};
}
constexpr EnumNames<Activation, 5> enum_names(Activation) {
    return {{{"relu", Activation::relu},
             {"gelu", Activation::gelu},
             {"gelu_tanh", Activation::gelu_tanh},
             {"silu", Activation::silu},
             {"tanh", Activation::tanh}}};
}
constexpr EnumNames<PoolingMode, 7> enum_names(PoolingMode) {
    return {{{"cls", PoolingMode::cls},
             {"max", PoolingMode::max},
             {"mean", PoolingMode::mean},
             {"mean_sqrt_len", PoolingMode::mean_sqrt_len},
             {"weighted_mean", PoolingMode::weighted_mean},
             {"last", PoolingMode::last},
             {"mean_content", PoolingMode::mean_content}}};
}

}  // namespace bothways
