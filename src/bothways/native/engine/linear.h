// A linear map y = x Wᵀ + bias, with weights packed for one instruction set, in fp32 or int8.
//
// T rows (tokens); I inputs and O outputs; a panel holds the weights of some adjacent outputs.
#pragma once

#include <vector>

#include "buffer.h"
#include "kernels.h"
#include "threads.h"

namespace bothways {

enum class Precision { fp32, int8 };

// A weight (O, I) and bias (O) or null, in the caller's memory. Maps of the same input may be packed as
// one, with their outputs concatenated. `factor` scales the outputs.
struct Matrix {
    const float* weight;
    const float* bias;
    int outputs;
    float factor = 1;
};

// Memory for the quantized inputs of int8 maps. A cell is one group of one row.
class QuantizedBuffer {
public:
    void reserve(std::size_t cells, int group);
    QuantizedRows rows(int capacity);
    static std::size_t bytes(std::size_t cells, int group) { return cells * (group + 2 * sizeof(float)); }

    static std::size_t cells(int rows, int inputs, int group) {
        return static_cast<std::size_t>((inputs + group - 1) / group) * rows;
    }

private:
    Buffer<std::uint8_t> q8_;
    Buffer<float> scale_, zero_point_;
};

class Linear {
public:
    Linear() = default;
    // `range` is the range of the inputs of an int8 map.
    Linear(const Kernels& kernels, Precision precision, int inputs, const std::vector<Matrix>& parts,
           QuantRange range = {});

    std::size_t bytes() const;  // of packed weights

    // Quantizes rows for an int8 map; in fp32 only wraps them. The result serves every map with as many
    // inputs and the same range. All members of the team call it together; it ends with a barrier.
    GemmInput prepare(const Team& team, const float* x, std::ptrdiff_t stride, int rows,
                      QuantizedBuffer& quantized) const;

    // Computes this member's share of y = activation(x Wᵀ + bias): some of the panels, for all rows.
    void apply(const Team& team, const GemmInput& in, float* y, std::ptrdiff_t y_stride,
               Accumulate accumulate = Accumulate::store, Activation activation = Activation::none) const;

private:
    // One output of the concatenated parts.
    struct Output {
        const float* weight;
        float bias, factor;
    };
    static std::vector<Output> concatenate(const std::vector<Matrix>& parts, int inputs);
    void pack_fp32(const std::vector<Output>& outputs);
    void pack_int8(const std::vector<Output>& outputs);

    const Kernels* kernels_ = nullptr;
    Precision precision_ = Precision::fp32;
    QuantRange range_;
    int inputs_ = 0, outputs_ = 0, nr_ = 0, num_panels_ = 0;
    Buffer<float> bias_, packed_fp32_, weight_scale_, weight_sum_;
    Buffer<std::int8_t> packed_int8_;
    Buffer<std::int16_t> start_;
};

}  // namespace bothways
