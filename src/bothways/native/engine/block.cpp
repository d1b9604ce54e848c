#include "block.h"

namespace bothways {

Block::Block(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
             Precision precision, int index)
    : config_(config),
      attention_(kernels, config, weights, precision,
                 "blocks." + std::to_string(index) + ".attention."),
      has_attention_norm_(index > 0 || config.first_attention_norm),
      feed_forward_rows_(feed_forward_rows(config, precision)) {
    const std::string name = "blocks." + std::to_string(index) + ".";
    const int D = config.d_model, F = config.d_ff;
    if (has_attention_norm_)
        attention_norm_ = NormLayer(kernels, config, weights, name + "attention_norm", D);
    feed_forward_norm_ = NormLayer(kernels, config, weights, name + "feed_forward_norm", D);
    const bool is_sandwich = config.norm_placement == NormPlacement::sandwich;
    if (is_sandwich) {
        const float scale = config.residual_scale;
        attention_output_norm_ =
            NormLayer(kernels, config, weights, name + "attention_output_norm", D, scale);
        feed_forward_output_norm_ =
            NormLayer(kernels, config, weights, name + "feed_forward_output_norm", D, scale);
    }
    const float down_factor = is_sandwich ? 1 : config.residual_scale;
    if (config.has_experts(index)) {
        experts_.emplace(kernels, config, weights, precision, name + "feed_forward.", down_factor);
        return;
    }
    const auto linear = [&](const std::string& part, int inputs, int outputs, QuantRange range,
                            float factor = 1) {
        const float* weight = weights.get(name + "feed_forward." + part + ".weight", {outputs, inputs});
        const float* bias = weights.get_optional(name + "feed_forward." + part + ".bias", {outputs});
        return Linear(kernels, precision, inputs, {{weight, bias, outputs, factor}}, range);
    };
    if (config.gated) gate_ = linear("gate", D, F, {});
    up_ = linear("up", D, F, {});
    down_ = linear("down", F, D, config.gated ? QuantRange{} : range_of(config.activation), down_factor);
}

void Block::forward(const Team& team, const Chunk& chunk, Workspace& work, int layer,
                    const PositionTables& positions, float* probabilities) const {
    const int R = chunk.rows();
    float *x = work.x.data(), *side = work.side.data(), *branch = work.branch.data();
    switch (config_.norm_placement) {
        case NormPlacement::post:  // norm(x + f(x))
            attention_.forward(team, chunk, work, x, x, Accumulate::add, layer, positions, probabilities);
            attention_norm_.apply(team, x, R, x);
            team.wait();
            feed_forward(team, x, R, work, x, Accumulate::add);
            feed_forward_norm_.apply(team, x, R, x);
            team.wait();
            break;
        case NormPlacement::pre:  // x + f(norm(x))
            if (has_attention_norm_) {
                attention_norm_.apply(team, x, R, side);
                team.wait();
            }
            attention_.forward(team, chunk, work, has_attention_norm_ ? side : x, x, Accumulate::add, layer,
                               positions, probabilities);
            feed_forward_norm_.apply(team, x, R, side);
            team.wait();
            feed_forward(team, side, R, work, x, Accumulate::add);
            break;
        case NormPlacement::sandwich:  // x + norm(f(norm(x)))
            attention_norm_.apply(team, x, R, side);
            team.wait();
            attention_.forward(team, chunk, work, side, branch, Accumulate::store, layer, positions,
                               probabilities);
            attention_output_norm_.add(team, branch, R, x);
            // Needs no barrier: each member normalizes the rows that it added to.
            feed_forward_norm_.apply(team, x, R, side);
            team.wait();
            feed_forward(team, side, R, work, branch, Accumulate::store);
            feed_forward_output_norm_.add(team, branch, R, x);
            team.wait();
            break;
    }
}

// out = down(act(up(from))), or down(act(gate(from)) * up(from)), stored or added, in blocks of rows.
void Block::feed_forward(const Team& team, const float* from, int rows, Workspace& work, float* out,
                         Accumulate accumulate) const {
    if (experts_) return experts_->forward(team, from, rows, work, out, accumulate);
    const int D = config_.d_model, F = config_.d_ff;
    float* inner = work.wide.data();
    for (int first = 0; first < rows; first += feed_forward_rows_) {
        const int count = std::min(rows - first, feed_forward_rows_);
        const GemmInput in =
            up_.prepare(team, from + static_cast<std::ptrdiff_t>(first) * D, D, count, work.quantized);
        if (config_.gated) {
            gate_.apply(team, in, inner, F, Accumulate::store, config_.activation);
            up_.apply(team, in, inner, F, Accumulate::multiply);  // the same panels: no barrier needed
        } else {
            up_.apply(team, in, inner, F, Accumulate::store, config_.activation);
        }
        team.wait();
        const GemmInput hidden = down_.prepare(team, inner, F, count, work.quantized);
        down_.apply(team, hidden, out + static_cast<std::ptrdiff_t>(first) * D, D, accumulate);
        team.wait();
    }
}

}  // namespace bothways
