// A packed batch: the tokens of its sequences, concatenated; and chunks of a batch.
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
    std::vector<int> start;                  // (B + 1): the first token of each sequence, then T
    std::vector<int> sequence_of;            // (T): the sequence of each token
    std::vector<int> keys;                   // (B): the first positions that are attended to; empty for all

    int sequences() const { return static_cast<int>(start.size()) - 1; }
    int tokens() const { return start.back(); }
    int length(int sequence) const { return start[sequence + 1] - start[sequence]; }

    // Fills `start` and `sequence_of` from `lengths`, and checks what the kernels rely on: lengths of 1 to
    // max_length that sum to `tokens`, and ids and segments within their tables.
    // Throws std::invalid_argument.
    void set_lengths(const EncoderConfig& config, const std::vector<std::int64_t>& lengths,
               std::int64_t tokens);
    // Fills `keys`, each 1 to the length of its sequence; call it after `set_lengths`.
    // Throws std::invalid_argument.
    void set_keys(const std::vector<std::int64_t>& counts);
};

// The sequences [first, last) of a batch: a unit of work.
struct Chunk {
    const Batch& batch;
    int first, last;

    int begin() const { return batch.start[first]; }
    int rows() const { return batch.start[last] - begin(); }
    // The first row of a sequence within the chunk.
    int row(int sequence) const { return batch.start[sequence] - begin(); }
};

}  // namespace bothways
