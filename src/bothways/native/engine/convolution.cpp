#include "convolution.h"

#include <algorithm>

namespace bothways {

Convolution::Convolution(const Kernels& kernels, const EncoderConfig& config, const Weights& weights)
    : config_(config), norm_(kernels, config, weights, "convolution_norm", config.d_model) {
    const int D = config.d_model, inputs = config.convolution_inputs(), C = D / config.convolution_groups;
    const float* weight = weights.get("convolution.weight", {D, inputs});
    const float* bias = weights.get("convolution.bias", {D});
    for (int first = 0; first < D; first += C)
        maps_.emplace_back(kernels, Precision::fp32, inputs,
                           std::vector<Matrix>{{weight + static_cast<std::ptrdiff_t>(first) * inputs,
                                                bias + first, C}});
}

std::size_t Convolution::bytes() const {
    std::size_t bytes = 0;
    for (const Linear& map : maps_) bytes += map.bytes();
    return bytes;
}

void Convolution::forward(const Team& team, const Chunk& chunk, Workspace& work) const {
    const int D = config_.d_model, inputs = config_.convolution_inputs(), C = D / config_.convolution_groups;
    const int block = convolution_rows;
    float* kernels = work.wide.data();
    for (int first = 0; first < chunk.rows(); first += block) {
        const int count = std::min(chunk.rows() - first, block);
        for (std::size_t group = 0; group < maps_.size(); ++group) {
            gather(team, chunk, work.x.data(), first, count, static_cast<int>(group), kernels);
            team.wait();
            const GemmInput in = maps_[group].prepare(team, kernels, inputs, count, work.quantized);
            maps_[group].apply(team, in,
                               work.convolved.data() + static_cast<std::ptrdiff_t>(first) * D +
                                   static_cast<std::ptrdiff_t>(group) * C,
                               D, Accumulate::store, config_.convolution_activation);
            team.wait();
        }
    }
}

// Copies the channels of a group around each row, position by position, with 0 beyond the ends of its sequence
// and at positions that nothing sees.
void Convolution::gather(const Team& team, const Chunk& chunk, const float* x, int first, int rows, int group,
                         float* kernels) const {
    const int D = config_.d_model, C = D / config_.convolution_groups;
    const int size = config_.convolution_kernel_size, reach = size / 2;
    const Batch& batch = chunk.batch;
    const Range mine = team.share(rows);
    for (int i = mine.first; i < mine.last; ++i) {
        const int row = first + i, sequence = batch.sequence_of[chunk.begin() + row];
        const int begin = chunk.row(sequence);
        const int end = begin + (batch.keys.empty() ? batch.length(sequence) : batch.keys[sequence]);
        float* to = kernels + static_cast<std::ptrdiff_t>(i) * size * C;
        for (int from = row - reach; from <= row + reach; ++from, to += C) {
            if (from < begin || from >= end)
                std::fill(to, to + C, 0.0f);
            else
                std::copy_n(x + static_cast<std::ptrdiff_t>(from) * D + group * C, C, to);
        }
    }
}

void Convolution::add(const Team& team, int rows, Workspace& work) const {
    const std::ptrdiff_t D = config_.d_model;
    const Range mine = team.share(rows);
    float* x = work.x.data();
    const float* convolved = work.convolved.data();
    for (std::ptrdiff_t i = mine.first * D; i < mine.last * D; ++i) x[i] += convolved[i];
    norm_.apply(team, x, rows, x);
    team.wait();
}

}  // namespace bothways
