#include "batch.h"

#include <limits>
#include <stdexcept>

namespace bothways {

namespace {

void check_ids(const std::int64_t* ids, std::int64_t count, int limit, const char* name) {
    for (std::int64_t t = 0; t < count; ++t)
        if (ids[t] < 0 || ids[t] >= limit)
            throw std::invalid_argument(std::string(name) + " " + std::to_string(ids[t]) +
                                        ": expected at least 0 and below " + std::to_string(limit));
}

}  // namespace

void Batch::set_lengths(const EncoderConfig& config, const std::vector<std::int64_t>& lengths,
                  std::int64_t tokens) {
    if (lengths.empty()) throw std::invalid_argument("expected a batch of at least one sequence");
    if (tokens > std::numeric_limits<int>::max() / 2)
        throw std::invalid_argument("a batch of " + std::to_string(tokens) + " tokens is too large");
    start.assign(1, 0);
    for (const std::int64_t length : lengths) {
        if (length < 1 || length > config.max_length || start.back() + length > tokens)
            throw std::invalid_argument(
                "sequence " + std::to_string(sequences()) + " has length " + std::to_string(length) +
                ": expected 1 to " + std::to_string(config.max_length) + ", " +
                std::to_string(tokens) + " in total");
        start.push_back(start.back() + static_cast<int>(length));
    }
    if (start.back() != tokens)
        throw std::invalid_argument("lengths add up to " + std::to_string(start.back()) +
                                    "; the batch has " + std::to_string(tokens) + " tokens");
    if (ids) check_ids(ids, tokens, config.vocab_size, "id");
    if (segments) check_ids(segments, tokens, config.num_segments ? config.num_segments : 1, "segment");
    sequence_of.resize(static_cast<std::size_t>(tokens));
    for (int s = 0; s < sequences(); ++s)
        for (int t = start[s]; t < start[s + 1]; ++t) sequence_of[t] = s;
}

void Batch::set_keys(const std::vector<std::int64_t>& counts) {
    if (static_cast<int>(counts.size()) != sequences())
        throw std::invalid_argument("expected a number of keys for each sequence");
    for (int s = 0; s < sequences(); ++s) {
        if (counts[s] < 1 || counts[s] > length(s))
            throw std::invalid_argument("sequence " + std::to_string(s) + " has " + std::to_string(counts[s]) +
                                        " keys: expected 1 to " + std::to_string(length(s)));
        keys.push_back(static_cast<int>(counts[s]));
    }
}

}  // namespace bothways
