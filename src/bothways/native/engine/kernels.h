// The kernel table: what the engine calls on each instruction set, and the argument structs of the kernels.
// isa/ fills one table per instruction set from the templates in kernels/. No kernel allocates memory.
//
// Strides count floats between the starts of consecutive rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "int8_scheme.h"

namespace bothways {

enum class Activation { none, relu, gelu, gelu_tanh, silu, tanh };

// How a result is written: stored, added to the value in memory, or multiplied by it.
enum class Accumulate { store, add, multiply };

// The value that the code 0 of a quantized activation stands for: a lower bound known in advance, or the
// minimum of each group of each row, measured when it is quantized.
struct QuantRange {
    static constexpr float dynamic = -std::numeric_limits<float>::infinity();
    float lower = dynamic;
    bool is_dynamic() const { return lower == dynamic; }
};

// The range of the results of an activation, whose minimum is known.
inline QuantRange range_of(Activation activation) {
    switch (activation) {
        case Activation::relu: return {0.0f};
        case Activation::gelu: return {-0.17f};
        case Activation::gelu_tanh: return {-0.1701f};
        case Activation::silu: return {-0.2785f};
        case Activation::tanh: return {-1.0f};
        case Activation::none: break;
    }
    return {};
}

// Activations in 8 bits: x = scale * q8 + zero_point, with the zero point in the units of x.
struct QuantizedRows {
    std::uint8_t* q8;   // (groups, capacity, group)
    float* scale;       // (groups, capacity)
    float* zero_point;  // sums32: (capacity, groups); includes the correction for dot4's a_zero_point
    int capacity;       // rows that fit
};

// The left-hand side of a matrix product.
struct GemmInput {
    const float* a;  // (m, k)
    std::ptrdiff_t lda;
    int m;
    QuantizedRows quantized;  // the same rows; filled for int8 only
};

// C (m, n) = activation(A (m, k) Bᵀ + bias) for the panels [first_panel, last_panel) of B. A panel holds
// the weights of `nr` outputs (`int8_nr` in int8), packed in the order in which the microkernel reads them.
struct GemmArgs {
    GemmInput in;
    int k;
    int n;
    const float* bias;             // (n rounded up to whole panels)
    const float* packed_b;         // fp32: (panels, k, nr)
    const std::int8_t* packed_b8;  // int8: (panels, blocks, int8_nr, int8_block); a block is adjacent inputs
    const float* b_scale;          // int8: (panels, int8_nr)
    // Corrections for the zero point of a dynamic QuantRange; null for a fixed one, which the bias corrects.
    const float* b_sum;            // sums32: (panels, groups, int8_nr), sums of q8 weights
    const std::int16_t* b_start;   // sums16: (panels, groups, int8_nr, 2), initial values of the sums
    int first_panel, last_panel;
    Activation activation;
    Accumulate accumulate;
    float* c;
    std::ptrdiff_t ldc;
};

// Layer norm or RMS norm of each row; y may be x. The result is stored or added.
struct NormArgs {
    const float* x;  // (rows, width)
    std::ptrdiff_t x_stride;
    int rows;
    int width;
    const float* gain;  // (width)
    const float* bias;  // (width), or null
    float eps;
    bool subtract_mean;  // true for layer norm, false for RMS norm
    float* y;
    std::ptrdiff_t y_stride;
    Accumulate accumulate = Accumulate::store;
};

// Disentangled attention: the projected vectors of distances of one head, as columns in the order in which the
// position of the key grows.
struct DistanceArgs {
    const float* keys = nullptr;     // (width, columns): those that queries are multiplied with, or null
    const float* queries = nullptr;  // (width, columns): those of keys, scaled as queries are, or null
    std::ptrdiff_t stride = 0;       // of both; whole vectors of the last columns are readable
    int columns = 0;
    // column[key position - query position]; readable for 64 distances beyond those of the longest sequence.
    const std::int32_t* column = nullptr;
    int exact = 0;  // distances of at most this have adjacent columns
    std::ptrdiff_t head_stride = 0;  // from the queries of one head to those of the next
};

// Attention of adjacent heads of queries, which share one head of keys and values, over one sequence.
// Queries are already scaled, and queries and bias are multiplied by log2(e), so that softmax weights are
// powers of 2.
struct AttentionArgs {
    const float* query;  // (length, heads, width); key and value are (length, width)
    const float* key;
    const float* value;
    std::ptrdiff_t stride;
    int length;
    int width;
    int window;         // maximum distance between a query and its keys, or -1 for no limit
    const float* bias;  // of the first head: bias[key position + bias_step * query position] is added; or null
    bool quantized;     // allows scores and weighted sums to be computed from integers
    float* scratch;     // `Kernels::attention_scratch` floats, aligned to 64 bytes
    int heads = 1;
    std::ptrdiff_t bias_stride = 0;  // floats from the bias of one head to that of the next
    bool causal = false;             // whether a query sees only keys up to its own position
    std::ptrdiff_t bias_step = -1;   // a bias by distance; otherwise floats from one query to the next
    DistanceArgs distances = {};     // of the first head; no bias then
    int keys = -1;                   // queries see only the first `keys` positions; -1 for all
};

// Dot products of every query with every row, and the squared lengths of the rows.
struct DotsArgs {
    const float* x;  // (rows, width)
    std::ptrdiff_t rows;
    int width;
    const float* query;  // (queries, width)
    int queries;
    float* dots;  // (queries, rows)
    std::ptrdiff_t dots_stride;
    float* squares;  // (rows), or null
};

// Number of bits in which each row differs from the query.
struct HammingArgs {
    const std::uint64_t* x;  // (rows, words)
    std::ptrdiff_t rows;
    int words;
    const std::uint64_t* query;  // (words)
    std::int32_t* distances;     // (rows)
};

enum class PoolingMode { cls, max, mean, mean_sqrt_len, weighted_mean, last, mean_content };

struct Kernels {
    const char* name;
    int nr;       // outputs per fp32 panel
    int int8_nr;  // outputs per int8 panel
    int int8_block;  // adjacent inputs of an output in an int8 panel
    Int8Scheme int8_scheme;
    // Subtracted from q8 activations by the int8 dot product; where it is not 0, b_sum is required.
    int a_zero_point;

