#include "attention.h"

#include <algorithm>
#include <cmath>

namespace bothways {

namespace {

// Kernels take scores in units of log 2: softmax weights are powers of 2.
constexpr double log2_e = 1.4426950408889634;

// Raffel et al. 2020, section 2.1. Each direction has n buckets: one per distance below n/2, then buckets on
// a logarithmic scale up to max_distance; the last also holds all larger distances. Keys after the query
// use the second half of the buckets.
int relative_bucket(int distance, int buckets, int max_distance) {
    const int n = buckets / 2, exact = n / 2;
    const int magnitude = distance < 0 ? -distance : distance;
    int bucket = magnitude;
    if (magnitude >= exact) {
        const double scaled = std::log(static_cast<double>(magnitude) / exact) /
                              std::log(static_cast<double>(max_distance) / exact) * (n - exact);
        // 1e-4 keeps rounded logarithms of bucket boundaries from falling below the boundary.
        bucket = std::min(exact + static_cast<int>(std::floor(scaled + 1e-4)), n - 1);
    }
    return distance > 0 ? bucket + n : bucket;
}

}  // namespace

PositionTables::PositionTables(const EncoderConfig& config, const Weights& weights)
    : max_length_(config.max_length) {
    if (config.positions == Positions::rotary) {
        const int pairs = config.head_width() / 2;
        for (const std::vector<double>& frequencies : config.rotary_frequencies) {
            std::size_t index = 0;
            while (index < angles_.size() && angles_[index].frequencies != frequencies) ++index;
            angles_of_layer_.push_back(static_cast<int>(index));
            if (index < angles_.size()) continue;
            const std::size_t size = static_cast<std::size_t>(max_length_) * pairs;
            Angles angles{frequencies, Buffer<float>(size), Buffer<float>(size)};
            for (int i = 0; i < pairs; ++i) {
                for (int p = 0; p < max_length_; ++p) {
                    const std::size_t at = static_cast<std::size_t>(p) * pairs + i;
                    angles.cosine[at] = static_cast<float>(std::cos(p * frequencies[i]));
                    angles.sine[at] = static_cast<float>(std::sin(p * frequencies[i]));
                }
            }
            angles_.push_back(std::move(angles));
        }
    }
    if (config.positions == Positions::relative) {
        const int H = config.num_heads, distances = 2 * max_length_ - 1;
        const float* by_bucket = weights.get("relative_bias.weight", {config.relative_buckets, H});
        bias_ = Buffer<float>(static_cast<std::size_t>(H) * distances);
        for (int i = 0; i < distances; ++i) {
            const int row =
                relative_bucket(i - (max_length_ - 1), config.relative_buckets, config.relative_max_distance);
            for (int h = 0; h < H; ++h)
                bias_[static_cast<std::size_t>(h) * distances + i] =
                    static_cast<float>(by_bucket[row * H + h] * log2_e);
        }
    }
    if (config.positions == Positions::alibi) {  // Press et al. 2022, section 3
        const int distances = 2 * max_length_ - 1;
        bias_ = Buffer<float>(config.alibi_slopes.size() * distances);
        float* bias = bias_.data();
        for (const double slope : config.alibi_slopes)
            for (int i = 0; i < distances; ++i)
                *bias++ = static_cast<float>(-slope * std::abs(i - (max_length_ - 1)) * log2_e);
    }
}

PositionTables::Rotary PositionTables::rotary(int layer) const {
    const Angles& angles = angles_[angles_of_layer_[layer]];
    return {angles.cosine.data(), angles.sine.data()};
}

const float* PositionTables::bias(int head) const {
    if (!bias_.size()) return nullptr;
    return bias_.data() + static_cast<std::ptrdiff_t>(head) * (2 * max_length_ - 1) + max_length_ - 1;
}

std::size_t PositionTables::bytes() const {
    std::size_t floats = bias_.size();
    for (const Angles& angles : angles_) floats += angles.cosine.size() + angles.sine.size();
    return floats * sizeof(float);
}

SelfAttention::SelfAttention(const Kernels& kernels, const EncoderConfig& config,
                             const Weights& weights, Precision precision, const std::string& name)
    : kernels_(kernels), config_(config), precision_(precision) {
    const int D = config.d_model;
    const auto matrix = [&](const std::string& part, double factor) {
        return Matrix{weights.get(name + part + ".weight", {D, D}),
                      weights.get_optional(name + part + ".bias", {D}), D, static_cast<float>(factor)};
    };
    // Fold the scale of the scores, 1 / sqrt(head width), into the query weights.
    const double factor = log2_e / std::sqrt(static_cast<double>(config.head_width()));
    query_key_value_ = Linear(kernels, precision, D,
                              {matrix("query", factor), matrix("key", 1), matrix("value", 1)});
    output_ = Linear(kernels, precision, D, {matrix("output", 1)});
}

void SelfAttention::forward(const Team& team, const Chunk& chunk, Workspace& work, const float* x,
                            int layer, const PositionTables& positions, float* probabilities) const {
    const int D = config_.d_model, H = config_.num_heads, K = config_.head_width(), R = chunk.rows();
    query_key_value_.apply(team, query_key_value_.prepare(team, x, D, R, work.quantized),
                           work.wide.data(), 3 * D);
    team.wait();
    if (config_.positions == Positions::rotary) {
        rotate(team, chunk, work.wide.data(), positions.rotary(layer));
        team.wait();
    }
    const Range mine = team.share((chunk.last - chunk.first) * H);
    for (int item = mine.first; item < mine.last; ++item) {
        const int sequence = chunk.first + item / H, h = item % H;
        const AttentionArgs head = head_args(chunk, work, team, sequence, h, layer, positions);
        const std::ptrdiff_t row = chunk.row(sequence);
        kernels_.attention(head, work.side.data() + row * D + h * K, D);
        if (probabilities)
            kernels_.attention_probabilities(head,
                                             probabilities + static_cast<std::ptrdiff_t>(h) * R * R);
    }
    team.wait();
    output_.apply(team, output_.prepare(team, work.side.data(), D, R, work.quantized), work.x.data(), D,
                  Accumulate::add);
    team.wait();
}

void SelfAttention::rotate(const Team& team, const Chunk& chunk, float* qkv,
                           PositionTables::Rotary angles) const {
    const int D = config_.d_model, pairs = config_.head_width() / 2;
    const Range mine = team.share(chunk.rows());
    for (int row = mine.first; row < mine.last; ++row) {
        const int token = chunk.begin() + row;
        const std::ptrdiff_t position = token - chunk.batch.start[chunk.batch.sequence_of[token]];
        // Queries and keys are adjacent: 2 H heads.
        kernels_.rotate(qkv + static_cast<std::ptrdiff_t>(row) * 3 * D, 2 * config_.num_heads,
                        config_.head_width(), angles.cosine + position * pairs,
                        angles.sine + position * pairs);
    }
}

AttentionArgs SelfAttention::head_args(const Chunk& chunk, Workspace& work, const Team& team, int sequence,
                                       int head, int layer, const PositionTables& positions) const {
    const int D = config_.d_model, K = config_.head_width();
    const float* query =
        work.wide.data() + static_cast<std::ptrdiff_t>(chunk.row(sequence)) * 3 * D + head * K;
    return {query,
            query + D,
            query + 2 * D,
            3 * D,
            chunk.batch.length(sequence),
            K,
            config_.window[layer],
            positions.bias(head),
            precision_ == Precision::int8,
            work.scratch[team.rank].data()};
}

}  // namespace bothways
