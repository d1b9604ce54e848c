// Self-attention: every position asks every other of its sequence, and takes from each in proportion to
// the answer. Vaswani et al. 2017, section 3.2.
//
// R rows (tokens of a chunk); D model width; H heads; K head width; L positions of a sequence.
#pragma once

#include "batch.h"
#include "weights.h"
#include "workspace.h"

namespace bothways {

// What attention knows of positions, the same for all sequences.
class PositionTables {
public:
    PositionTables(const EncoderConfig& config, const Weights& weights);

    struct Rotary {
        const float* cosine;  // (max_length, K / 2)
        const float* sine;
    };
    Rotary rotary(int layer) const;  // for rotary positions only
    // bias[key position - query position] of a head, or null without relative positions.
    const float* bias(int head) const;
    std::size_t bytes() const;

private:
    struct Angles {
        std::vector<double> frequencies;
        Buffer<float> cosine, sine;
    };
    std::vector<Angles> angles_;   // one for each set of frequencies in use
    std::vector<int> angles_of_;   // of each layer, which
    Buffer<float> bias_;           // (H, 2 max_length - 1)
    int max_length_;
};

class SelfAttention {
public:
    SelfAttention(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
                  Precision precision, const std::string& name);

    // Adds to work.x what attention makes of `x` (R, D), which may be work.x or work.side. Where
    // `probabilities` is not null, fills it (H, L, L) for a chunk of one sequence. The whole team calls
    // it, and may go on once it returns.
    void forward(const Team& team, const Chunk& chunk, Workspace& work, const float* x, int layer,
                 const PositionTables& positions, float* probabilities) const;

    std::size_t bytes() const { return query_key_value_.bytes() + output_.bytes(); }

private:
    void rotate(const Team& team, const Chunk& chunk, float* wide, PositionTables::Rotary angles) const;
    Head head_of(const Chunk& chunk, Workspace& work, const Team& team, int sequence, int head,
                 int layer, const PositionTables& positions) const;

    const Kernels& kernels_;
    const EncoderConfig& config_;
    Precision precision_;
    Linear query_key_value_, output_;
};

}  // namespace bothways
