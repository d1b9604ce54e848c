// A packed batch: the tokens of its sequences end to end, and a part of it that is computed at a time.
//
// B sequences, T tokens, C channels.
#pragma once

#include <cstdint>
#include <vector>

#include "config.h"

namespace bothways {

struct Batch {
    const std::int64_t* ids = nullptr;       // (T), for input tokens
    const float* vectors = nullptr;          // (T, C), for input vectors
    const std::int64_t* segments = nullptr;  // (T), or null for segment 0 throughout
    std::vector<int> start;                  // (B + 1): where each sequence starts; T at the end
    std::vector<int> sequence_of;            // (T)

    int sequences() const { return static_cast<int>(start.size()) - 1; }
    int tokens() const { return start.back(); }
    int length(int sequence) const { return start[sequence + 1] - start[sequence]; }

    // Lays out `lengths`, and checks everything the kernels will trust: lengths of 1 to max_length
    // that add up to `tokens`, ids and segments within their tables.
    // Throws std::invalid_argument.
    void check(const EncoderConfig& config, const std::vector<std::int64_t>& lengths,
               std::int64_t tokens);
};

// Whole sequences [first, last) of a batch.
struct Chunk {
    const Batch& batch;
    int first, last;

    int begin() const { return batch.start[first]; }
    int rows() const { return batch.start[last] - begin(); }
    // Row of the chunk at which a sequence starts.
    int row(int sequence) const { return batch.start[sequence] - begin(); }
};

}  // namespace bothways
