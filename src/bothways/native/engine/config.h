// The architecture, as the Python EncoderConfig says it: the same names, already checked there.
#pragma once

#include <vector>

#include "kernels.h"

namespace bothways {

enum class Input { tokens, vectors };
enum class Positions { learned, sinusoidal, rotary, relative, none };
enum class NormKind { layer, rms };
enum class NormPlacement { post, pre };

struct EncoderConfig {
    int num_layers = 0, num_heads = 0, d_model = 0, d_ff = 0, max_length = 0;

    Input input = Input::tokens;
    int vocab_size = 0, num_channels = 0, num_segments = 0;
    int embedding_width = 0;            // of the embeddings before any projection
    bool embedding_projection = false;  // whether one follows
    bool embedding_norm = false;
    int rescaled_mask_token = -1;  // -1 for none

    Positions positions = Positions::none;
    bool position_table = false;  // whether learned positions are added
    int position_offset = 0;
    std::vector<std::vector<double>> rotary_frequencies;  // of each layer; empty unless rotary
    int relative_buckets = 0, relative_max_distance = 0;

    NormKind norm = NormKind::layer;
    float norm_eps = 0;
    NormPlacement norm_placement = NormPlacement::post;
    bool first_attention_norm = true, final_norm = false;
    Activation activation = Activation::none;
    bool gated = false;
    std::vector<int> window;  // of each layer; -1 for all
    std::vector<int> block;   // of each layer

    int head_width() const { return d_model / num_heads; }
};

}  // namespace bothways
