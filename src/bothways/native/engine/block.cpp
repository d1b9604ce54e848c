#include "block.h"

namespace bothways {

namespace {

// What the inputs of the feed-forward's second map are known to be: no less than the activation's least
// value, unless something was multiplied with it.
Coding coding_between(const EncoderConfig& config) {
    if (config.gated) return {};
    switch (config.activation) {
        case Activation::relu: return {0.0f};
        case Activation::gelu: return {-0.17f};
        case Activation::gelu_tanh: return {-0.1701f};
        case Activation::silu: return {-0.2785f};
        case Activation::none: break;
    }
    return {};
}

}  // namespace

Block::Block(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
             Precision precision, int number)
    : config_(config),
      attention_(kernels, config, weights, precision,
                 "blocks." + std::to_string(number) + ".attention."),
      has_attention_norm_(number > 0 || config.first_attention_norm) {
    const std::string name = "blocks." + std::to_string(number) + ".";
    const int D = config.d_model, F = config.d_ff;
    if (has_attention_norm_)
        attention_norm_ = NormLayer(kernels, config, weights, name + "attention_norm", D);
    feed_forward_norm_ = NormLayer(kernels, config, weights, name + "feed_forward_norm", D);
    const auto linear = [&](const std::string& part, int inputs, int outputs, Coding coding) {
        const float* weight = weights.get(name + "feed_forward." + part + ".weight", {outputs, inputs});
        const float* bias = weights.find(name + "feed_forward." + part + ".bias", {outputs});
        return Linear(kernels, precision, inputs, {{weight, bias, outputs}}, coding);
    };
    if (config.gated) gate_ = linear("gate", D, F, {});
    up_ = linear("up", D, F, {});
    down_ = linear("down", F, D, coding_between(config));
}

void Block::forward(const Team& team, const Chunk& chunk, Workspace& work, int layer,
                    const PositionTables& positions, float* probabilities) const {
    const int R = chunk.rows();
    float *x = work.x.data(), *side = work.side.data();
    switch (config_.norm_placement) {
        case NormPlacement::post:  // norm(x + f(x))
            attention_.forward(team, chunk, work, x, layer, positions, probabilities);
            attention_norm_.apply(team, x, R, x);
            team.wait();
            feed_forward(team, x, R, work);
            feed_forward_norm_.apply(team, x, R, x);
            team.wait();
            break;
        case NormPlacement::pre:  // x + f(norm(x))
            if (has_attention_norm_) {
                attention_norm_.apply(team, x, R, side);
                team.wait();
            }
            attention_.forward(team, chunk, work, has_attention_norm_ ? side : x, layer, positions,
                               probabilities);
            feed_forward_norm_.apply(team, x, R, side);
            team.wait();
            feed_forward(team, side, R, work);
            break;
    }
}

// work.x += down(act(up(from))), or down(act(gate(from)) * up(from)), some rows at a time.
void Block::feed_forward(const Team& team, const float* from, int rows, Workspace& work) const {
    const int D = config_.d_model, F = config_.d_ff;
    float* inner = work.wide.data();
    for (int first = 0; first < rows; first += feed_forward_rows) {
        const int count = std::min(rows - first, feed_forward_rows);
        const Rows in =
            up_.prepare(team, from + static_cast<std::ptrdiff_t>(first) * D, D, count, work.quantised);
        if (config_.gated) {
            gate_.apply(team, in, inner, F, Into::store, config_.activation);
            up_.apply(team, in, inner, F, Into::multiply);  // of the same panels, so no wait between
        } else {
            up_.apply(team, in, inner, F, Into::store, config_.activation);
        }
        team.wait();
        const Rows between = down_.prepare(team, inner, F, count, work.quantised);
        down_.apply(team, between, work.x.data() + static_cast<std::ptrdiff_t>(first) * D, D, Into::add);
        team.wait();
    }
}

}  // namespace bothways
