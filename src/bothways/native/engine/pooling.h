// Pooling: one vector per sequence from one vector per position.
#pragma once

#include "batch.h"
#include "threads.h"

namespace bothways {

struct Pooling {
    std::vector<PoolingMode> modes;
    int skip = 0;                           // positions to skip at the start of each sequence
    float* pooled = nullptr;                // (B, D * modes)
    const std::uint8_t* content = nullptr;  // (T): whether mean_content pools a token; null for all
};

// Pools this member's share of the sequences of a chunk with hidden states x (R, D).
void pool(const Team& team, const Kernels& kernels, const Chunk& chunk, const float* x, int d_model,
          const Pooling& pooling);

}  // namespace bothways
