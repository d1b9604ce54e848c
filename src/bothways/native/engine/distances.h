// The projected vectors of distances of one layer, for disentangled attention. He et al. 2021, section 3.1.
#pragma once

#include <string>

#include "buffer.h"
#include "config.h"
#include "weights.h"

namespace bothways {

class DistanceVectors {
public:
    DistanceVectors() = default;
    // `name` is the prefix of the layer's weights, and `scale` the factor of its queries.
    DistanceVectors(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
                    const std::string& name, double scale);

    // Those of `head`, with the columns of PositionTables.
    DistanceArgs args(int head, const std::int32_t* column, int exact) const;

    std::size_t bytes() const { return (keys_.size() + queries_.size()) * sizeof(float); }

private:
    int columns_ = 0, shared_ = 1;  // heads of queries per head of keys
    std::ptrdiff_t stride_ = 0, head_stride_ = 0;
    Buffer<float> keys_, queries_;  // (heads, K, stride): by head of keys, by head of queries; empty if not used
};

}  // namespace bothways
