// What the engine asks of an instruction set: a table of kernels, filled once for each of them from the
// templates in kernels/, and the plain structs that they take. No kernel allocates.
//
// T rows (tokens); I inputs and O outputs of a linear map; strides count floats from row to row.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace bothways {

enum class Activation { none, relu, gelu, gelu_tanh, silu };

// What happens to a result: it is stored, added to what is there, or multiplied with it.
enum class Into { store, add, multiply };

// How activations become codes of 0 to 255: the code 0 is `least`, which is the same for all; or, where
// it is minus infinity, the least of each group of a row.
struct Coding {
    float least = -HUGE_VALF;
    bool is_measured() const { return least == -HUGE_VALF; }
};

// Activations quantised for int8: codes in groups of 128 inputs, each group of a row with its own step and
// offset, so that x = step * code + offset; where the coding is not measured, + least instead.
//   codes (groups, capacity, 128); step (groups, capacity); offset (capacity, groups)
struct QuantisedRows {
    static constexpr int group = 128;
    std::uint8_t* codes;
    float* step;
    float* offset;
    int capacity;  // rows that there is room for
};

// The rows that a linear map takes: as floats, and quantised where the map is int8.
struct Rows {
    const float* x;  // (T, I)
    std::ptrdiff_t stride;
    int count;
    QuantisedRows quantised;
};

// y = x Wᵀ + bias for the panels [first_panel, last_panel) of W, activated, into y (T, O).
// Panels hold a fixed number of outputs each, `Kernels::panel` or `Kernels::int8_panel`.
struct Product {
    Rows in;
    int inputs;
    int outputs;
    const float* bias;            // (O rounded up to panels)
    const float* panels;          // fp32: (panels, I, panel)
    const std::int8_t* codes;     // int8: (panels, I / 4 rounded up, panel, 4)
    const float* weight_step;     // int8: (panels, panel)
    const float* weight_sum;      // int8: (panels, groups, panel), in steps; null without offsets
    int first_panel, last_panel;
    Activation activation;
    Into into;
    float* y;
    std::ptrdiff_t y_stride;
};

// Rows scaled to unit variance, with gains and perhaps a bias; y may be x.
struct Norm {
    const float* x;  // (T, width)
    std::ptrdiff_t x_stride;
    int rows;
    int width;
    const float* gain;  // (width)
    const float* bias;  // (width), or null
    float eps;
    bool centred;  // layer norm is, rms norm is not
    float* y;
    std::ptrdiff_t y_stride;
};

// One head of one sequence. Queries are already divided by the square root of the head's width; they and
// the bias are multiplied with log2 e, so that the weight of a score is a power of 2.
struct Head {
    const float* query;  // (length, width), and key and value too
    const float* key;
    const float* value;
    std::ptrdiff_t stride;
    int length;
    int width;
    int window;         // the largest distance that is seen, or -1 for all
    const float* bias;  // bias[key position - query position] is added to the score; or null
    bool coded;         // scores may come from codes of 8 bits
    float* scratch;     // `Kernels::head_scratch(length, width)` floats, aligned to 64 bytes
};

enum class PoolingMode { cls, max, mean, mean_sqrt_len, weighted_mean, last };

struct Kernels {
    const char* name;
    int panel;       // outputs of an fp32 panel
    int int8_panel;  // outputs of an int8 panel
    int code_shift;  // what the dot products add to each code of an activation

    void (*product)(const Product&);
    void (*product_int8)(const Product&);
    // Quantises rows [first, last) of `in.x`, which are `inputs` wide, into `in.quantised`.
    void (*quantise)(const Rows& in, int inputs, int first, int last, Coding);
    void (*norm)(const Norm&);
    // mixed (length, width): what the head's probabilities make of the values.
    void (*attend)(const Head&, float* mixed, std::ptrdiff_t stride);
    // probabilities (length, length), rows summing to 1.
    void (*probabilities)(const Head&, float* probability);
    std::size_t (*head_scratch)(int length, int width);
    // Turns the pairs (x[i], x[i + width / 2]) of `heads` heads side by side by the angles of one
    // position: cosine and sine (width / 2).
    void (*rotate)(float* x, int heads, int width, const float* cosine, const float* sine);
    // One vector (width) from rows (rows, width), of which the first is position `first` of its
    // sequence, counted from 0.
    void (*pool)(const float* x, std::ptrdiff_t stride, int rows, int width, int first, PoolingMode,
                 float* y);
    // Do as many multiply-adds, of floats and of bytes, as the machine can on one thread; return how
    // many operations that were. `result` holds 12 numbers.
    double (*fma_peak)(long rounds, float* result);
    double (*dot_peak)(long rounds, float* result);
};

}  // namespace bothways
