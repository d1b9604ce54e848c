// Layer norm or RMS norm with its gain and bias. Ba et al. 2016; Zhang and Sennrich 2019.
#pragma once

#include "config.h"
#include "threads.h"
#include "weights.h"

namespace bothways {

class NormLayer {
public:
    NormLayer() = default;
    NormLayer(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
              const std::string& name, int width)
        : kernels_(&kernels), width_(width), eps_(config.norm_eps),
          subtract_mean_(config.norm == NormKind::layer) {
        const float* gain = weights.get(name + ".weight", {width});
        const float* bias = weights.get_optional(name + ".bias", {width});
        gain_.assign(gain, gain + width);
        if (bias) bias_.assign(bias, bias + width);
    }

    // Computes this member's share of the rows of y = norm(x); y may be x. Rows are contiguous.
    void apply(const Team& team, const float* x, int rows, float* y) const {
        const Range mine = team.share(rows);
        const std::ptrdiff_t at = std::ptrdiff_t(mine.first) * width_;
        kernels_->norm({x + at, width_, mine.last - mine.first, width_, gain_.data(),
                        bias_.empty() ? nullptr : bias_.data(), eps_, subtract_mean_, y + at, width_});
    }

private:
    const Kernels* kernels_ = nullptr;
    int width_ = 0;
    float eps_ = 0;
    bool subtract_mean_ = true;
    std::vector<float> gain_, bias_;
};

}  // namespace bothways
