#include "experts.h"

#include <cmath>

namespace bothways {

Experts::Experts(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
                 Precision precision, const std::string& name, float factor)
    : config_(config), rows_per_pass_(feed_forward_rows(config, precision)), factor_(factor) {
    const int D = config.d_model, F = config.d_ff, X = config.num_experts;
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(F) * D;
    router_ = Linear(kernels, Precision::fp32, D, {{weights.get(name + "router.weight", {X, D}), nullptr, X}});
    const float* up = weights.get(name + "experts.up.weight", {X * F, D});
    const float* down = weights.get(name + "experts.down.weight", {X * F, D});
    const float* bias = weights.get_optional(name + "experts.bias", {D});
    for (int i = 0; i < D; ++i) bias_.push_back(bias ? bias[i] * factor : 0.0f);
    std::vector<float> transposed(static_cast<std::size_t>(size));  // (D, F), of an expert's down (F, D)
    for (int e = 0; e < X; ++e, up += size, down += size) {
        for (int f = 0; f < F; ++f)
            for (int d = 0; d < D; ++d)
                transposed[static_cast<std::size_t>(d) * F + f] = down[static_cast<std::ptrdiff_t>(f) * D + d];
        experts_.push_back({Linear(kernels, precision, D, {{up, nullptr, F}}),
                            Linear(kernels, precision, F, {{transposed.data(), nullptr, D}},
                                   range_of(config.activation))});
    }
}

std::size_t Experts::bytes() const {
    std::size_t bytes = router_.bytes() + bias_.size() * sizeof(float);
    for (const Expert& expert : experts_) bytes += expert.up.bytes() + expert.down.bytes();
    return bytes;
}

void Experts::forward(const Team& team, const float* from, int rows, Workspace& work, float* out,
                      Accumulate accumulate) const {
    route(team, from, rows, work);
    if (from == out) {  // experts read their inputs after others have added to the output
        const Range mine = team.share(rows);
        const std::ptrdiff_t D = config_.d_model;
        std::copy(from + mine.first * D, from + mine.last * D, work.side.data() + mine.first * D);
        from = work.side.data();
        team.wait();
    }
    add_bias(team, rows, out, accumulate);
    for (int e = 0; e < config_.num_experts; ++e) {
        const int end = work.expert_start[e + 1];
        for (int first = work.expert_start[e]; first < end; first += rows_per_pass_)
            apply(team, e, work.expert_rows.data() + first, std::min(end - first, rows_per_pass_), from, work,
                  out);
    }
    team.wait();
}

// Fills work.probability, work.expert_rows and work.expert_start.
void Experts::route(const Team& team, const float* from, int rows, Workspace& work) const {
    const int D = config_.d_model, X = config_.num_experts;
    float* probability = work.probability.data();
    router_.apply(team, router_.prepare(team, from, D, rows, work.quantized), probability, X);
    team.wait();
    const Range mine = team.share(rows);
    for (int row = mine.first; row < mine.last; ++row)
        choose(probability + static_cast<std::ptrdiff_t>(row) * X);
    team.wait();
    if (team.rank == 0) list_rows(rows, work);
    team.wait();
}

// Replaces the scores of a row by their softmax over all experts, and by 0 where an expert is not chosen. Among
// equal scores the first is chosen.
void Experts::choose(float* scores) const {
    const int X = config_.num_experts, k = config_.experts_per_token;
    const float largest = *std::max_element(scores, scores + X);
    float total = 0;
    for (int e = 0; e < X; ++e) total += scores[e] = std::exp(scores[e] - largest);
    // The chosen ones are negated for now; signbit also tells a chosen 0.
    for (int n = 0; n < k; ++n) {
        int best = -1;
        for (int e = 0; e < X; ++e)
            if (!std::signbit(scores[e]) && (best < 0 || scores[e] > scores[best])) best = e;
        if (best < 0) break;
        scores[best] = -scores[best];
    }
    for (int e = 0; e < X; ++e) scores[e] = std::signbit(scores[e]) ? -scores[e] / total : 0.0f;
}

// Sorts the pairs of rows and experts by expert, and by row.
void Experts::list_rows(int rows, Workspace& work) const {
    const int X = config_.num_experts;
    int count = 0;
    for (int e = 0; e < X; ++e) {
        work.expert_start[e] = count;
        for (int row = 0; row < rows; ++row)
            if (work.probability[static_cast<std::size_t>(row) * X + e] > 0) work.expert_rows[count++] = row;
    }
    work.expert_start[X] = count;
}

void Experts::add_bias(const Team& team, int rows, float* out, Accumulate accumulate) const {
    const Range mine = team.share(rows);
    const std::ptrdiff_t D = config_.d_model;
    for (int row = mine.first; row < mine.last; ++row) {
        float* y = out + row * D;
        for (int d = 0; d < D; ++d) y[d] = bias_[d] + (accumulate == Accumulate::add ? y[d] : 0.0f);
    }
}

// Adds an expert's output for some of its rows. Each member adds some of the columns: the row of one expert may
// be another member's in the next, and columns are the same in all.
void Experts::apply(const Team& team, int expert, const int* rows, int count, const float* from, Workspace& work,
                    float* out) const {
    const std::ptrdiff_t D = config_.d_model, F = config_.d_ff, X = config_.num_experts;
    float *input = work.expert_input.data(), *inner = work.wide.data(), *output = work.expert_output.data();
    const Range mine = team.share(count);
    for (int i = mine.first; i < mine.last; ++i) {
        const float* row = from + rows[i] * D;
        std::copy(row, row + D, input + i * D);
    }
    team.wait();
    const auto& [up, down] = experts_[expert];
    up.apply(team, up.prepare(team, input, D, count, work.quantized), inner, F, Accumulate::store,
             config_.activation);
    team.wait();
    down.apply(team, down.prepare(team, inner, F, count, work.quantized), output, D);
    team.wait();
    const Range columns = team.share(config_.d_model);
    for (int i = 0; i < count; ++i) {
        const float weight = work.probability[static_cast<std::size_t>(rows[i] * X + expert)] * factor_;
        float* y = out + rows[i] * D;
        for (int d = columns.first; d < columns.last; ++d) y[d] += weight * output[i * D + d];
    }
}

}  // namespace bothways
