// A convolution over the positions, beside the first layer (DeBERTa v2): what it adds to that layer's output.
//
// R rows (tokens of a chunk); D model width; C channels of a group.
#pragma once

#include "batch.h"
#include "norm.h"
#include "workspace.h"

namespace bothways {

class Convolution {
public:
    // Its maps stay in fp32: they are small, and their errors reach every layer.
    Convolution(const Kernels& kernels, const EncoderConfig& config, const Weights& weights);

    // work.convolved (R, D) = act(convolution(work.x)). All members of the team call it together; it ends with
    // a barrier.
    void forward(const Team& team, const Chunk& chunk, Workspace& work) const;

    // work.x (R, D) = norm(work.x + work.convolved). Likewise.
    void add(const Team& team, int rows, Workspace& work) const;

    std::size_t bytes() const;

private:
    void gather(const Team& team, const Chunk& chunk, const float* x, int first, int rows, int group,
                float* kernels) const;

    const EncoderConfig& config_;
    std::vector<Linear> maps_;  // one per group of channels
    NormLayer norm_;
};

}  // namespace bothways
