// From ids or vectors to the first hidden states: input + segment + position, normalised, projected.
//
// R rows (tokens of a chunk); D model width; E embedding width. Devlin et al. 2019, figure 2.
#pragma once

#include "batch.h"
#include "norm.h"
#include "workspace.h"

namespace bothways {

class Embedding {
public:
    Embedding(const Kernels& kernels, const EncoderConfig& config, const Weights& weights);

    // Fills work.x (R, D). The whole team calls it, and may go on once it returns.
    void forward(const Team& team, const Chunk& chunk, Workspace& work) const;

    std::size_t bytes() const;

private:
    void look_up(const Team& team, const Chunk& chunk, float* x) const;
    void add_positions(const Team& team, const Chunk& chunk, float* x) const;
    float token_factor(const Batch& batch, int sequence) const;

    const EncoderConfig& config_;
    const float* token_ = nullptr;     // (V, E)
    const float* segment_ = nullptr;   // (segments, E), or null
    const float* position_ = nullptr;  // (max_length, E), the first position's row first, or null
    Buffer<float> sinusoids_;          // (max_length, E), where positions are sinusoidal
    Linear input_;                     // for vectors
    NormLayer norm_;
    Linear projection_;
};

}  // namespace bothways
