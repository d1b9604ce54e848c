#include "distances.h"

#include <algorithm>

#include "linear.h"
#include "norm.h"

namespace bothways {

namespace {

// The table, normalized if the encoder does so: (columns, D).
Buffer<float> table(const Kernels& kernels, const EncoderConfig& config, const Weights& weights) {
    const int N = config.relative_buckets, D = config.d_model;
    const float* vectors = weights.get("relative_embedding.weight", {N, D});
    Buffer<float> out(static_cast<std::size_t>(N) * D);
    std::copy(vectors, vectors + out.size(), out.data());
    if (config.relative_embedding_norm)
        NormLayer(kernels, config, weights, "relative_norm", D).apply_in_place(out.data(), D, N);
    return out;
}

}  // namespace

DistanceVectors::DistanceVectors(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
                                 const std::string& name, double scale)
    : columns_(config.relative_buckets), shared_(config.num_heads / config.key_value_heads) {
    const int D = config.d_model, K = config.head_width, N = columns_;
    // Not near a power of 2, for the sake of cache sets.
    stride_ = (N + 15) / 16 * 16 + 16;
    head_stride_ = K * stride_;
    const Buffer<float> vectors = table(kernels, config, weights);
    const auto project = [&](const std::string& part, int width, double factor) {
        const Matrix matrix{weights.get(name + part + ".weight", {width, D}),
                            weights.get_optional(name + part + ".bias", {width}), width,
                            static_cast<float>(factor)};
        const Linear linear(kernels, Precision::fp32, D, {matrix});
        Buffer<float> rows(static_cast<std::size_t>(N) * width);
        QuantizedBuffer unused;
        linear.apply(Team{}, linear.prepare(Team{}, vectors.data(), D, N, unused), rows.data(), width);
        // By head, with the last row as the first column.
        Buffer<float> columns(static_cast<std::size_t>(width) * stride_);
        columns.fill_zero();
        for (int row = 0; row < N; ++row)
            for (int i = 0; i < width; ++i)
                columns[i * stride_ + N - 1 - row] = rows[static_cast<std::size_t>(row) * width + i];
        return columns;
    };
    const bool own = !config.shared_position_projections;
    if (config.content_to_position) keys_ = project(own ? "position_key" : "key", config.key_value_width(), 1);
    if (config.position_to_content)
        queries_ = project(own ? "position_query" : "query", config.query_width(), scale);
}

DistanceArgs DistanceVectors::args(int head, const std::int32_t* column, int exact) const {
    if (!columns_) return {};
    return {keys_.size() ? keys_.data() + head / shared_ * head_stride_ : nullptr,
            queries_.size() ? queries_.data() + head * head_stride_ : nullptr,
            stride_,
            columns_,
            column,
            exact,
            head_stride_};
}

}  // namespace bothways