    void (*gemm_fp32)(const GemmArgs&);
    void (*gemm_int8)(const GemmArgs&);
    // Quantizes rows [first, last) of `in.a`, each k wide, into `in.quantized`.
    void (*quantize)(const GemmInput& in, int k, int first, int last, QuantRange);
    void (*norm)(const NormArgs&);
    // out (length, heads, width) = softmax(query keyᵀ + bias) value
    void (*attention)(const AttentionArgs&, float* out, std::ptrdiff_t stride);
    // probabilities (heads, length, length), whose rows sum to 1
    void (*attention_probabilities)(const AttentionArgs&, float* probabilities);
    // In floats; `columns` are those of DistanceArgs.
    std::size_t (*attention_scratch)(int length, int width, int columns);
    // Rotates the pairs (x[i], x[i + width / 2]) of `heads` adjacent heads by the angles of one position,
    // given as cosines and sines (width / 2).
    void (*rotate)(float* x, int heads, int width, const float* cosine, const float* sine);
    // Pools x (rows, width) into y (width). `first` is the position of the first row in its sequence,
    // counted from 0. `content` (rows) marks the rows of mean_content, at least one; null for other modes.
    void (*pool)(const float* x, std::ptrdiff_t stride, int rows, int width, int first, PoolingMode,
                 const std::uint8_t* content, float* y);
    void (*dots)(const DotsArgs&);
    void (*hamming)(const HammingArgs&);
};

}  // namespace bothways
