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
    : config_(config), max_length_(config.max_length) {
    for (std::size_t layer = 0; layer < config.rotary_magnitudes.size(); ++layer) {
        Angles angles{config.rotary_frequencies[layer], config.rotary_magnitudes[layer], {}, {}};
        std::size_t index = 0;
        while (index < angles_.size() && !angles_[index].same_rotation(angles)) ++index;
        if (index == angles_.size()) angles_.push_back(std::move(angles));
        angles_of_layer_.push_back(static_cast<int>(index));
    }
    if (config.positions == Positions::relative) {
        const std::size_t size = static_cast<std::size_t>(config.relative_buckets) * config.num_heads;
        const float* table = weights.get("relative_bias.weight", {config.relative_buckets, config.num_heads});
        by_bucket_.assign(table, table + size);
    }
    if (config.positions == Positions::disentangled) set_columns(config);
}

// Tables grow with the inputs, because the longest that a config allows may be far longer than any input.
void PositionTables::reserve(int longest) {
    if (longest <= length_) return;
    length_ = std::min(max_length_, std::max(longest, 2 * length_));
    try {
        for (Angles& angles : angles_) set_angles(angles);
        if (config_.positions == Positions::relative) set_relative_bias();
        if (config_.positions == Positions::alibi) set_alibi();
    } catch (...) {  // std::bad_alloc
        length_ = 0;
        throw;
    }
}

void PositionTables::set_angles(Angles& angles) const {
    const int pairs = config_.head_width / 2;
    const std::size_t size = static_cast<std::size_t>(length_) * pairs;
    angles.cosine.reserve(size);
    angles.sine.reserve(size);
    for (int i = 0; i < pairs; ++i) {
        for (int p = 0; p < length_; ++p) {
            const std::size_t at = static_cast<std::size_t>(p) * pairs + i;
            const double angle = p * angles.frequencies[i];
            angles.cosine[at] = static_cast<float>(angles.magnitude * std::cos(angle));
            angles.sine[at] = static_cast<float>(angles.magnitude * std::sin(angle));
        }
    }
}

void PositionTables::set_relative_bias() {
    const int H = config_.num_heads, distances = 2 * length_ - 1;
    bias_.reserve(static_cast<std::size_t>(H) * distances);
    for (int i = 0; i < distances; ++i) {
        const int row =
            relative_bucket(i - (length_ - 1), config_.relative_buckets, config_.relative_max_distance);
        for (int h = 0; h < H; ++h)
            bias_[static_cast<std::size_t>(h) * distances + i] =
                static_cast<float>(by_bucket_[static_cast<std::size_t>(row) * H + h] * log2_e);
    }
}

void PositionTables::set_alibi() {  // Press et al. 2022, section 3
    const int distances = 2 * length_ - 1;
    bias_.reserve(config_.alibi_slopes.size() * distances);
    float* bias = bias_.data();
    for (const double slope : config_.alibi_slopes)
        for (int i = 0; i < distances; ++i)
            *bias++ = static_cast<float>(-slope * std::abs(i - (length_ - 1)) * log2_e);
}

// Columns are rows in reverse, so that they grow with the key's position.
void PositionTables::set_columns(const EncoderConfig& config) {
    const int distances = 2 * max_length_ - 1;
    columns_ = Buffer<std::int32_t>(static_cast<std::size_t>(distances + 2 * column_margin));
    for (int i = -column_margin; i < distances + column_margin; ++i)
        columns_[i + column_margin] =
            config.relative_buckets - 1 - config.distance_rows[std::clamp(i, 0, distances - 1)];
    const std::int32_t* column = columns();
    int& exact = exact_distance_;
    while (exact + 1 < max_length_ && column[exact + 1] == column[exact] + 1 &&
           column[-exact - 1] == column[-exact] - 1)
        ++exact;
}

PositionTables::Rotary PositionTables::rotary(int layer) const {
    const Angles& angles = angles_[angles_of_layer_[layer]];
    return {angles.cosine.data(), angles.sine.data()};
}

const float* PositionTables::bias(int head) const {
    if (!bias_.size()) return nullptr;
    return bias_.data() + head * bias_stride() + length_ - 1;
}

std::size_t PositionTables::bytes() const {
    std::size_t floats = bias_.size();
    for (const Angles& angles : angles_) floats += angles.cosine.size() + angles.sine.size();
    return floats * sizeof(float) + columns_.size() * sizeof(std::int32_t);
}

