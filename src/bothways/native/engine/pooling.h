// Pooling: from one vector per position to one vector per sequence.
#pragma once

#include "batch.h"
#include "threads.h"

namespace bothways {

struct Pooling {
    std::vector<PoolingMode> modes;
    int skip = 0;             // positions left out at the start of each sequence
    float* pooled = nullptr;  // (B, D * modes)
};

// This member's share of the sequences of a chunk whose hidden states are x (R, D).
void pool(const Team& team, const Kernels& kernels, const Chunk& chunk, const float* x, int d_model,
          const Pooling& pooling);

}  // namespace bothways
