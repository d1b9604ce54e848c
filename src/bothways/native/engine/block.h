// The encoder block: attention and feed-forward, each with a residual connection and a norm.
// Vaswani et al. 2017, section 3.1; Xiong et al. 2020, figure 1b; Ding et al. 2021, section 2.4.
//
// R rows (tokens of a chunk); D model width; F feed-forward width.
#pragma once

#include <optional>

#include "attention.h"
#include "experts.h"
#include "norm.h"

namespace bothways {

class Block {
public:
    Block(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
          Precision precision, int index);

    // work.x (R, D) = block(work.x). All members of the team call it together; it ends with a barrier.
    void forward(const Team& team, const Chunk& chunk, Workspace& work, int layer,
                 const PositionTables& positions, float* probabilities) const;

    std::size_t bytes() const {
        return attention_.bytes() + gate_.bytes() + up_.bytes() + down_.bytes() +
               (experts_ ? experts_->bytes() : 0);
    }

private:
    void feed_forward(const Team& team, const float* from, int rows, Workspace& work, float* out,
                      Accumulate accumulate) const;

    const EncoderConfig& config_;
    SelfAttention attention_;
    bool has_attention_norm_;
    NormLayer attention_norm_, feed_forward_norm_;
    NormLayer attention_output_norm_, feed_forward_output_norm_;  // of a sandwich
    Linear gate_, up_, down_;
    std::optional<Experts> experts_;  // in place of these maps
    int feed_forward_rows_;
};

}  // namespace bothways
