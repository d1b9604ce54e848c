// The schemes of int8 products: what is added in how many bits, and the codes that this allows.
#pragma once

#include <cstdint>

namespace bothways {

// How int8 products add, and so how their operands are quantized; reference/int8.py defines both schemes.
//
// sums32: products are added in 32 bits, which never overflow. Activations have 8 bits, with a scale and a
// zero point for each group of 128 inputs of a row.
//
// sums16: products are added in 16 bits, which take a third of the instructions where the machine has no
// dot product instruction. Activations have 7 bits, with a scale for each group of 32 inputs of a row. Each
// sum is of the products of 16 of these inputs, those with the same k % 4 / 2. By the inequality of Cauchy and
// Schwarz it is at most the product of the Euclidean norms of 16 weights and 16 activations, and quantizing
// limits these norms, so that no sum leaves 16 bits.
enum class Int8Scheme { sums32, sums16 };

constexpr int int8_group(Int8Scheme scheme) { return scheme == Int8Scheme::sums32 ? 128 : 32; }

// The limits of sums16. Rounding moves a code by at most 1/2, and so the norm of 16 codes by at most 2.
struct Sums16 {
    static constexpr float weight_norm = 254, activation_norm = 125.9f;  // before rounding
    static constexpr float max_weight = 127;
    // Activations without a lower bound known in advance are stored as code + center, with |code| <= 63.
    static constexpr float center = 64, max_centered = 63, max_q8 = 127;
};
static_assert((Sums16::weight_norm + 2) * (Sums16::activation_norm + 2) < 32767);
static_assert(2 * Sums16::max_q8 * Sums16::max_weight < 32767, "the sum of a pair must not saturate");

// The limits of softmax weights and values in 16 bits. Their products are added in 32 bits over one tile of
// keys, at most `tile` of them.
struct WeightedSum16 {
    static constexpr int tile = 128, max_weight = 8192, max_value = 2047;
};
static_assert(WeightedSum16::tile * WeightedSum16::max_weight * std::int64_t(WeightedSum16::max_value) < 1ll << 31);

}  // namespace bothways
