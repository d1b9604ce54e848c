#include "embedding.h"

#include <cmath>

namespace bothways {

namespace {

// Fraction of mask tokens in the training of ESM-2: 15 % of positions selected, 80 % of them masked
// (Lin et al. 2022, supplementary methods; Devlin et al. 2019, section 3.1).
constexpr double training_mask_rate = 0.15 * 0.8;

// PE(p, 2i) = sin(p / 10000^(2i/E)), PE(p, 2i+1) = cos(the same)   Vaswani et al. 2017, section 3.5.
Buffer<float> sinusoids(int positions, int width) {
    Buffer<float> table(static_cast<std::size_t>(positions) * width);
    for (int d = 0; d < width; ++d) {
        const double wavelength = std::pow(10000.0, static_cast<double>(d - d % 2) / width);
        for (int p = 0; p < positions; ++p) {
            const double angle = p / wavelength;
            table[static_cast<std::size_t>(p) * width + d] =
                static_cast<float>(d % 2 ? std::cos(angle) : std::sin(angle));
        }
    }
    return table;
}

void add(float* x, const float* row, int width) {
    for (int i = 0; i < width; ++i) x[i] += row[i];
}

// Positions of tokens that are asked for in ascending order.
class PositionCounter {
public:
    // padding: an id that is not counted, or -1.
    PositionCounter(const Batch& batch, int padding) : batch_(batch), padding_(padding) {}

    // The position of a token in its sequence; -1 for padding, the row before the first position's.
    std::ptrdiff_t position(int token) {
        const int sequence = batch_.sequence_of[token];
        if (padding_ < 0) return token - batch_.start[sequence];
        if (sequence != sequence_) {
            sequence_ = sequence, next_ = batch_.start[sequence], counted_ = 0;
        }
        for (; next_ <= token; ++next_) counted_ += batch_.ids[next_] != padding_;
        return batch_.ids[token] == padding_ ? -1 : counted_ - 1;
    }

private:
    const Batch& batch_;
    int padding_;
    int sequence_ = -1, next_ = 0;   // the next token to count
    std::ptrdiff_t counted_ = 0;     // tokens before `next_` in `sequence_` that are not padding
};

}  // namespace

Embedding::Embedding(const Kernels& kernels, const EncoderConfig& config, const Weights& weights)
    : config_(config) {
    const int E = config.embedding_width;
    // Linear maps of the embedding stay in fp32: they are small, and their errors reach every layer.
    if (config.input == Input::tokens) {
        token_ = weights.get("embedding.token.weight", {config.vocab_size, E});
    } else {
        const float* weight = weights.get("embedding.input.weight", {E, config.num_channels});
        const float* bias = weights.get("embedding.input.bias", {E});
        input_ = Linear(kernels, Precision::fp32, config.num_channels, {{weight, bias, E}});
    }
    if (config.num_segments)
        segment_ = weights.get("embedding.segment.weight", {config.num_segments, E});
    if (config.position_table) {
        const int rows = config.position_offset + config.max_length;
        position_ = weights.get("embedding.position.weight", {rows, E}) +
                    static_cast<std::ptrdiff_t>(config.position_offset) * E;
    }
    if (config.positions == Positions::sinusoidal) sinusoids_ = sinusoids(config.max_length, E);
    if (config.embedding_norm) norm_ = NormLayer(kernels, config, weights, "embedding.norm", E);
    if (config.embedding_projection) {
        const float* weight = weights.get("embedding.projection.weight", {config.d_model, E});
        const float* bias = weights.get("embedding.projection.bias", {config.d_model});
        projection_ = Linear(kernels, Precision::fp32, E, {{weight, bias, config.d_model}});
    }
}

std::size_t Embedding::bytes() const {
    return sinusoids_.size() * sizeof(float) + input_.bytes() + projection_.bytes();
}

void Embedding::forward(const Team& team, const Chunk& chunk, Workspace& work) const {
    const int E = config_.embedding_width, D = config_.d_model, R = chunk.rows();
    float* x = config_.embedding_projection ? work.embedded.data() : work.x.data();
    if (config_.input == Input::tokens) {
        look_up(team, chunk, x);
    } else {
        const int C = config_.num_channels;
        const float* vectors = chunk.batch.vectors + static_cast<std::ptrdiff_t>(chunk.begin()) * C;
        input_.apply(team, input_.prepare(team, vectors, C, R, work.quantized), x, E);
        team.wait();
    }
    add_positions(team, chunk, x);
    if (config_.embedding_norm) norm_.apply(team, x, R, x);
    team.wait();
    if (config_.embedding_projection) {
        projection_.apply(team, projection_.prepare(team, x, E, R, work.quantized), work.x.data(), D);
        team.wait();
    }
}

void Embedding::look_up(const Team& team, const Chunk& chunk, float* x) const {
    const int E = config_.embedding_width;
    const Range mine = team.share(chunk.rows());
    int scaled_sequence = -1;  // the sequence that `scale` belongs to
    float scale = 1;
    for (int row = mine.first; row < mine.last; ++row) {
        const int token = chunk.begin() + row;
        const std::int64_t id = chunk.batch.ids[token];
        const float* from = token_ + id * E;
        float* to = x + static_cast<std::ptrdiff_t>(row) * E;
        float factor = config_.embedding_scale;
        if (config_.rescaled_mask_token >= 0) {
            if (const int sequence = chunk.batch.sequence_of[token]; sequence != scaled_sequence)
                scale = embedding_scale(chunk.batch, scaled_sequence = sequence);
            factor *= id == config_.rescaled_mask_token ? 0.0f : scale;
        }
        for (int i = 0; i < E; ++i) to[i] = from[i] * factor;
    }
}

// ESM-2 zeroes mask tokens and scales the other tokens to compensate for a mask rate that differs from
// training. A sequence of only mask tokens stays zero.
float Embedding::embedding_scale(const Batch& batch, int sequence) const {
    int kept = 0;
    for (int t = batch.start[sequence]; t < batch.start[sequence + 1]; ++t)
        kept += batch.ids[t] != config_.rescaled_mask_token;
    const double kept_rate = static_cast<double>(kept ? kept : 1) / batch.length(sequence);
    return static_cast<float>((1 - training_mask_rate) / kept_rate);
}

void Embedding::add_positions(const Team& team, const Chunk& chunk, float* x) const {
    const int E = config_.embedding_width;
    const Range mine = team.share(chunk.rows());
    PositionCounter counter(chunk.batch, config_.position_padding_token);
    for (int row = mine.first; row < mine.last; ++row) {
        const int token = chunk.begin() + row;
        const std::ptrdiff_t position = counter.position(token);
        float* to = x + static_cast<std::ptrdiff_t>(row) * E;
        if (segment_) add(to, segment_ + (chunk.batch.segments ? chunk.batch.segments[token] : 0) * E, E);
        if (position_) add(to, position_ + position * E, E);
        if (sinusoids_.size()) add(to, sinusoids_.data() + position * E, E);
    }
}

}  // namespace bothways
