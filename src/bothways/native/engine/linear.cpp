#include "linear.h"

#include <algorithm>
#include <cmath>

namespace bothways {

namespace {

int num_groups_of(int inputs, int group) { return (inputs + group - 1) / group; }

// The largest Euclidean norm of the weights that sums16 multiplies in one sum: 16 of each 32, those with
// the same k % 4 / 2.
float largest_norm_of_sums16(const float* weight, int inputs) {
    constexpr int group = int8_group(Int8Scheme::sums16);
    float largest = 0;
    for (int first = 0; first < inputs; first += group) {
        float squares[2] = {0, 0};
        for (int k = first; k < std::min(first + group, inputs); ++k)
            squares[k % 4 / 2] += weight[k] * weight[k];
        largest = std::max({largest, squares[0], squares[1]});
    }
    return std::sqrt(largest);
}

}  // namespace

void QuantizedBuffer::reserve(std::size_t cells, int group) {
    q8_.reserve(cells * group);
    scale_.reserve(cells);
    zero_point_.reserve(cells);
}

QuantizedRows QuantizedBuffer::rows(int capacity) {
    return {q8_.data(), scale_.data(), zero_point_.data(), capacity};
}

Linear::Linear(const Kernels& kernels, Precision precision, int inputs,
               const std::vector<Matrix>& parts, QuantRange range)
    : kernels_(&kernels), precision_(precision),
      // Kernels whose dot product subtracts a zero point need the weight sums of a dynamic range anyway.
      range_(kernels.a_zero_point ? QuantRange{} : range), inputs_(inputs) {
    const std::vector<Output> outputs = concatenate(parts, inputs);
    outputs_ = static_cast<int>(outputs.size());
    nr_ = precision == Precision::fp32 ? kernels.nr : kernels.int8_nr;
    num_panels_ = (outputs_ + nr_ - 1) / nr_;
    bias_ = Buffer<float>(static_cast<std::size_t>(num_panels_) * nr_);
    bias_.fill_zero();
    for (int o = 0; o < outputs_; ++o) bias_[o] = outputs[o].bias;
    precision == Precision::fp32 ? pack_fp32(outputs) : pack_int8(outputs);
}

std::vector<Linear::Output> Linear::concatenate(const std::vector<Matrix>& parts, int inputs) {
    std::vector<Output> outputs;
    for (const Matrix& part : parts)
        for (int o = 0; o < part.outputs; ++o)
            outputs.push_back({part.weight + static_cast<std::ptrdiff_t>(o) * inputs,
                               part.bias ? part.bias[o] * part.factor : 0.0f, part.factor});
    return outputs;
}

void Linear::pack_fp32(const std::vector<Output>& outputs) {
    constexpr int line = 16;  // floats per cache line
    packed_fp32_ = Buffer<float>(static_cast<std::size_t>(num_panels_) * nr_ * inputs_);
    for (int p = 0; p < num_panels_; ++p) {
        float* panel = packed_fp32_.data() + static_cast<std::ptrdiff_t>(p) * nr_ * inputs_;
        // 16 outputs at a time read 16 rows and write whole cache lines of the panel.
        for (int first = 0; first < nr_; first += line) {
            const int end = std::min(first + line, nr_);
            for (int k = 0; k < inputs_; ++k)
                for (int c = first; c < end; ++c) {
                    const int o = p * nr_ + c;
                    panel[static_cast<std::ptrdiff_t>(k) * nr_ + c] =
                        o < outputs_ ? outputs[o].weight[k] * outputs[o].factor : 0.0f;
                }
        }
    }
}

// Quantizes weights symmetrically to -127..127, with one scale per output. In sums16, an output with large
// norms has fewer codes.
void Linear::pack_int8(const std::vector<Output>& outputs) {
    const bool sums16 = kernels_->int8_scheme == Int8Scheme::sums16;
    const int group = int8_group(kernels_->int8_scheme), num_groups = num_groups_of(inputs_, group);
    const int block = kernels_->int8_block;
    const int blocks = sums16 ? num_groups * group / block : (inputs_ + block - 1) / block;
    const std::size_t padded = static_cast<std::size_t>(num_panels_) * nr_;
    packed_int8_ = Buffer<std::int8_t>(padded * blocks * block);
    packed_int8_.fill_zero();
    weight_scale_ = Buffer<float>(padded);
    weight_scale_.fill_zero();
    weight_sum_ = Buffer<float>(range_.is_dynamic() && !sums16 ? padded * num_groups : 0);
    weight_sum_.fill_zero();
    start_ = Buffer<std::int16_t>(range_.is_dynamic() && sums16 ? padded * num_groups * 2 : 0);
    start_.fill_zero();
    for (int o = 0; o < outputs_; ++o) {
        const int p = o / nr_, c = o % nr_;
        std::int8_t* q8 = packed_int8_.data() + (static_cast<std::ptrdiff_t>(p) * nr_ * blocks + c) * block;
        const float* weight = outputs[o].weight;
        float max_abs = 0;
        for (int k = 0; k < inputs_; ++k) max_abs = std::max(max_abs, std::fabs(weight[k]));
        float scale = max_abs / 127.0f, inverse_scale = max_abs > 0 ? 127.0f / max_abs : 0.0f;
        const float norm = sums16 ? largest_norm_of_sums16(weight, inputs_) : 0.0f;
        if (norm / Sums16::weight_norm > scale)
            scale = norm / Sums16::weight_norm, inverse_scale = Sums16::weight_norm / norm;
        weight_scale_[o] = scale * outputs[o].factor;
        int total = 0;
        for (int g = 0; g < num_groups; ++g) {
            int sum[2] = {0, 0};
            for (int k = g * group; k < std::min((g + 1) * group, inputs_); ++k) {
                const int q =
                    std::clamp(static_cast<int>(std::nearbyint(weight[k] * inverse_scale)), -127, 127);
                q8[static_cast<std::ptrdiff_t>(k / block) * nr_ * block + k % block] =
                    static_cast<std::int8_t>(q);
                sum[k % 4 / 2] += q;
            }
            total += sum[0] + sum[1];
            const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(p) * num_groups + g) * nr_ + c;
            if (weight_sum_.size()) weight_sum_[at] = static_cast<float>(sum[0] + sum[1]);
            if (start_.size())
                for (int half = 0; half < 2; ++half)
                    start_[2 * at + half] =
                        static_cast<std::int16_t>(-static_cast<int>(Sums16::center) * sum[half]);
        }
        // With a fixed range, the zero point is a constant: its product with the weights joins the bias.
        if (!range_.is_dynamic())
            bias_[o] += range_.lower * weight_scale_[o] * static_cast<float>(total);
    }
}

