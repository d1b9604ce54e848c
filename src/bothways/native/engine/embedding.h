// Embeddings of ids or vectors: input + segment + position, then norm and projection.
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

    // Fills work.x (R, D). All members of the team call it together; it ends with a barrier.
    void forward(const Team& team, const Chunk& chunk, Workspace& work) const;

    std::size_t bytes() const;

private:
    void look_up(const Team& team, const Chunk& chunk, float* x) const;
    void add_positions(const Team& team, const Chunk& chunk, float* x) const;
    float embedding_scale(const Batch& batch, int sequence) const;

    const EncoderConfig& config_;
    const float* token_ = nullptr;     // (V, E)
    const float* segment_ = nullptr;   // (segments, E), or null
    const float* position_ = nullptr;  // (max_length, E), from position 0, or null
    Buffer<float> sinusoids_;          // (max_length, E), for sinusoidal positions
    Linear input_;                     // for input vectors
    NormLayer norm_;
    Linear projection_;
};

}  // namespace bothways
