#include "linear.h"

#include <algorithm>
#include <cmath>

namespace bothways {

namespace {

constexpr int group = QuantisedRows::group;

int groups(int inputs) { return (inputs + group - 1) / group; }

// One output of the parts side by side.
struct Output {
    const float* weight;
    float bias, factor;
};

std::vector<Output> side_by_side(const std::vector<Matrix>& parts, int inputs) {
    std::vector<Output> outputs;
    for (const Matrix& part : parts)
        for (int o = 0; o < part.outputs; ++o)
            outputs.push_back({part.weight + static_cast<std::ptrdiff_t>(o) * inputs,
                               part.bias ? part.bias[o] * part.factor : 0.0f, part.factor});
    return outputs;
}

}  // namespace

void QuantisedBuffer::reserve(std::size_t cells) {
    codes_.reserve(cells * group);
    step_.reserve(cells);
    offset_.reserve(cells);
}

QuantisedRows QuantisedBuffer::rows(int count) {
    return {codes_.data(), step_.data(), offset_.data(), count};
}

Linear::Linear(const Kernels& kernels, Precision precision, int inputs,
               const std::vector<Matrix>& parts, Coding coding)
    : kernels_(&kernels), precision_(precision),
      // Where the dot products shift codes, there are offsets in any case.
      coding_(kernels.code_shift ? Coding{} : coding), inputs_(inputs) {
    for (const Matrix& part : parts) outputs_ += part.outputs;
    panel_ = precision == Precision::fp32 ? kernels.panel : kernels.int8_panel;
    num_panels_ = (outputs_ + panel_ - 1) / panel_;
    bias_ = Buffer<float>(static_cast<std::size_t>(num_panels_) * panel_);
    bias_.fill_zero();
    const std::vector<Output> outputs = side_by_side(parts, inputs);
    for (int o = 0; o < outputs_; ++o) bias_[o] = outputs[o].bias;
    precision == Precision::fp32 ? pack_fp32(parts) : pack_int8(parts);
}

void Linear::pack_fp32(const std::vector<Matrix>& parts) {
    const std::vector<Output> outputs = side_by_side(parts, inputs_);
    panels_ = Buffer<float>(static_cast<std::size_t>(num_panels_) * panel_ * inputs_);
    for (int p = 0; p < num_panels_; ++p) {
        float* to = panels_.data() + static_cast<std::ptrdiff_t>(p) * panel_ * inputs_;
        // Outputs in steps of 16: their rows are read, and a line of the panel written, together.
        for (int j = 0; j < panel_; j += 16) {
            const int end = std::min(j + 16, panel_);
            for (int k = 0; k < inputs_; ++k)
                for (int c = j; c < end; ++c) {
                    const int o = p * panel_ + c;
                    to[static_cast<std::ptrdiff_t>(k) * panel_ + c] =
                        o < outputs_ ? outputs[o].weight[k] * outputs[o].factor : 0.0f;
                }
        }
    }
}

// Symmetric codes of -127 to 127 with one step for each output.
void Linear::pack_int8(const std::vector<Matrix>& parts) {
    const std::vector<Output> outputs = side_by_side(parts, inputs_);
    const int quads = (inputs_ + 3) / 4, num_groups = groups(inputs_);
    const std::size_t padded = static_cast<std::size_t>(num_panels_) * panel_;
    codes_ = Buffer<std::int8_t>(padded * quads * 4);
    codes_.fill_zero();
    weight_step_ = Buffer<float>(padded);
    weight_step_.fill_zero();
    weight_sum_ = Buffer<float>(coding_.is_measured() ? padded * num_groups : 0);
    weight_sum_.fill_zero();
    for (int o = 0; o < outputs_; ++o) {
        const int p = o / panel_, c = o % panel_;
        std::int8_t* codes = codes_.data() + static_cast<std::ptrdiff_t>(p) * panel_ * quads * 4 + 4 * c;
        const float* weight = outputs[o].weight;
        float largest = 0;
        for (int k = 0; k < inputs_; ++k) largest = std::max(largest, std::fabs(weight[k]));
        const float factor = largest > 0 ? 127.0f / largest : 0.0f;
        weight_step_[o] = largest / 127.0f * outputs[o].factor;
        int all = 0;
        for (int g = 0; g < num_groups; ++g) {
            int sum = 0;
            for (int k = g * group; k < std::min((g + 1) * group, inputs_); ++k) {
                const int code =
                    std::clamp(static_cast<int>(std::nearbyint(weight[k] * factor)), -127, 127);
                codes[static_cast<std::ptrdiff_t>(k / 4) * panel_ * 4 + k % 4] =
                    static_cast<std::int8_t>(code);
                sum += code;
            }
            all += sum;
            if (coding_.is_measured())
                weight_sum_[(static_cast<std::ptrdiff_t>(p) * num_groups + g) * panel_ + c] =
                    static_cast<float>(sum);
        }
        if (!coding_.is_measured())
            bias_[o] += coding_.least * weight_step_[o] * static_cast<float>(all);
    }
}

std::size_t Linear::bytes() const {
    return codes_.size() + sizeof(float) * (bias_.size() + panels_.size() + weight_step_.size() +
                                            weight_sum_.size());
}

Rows Linear::prepare(const Team& team, const float* x, std::ptrdiff_t stride, int count,
                     QuantisedBuffer& quantised) const {
    Rows rows{x, stride, count, quantised.rows(count)};
    if (precision_ == Precision::int8) {
        const Range mine = team.share(count);
        kernels_->quantise(rows, inputs_, mine.first, mine.last, coding_);
        team.wait();
    }
    return rows;
}

void Linear::apply(const Team& team, const Rows& rows, float* y, std::ptrdiff_t y_stride, Into into,
                   Activation activation) const {
    const Range mine = team.share(num_panels_);
    Product product{};
    product.in = rows;
    product.inputs = inputs_;
    product.outputs = outputs_;
    product.bias = bias_.data();
    product.panels = panels_.data();
    product.codes = codes_.data();
    product.weight_step = weight_step_.data();
    product.weight_sum = coding_.is_measured() ? weight_sum_.data() : nullptr;
    product.first_panel = mine.first;
    product.last_panel = mine.last;
    product.activation = activation;
    product.into = into;
    product.y = y;
    product.y_stride = y_stride;
    precision_ == Precision::fp32 ? kernels_->product(product) : kernels_->product_int8(product);
}

}  // namespace bothways