std::size_t Linear::bytes() const {
    return packed_int8_.size() + sizeof(std::int16_t) * start_.size() +
           sizeof(float) *
               (bias_.size() + packed_fp32_.size() + weight_scale_.size() + weight_sum_.size());
}

GemmInput Linear::prepare(const Team& team, const float* x, std::ptrdiff_t stride, int rows,
                          QuantizedBuffer& quantized) const {
    GemmInput in{x, stride, rows, quantized.rows(rows)};
    if (precision_ == Precision::int8) {
        const Range mine = team.share(rows);
        kernels_->quantize(in, inputs_, mine.first, mine.last, range_);
        team.wait();
    }
    return in;
}

void Linear::apply(const Team& team, const GemmInput& in, float* y, std::ptrdiff_t y_stride,
                   Accumulate accumulate, Activation activation) const {
    const Range mine = team.share(num_panels_);
    GemmArgs args{};
    args.in = in;
    args.k = inputs_;
    args.n = outputs_;
    args.bias = bias_.data();
    args.packed_b = packed_fp32_.data();
    args.packed_b8 = packed_int8_.data();
    args.b_scale = weight_scale_.data();
    args.b_sum = weight_sum_.size() ? weight_sum_.data() : nullptr;
    args.b_start = start_.size() ? start_.data() : nullptr;
    args.first_panel = mine.first;
    args.last_panel = mine.last;
    args.activation = activation;
    args.accumulate = accumulate;
    args.c = y;
    args.ldc = y_stride;
    precision_ == Precision::fp32 ? kernels_->gemm_fp32(args) : kernels_->gemm_int8(args);
}

}  // namespace bothways
