// Layer norm or RMS norm with its gain and bias. Ba et al. 2016; Zhang and Sennrich 2019.
#pragma once

#include "config.h"
#include "threads.h"
#include "weights.h"

namespace bothways {

class NormLayer {
public:
    NormLayer() = default;
    // `factor` scales the result.
    NormLayer(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
              const std::string& name, int width, float factor = 1)
        : kernels_(&kernels), width_(width), eps_(config.norm_eps),
          subtract_mean_(config.norm == NormKind::layer) {
        const float* gain = weights.get(name + ".weight", {width});
        const float* bias = weights.get_optional(name + ".bias", {width});
        const float center = config.norm_zero_centered ? 1.0f : 0.0f;
        for (int i = 0; i < width; ++i) gain_.push_back((gain[i] + center) * factor);
        for (int i = 0; bias && i < width; ++i) bias_.push_back(bias[i] * factor);
    }

    // Computes this member's share of the rows of y = norm(x); y may be x. Rows are contiguous.
    void apply(const Team& team, const float* x, int rows, float* y) const {
        apply_share(team, x, rows, y, Accumulate::store);
    }

    // The same share of y += norm(x).
    void add(const Team& team, const float* x, int rows, float* y) const {
        apply_share(team, x, rows, y, Accumulate::add);
    }

    // x = norm(x) for rows whose starts are `stride` floats apart.
    void apply_in_place(float* x, std::ptrdiff_t stride, int rows) const {
        kernels_->norm(args(x, stride, rows, x, stride, Accumulate::store));
    }

private:
    void apply_share(const Team& team, const float* x, int rows, float* y, Accumulate accumulate) const {
        const Range mine = team.share(rows);
        const std::ptrdiff_t at = std::ptrdiff_t(mine.first) * width_;
        kernels_->norm(args(x + at, width_, mine.last - mine.first, y + at, width_, accumulate));
    }
    NormArgs args(const float* x, std::ptrdiff_t x_stride, int rows, float* y, std::ptrdiff_t y_stride,
                  Accumulate accumulate) const {
        return {x, x_stride, rows, width_, gain_.data(), bias_.empty() ? nullptr : bias_.data(), eps_,
                subtract_mean_, y, y_stride, accumulate};
    }

    const Kernels* kernels_ = nullptr;
    int width_ = 0;
    float eps_ = 0;
    bool subtract_mean_ = true;
    std::vector<float> gain_, bias_;
};

}  // namespace bothways
