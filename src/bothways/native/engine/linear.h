// A linear map with its weights packed for one instruction set, in fp32 or int8.
//
// T rows (tokens); I inputs and O outputs; panels are blocks of outputs.
#pragma once

#include <vector>

#include "buffer.h"
#include "kernels.h"
#include "threads.h"

namespace bothways {

enum class Precision { fp32, int8 };

// One matrix (O, I) and bias (O) or null, as the weights hold them. Maps that take the same rows may be
// packed as one, their outputs side by side; `factor` multiplies the outputs.
struct Matrix {
    const float* weight;
    const float* bias;
    int outputs;
    float factor = 1;
};

// Room for the codes of rows that int8 maps take.
class QuantisedBuffer {
public:
    void reserve(std::size_t cells);  // rows x groups of 128 inputs
    QuantisedRows rows(int count);
    static std::size_t bytes(std::size_t cells) {
        return cells * (QuantisedRows::group + 2 * sizeof(float));
    }

    static std::size_t cells(int rows, int inputs) {
        constexpr int group = QuantisedRows::group;
        return static_cast<std::size_t>((inputs + group - 1) / group) * rows;
    }

private:
    Buffer<std::uint8_t> codes_;
    Buffer<float> step_, offset_;
};

class Linear {
public:
    Linear() = default;
    // coding: how an int8 map's inputs become codes.
    Linear(const Kernels& kernels, Precision precision, int inputs, const std::vector<Matrix>& parts,
           Coding coding = {});

    int outputs() const { return outputs_; }
    bool empty() const { return inputs_ == 0; }
    std::size_t bytes() const;

    // Makes rows ready for this map, and for any other of as many inputs. All of the team must call
    // it, and may go on once it returns.
    Rows prepare(const Team& team, const float* x, std::ptrdiff_t stride, int count,
                 QuantisedBuffer& quantised) const;

    // This member's share of y = activation(x Wᵀ + bias): of the panels, for all rows.
    void apply(const Team& team, const Rows& rows, float* y, std::ptrdiff_t y_stride,
               Into into = Into::store, Activation activation = Activation::none) const;

private:
    void pack_fp32(const std::vector<Matrix>& parts);
    void pack_int8(const std::vector<Matrix>& parts);

    const Kernels* kernels_ = nullptr;
    Precision precision_ = Precision::fp32;
    Coding coding_;
    int inputs_ = 0, outputs_ = 0, panel_ = 0, num_panels_ = 0;
    Buffer<float> bias_, panels_, weight_step_, weight_sum_;
    Buffer<std::int8_t> codes_;
};

}  // namespace bothways