SelfAttention::SelfAttention(const Kernels& kernels, const EncoderConfig& config,
                             const Weights& weights, Precision precision, const std::string& name)
    : kernels_(kernels), config_(config), precision_(precision) {
    const int D = config.d_model, K = config.head_width, Q = config.query_width(), V = config.key_value_width();
    const auto matrix = [&](const std::string& part, int outputs, int inputs, double factor) {
        return Matrix{weights.get(name + part + ".weight", {outputs, inputs}),
                      weights.get_optional(name + part + ".bias", {outputs}), outputs,
                      static_cast<float>(factor)};
    };
    // Fold the scale of the scores into the query weights, or into the norm that follows them.
    const double scale = log2_e * config.score_scale;
    const bool has_norm = config.query_key_norm != QueryKeyNorm::none;
    query_key_value_ = Linear(kernels, precision, D,
                              {matrix("query", Q, D, has_norm ? 1 : scale), matrix("key", V, D, 1),
                               matrix("value", V, D, 1)});
    // A sandwich scales the norm after the output instead.
    const bool scales_output = config.norm_placement != NormPlacement::sandwich;
    output_ = Linear(kernels, precision, Q,
                     {matrix("output", D, Q, scales_output ? static_cast<double>(config.residual_scale) : 1)});
    if (config.positions == Positions::disentangled)
        distances_ = DistanceVectors(kernels, config, weights, name, scale);
    if (has_norm) {
        const bool by_head = config.query_key_norm == QueryKeyNorm::head;
        query_norm_ = NormLayer(kernels, config, weights, name + "query_norm", by_head ? K : Q,
                                static_cast<float>(scale));
        key_norm_ = NormLayer(kernels, config, weights, name + "key_norm", by_head ? K : V);
    }
}

void SelfAttention::forward(const Team& team, const Chunk& chunk, Workspace& work, const float* x,
                            float* out, Accumulate accumulate, int layer, const PositionTables& positions,
                            float* probabilities) const {
    const int D = config_.d_model, H = config_.num_heads, K = config_.head_width, R = chunk.rows();
    const int Q = config_.query_width(), shared = H / config_.key_value_heads;
    query_key_value_.apply(team, query_key_value_.prepare(team, x, D, R, work.quantized),
                           work.wide.data(), config_.query_key_value_width());
    team.wait();
    // Needs no barrier in between: each member rotates the rows that it normalized.
    if (config_.query_key_norm != QueryKeyNorm::none) normalize(team, R, work.wide.data());
    if (config_.positions == Positions::rotary) rotate(team, chunk, work.wide.data(), positions.rotary(layer));
    if (config_.query_key_norm != QueryKeyNorm::none || config_.positions == Positions::rotary) team.wait();
    const Range mine = team.share((chunk.last - chunk.first) * H);
    for (int item = mine.first, heads; item < mine.last; item += heads) {
        const int sequence = chunk.first + item / H, h = item % H;
        heads = std::min(shared - h % shared, mine.last - item);
        const AttentionArgs args = head_args(chunk, work, team, sequence, h, heads, layer, positions);
        const std::ptrdiff_t row = chunk.row(sequence);
        kernels_.attention(args, work.side.data() + row * Q + h * K, Q);
        if (probabilities)
            kernels_.attention_probabilities(args, probabilities + static_cast<std::ptrdiff_t>(h) * R * R);
    }
    team.wait();
    output_.apply(team, output_.prepare(team, work.side.data(), Q, R, work.quantized), out, D, accumulate);
    team.wait();
}

void SelfAttention::normalize(const Team& team, int rows, float* qkv) const {
    const std::ptrdiff_t stride = config_.query_key_value_width();
    const Range mine = team.share(rows);
    float* query = qkv + mine.first * stride;
    float* key = query + config_.query_width();
    if (config_.query_key_norm == QueryKeyNorm::all_heads) {
        query_norm_.apply_in_place(query, stride, mine.last - mine.first);
        key_norm_.apply_in_place(key, stride, mine.last - mine.first);
        return;
    }
    for (int row = mine.first; row < mine.last; ++row, query += stride, key += stride) {
        query_norm_.apply_in_place(query, config_.head_width, config_.num_heads);
        key_norm_.apply_in_place(key, config_.head_width, config_.key_value_heads);
    }
}

void SelfAttention::rotate(const Team& team, const Chunk& chunk, float* qkv,
                           PositionTables::Rotary angles) const {
    const int pairs = config_.head_width / 2;
    const std::ptrdiff_t stride = config_.query_key_value_width();
    const Range mine = team.share(chunk.rows());
    for (int row = mine.first; row < mine.last; ++row) {
        const int token = chunk.begin() + row;
        const std::ptrdiff_t position = token - chunk.batch.start[chunk.batch.sequence_of[token]];
        // Queries and keys are adjacent.
        kernels_.rotate(qkv + row * stride, config_.num_heads + config_.key_value_heads, config_.head_width,
                        angles.cosine + position * pairs, angles.sine + position * pairs);
    }
}

AttentionArgs SelfAttention::head_args(const Chunk& chunk, Workspace& work, const Team& team, int sequence,
                                       int head, int heads, int layer,
                                       const PositionTables& positions) const {
    const int K = config_.head_width, shared = config_.num_heads / config_.key_value_heads;
    const std::ptrdiff_t stride = config_.query_key_value_width();
    const float* first = work.wide.data() + chunk.row(sequence) * stride;
    const float* key = first + config_.query_width() + head / shared * K;
    return {first + head * K,
            key,
            key + config_.key_value_width(),
            stride,
            chunk.batch.length(sequence),
            K,
            config_.window[layer],
            positions.bias(head),
            precision_ == Precision::int8,
            work.scratch[team.rank].data(),
            heads,
            positions.bias_stride(),
            config_.attention_direction == AttentionDirection::causal,
            -1,
            distances_.args(head, positions.columns(), positions.exact_distance()),
            chunk.batch.keys.empty() ? -1 : chunk.batch.keys[sequence]};
}

}  // namespace bothways
