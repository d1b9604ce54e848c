// Checks of matrix products in fp32 and int8, with packing, quantization and epilogue.
#include "../linear.h"

#include "checks.h"

namespace bothways {

namespace {

struct Shape {
    int m, k, n;
};

const Shape shapes[] = {{1, 1, 1},     {2, 3, 15},   {5, 16, 17},  {6, 127, 33}, {7, 128, 64},
                        {13, 129, 65}, {14, 40, 31}, {15, 384, 100}, {29, 260, 47}};

double activate(Activation activation, double x) {
    switch (activation) {
        case Activation::relu: return std::max(x, 0.0);
        case Activation::gelu: return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
        case Activation::gelu_tanh:
            return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
        case Activation::silu: return x / (1 + std::exp(-x));
        case Activation::tanh: return std::tanh(x);
        case Activation::none: break;
    }
    return x;
}

double combine(Accumulate accumulate, double old, double x) {
    return accumulate == Accumulate::add ? old + x : accumulate == Accumulate::multiply ? old * x : x;
}

// Inputs of a product: random, or those for which sums16 has its largest sums.
enum class Operand { random, aligned };

// Inputs (rows, stride) at which a sum of products is largest: multiples of a row of weights, or as near to
// them as a lower bound of the inputs allows.
Buffer<float> aligned_inputs(const Buffer<float>& weight, const Shape& s, int stride, float lower) {
    Buffer<float> a(static_cast<std::size_t>(s.m * stride));
    a.fill_zero();
    for (int r = 0; r < s.m; ++r)
        for (int k = 0; k < s.k; ++k)
            a[r * stride + k] = std::max((r % 2 ? -3.0f : 3.0f) * weight[r / 2 % s.n * s.k + k], lower);
    return a;
}

// Weights (n, k) of equal size with random signs: the largest norm that codes can have.
Buffer<float> flat_weights(const Shape& s, bool positive) {
    Buffer<float> weight = random_floats(static_cast<std::size_t>(s.n * s.k), 2);
    for (int i = 0; i < s.n * s.k; ++i) weight[i] = weight[i] < 0 && !positive ? -0.5f : 0.5f;
    return weight;
}

// The inputs and weights that a product computes with: rounded to 8 bits in int8.
struct Operands {
    std::vector<double> a, b;
};

// The scale of a row of weights in int8.
double weight_scale(const Kernels& kernels, const float* weight, int inputs) {
    float max_abs = 0, norm = 0;
    for (int k = 0; k < inputs; ++k) max_abs = std::max(max_abs, std::fabs(weight[k]));
    if (kernels.int8_scheme == Int8Scheme::sums16)
        for (int first = 0; first < inputs; first += 32)
            for (int half = 0; half < 2; ++half) {
                float squares = 0;
                for (int k = first; k < std::min(first + 32, inputs); ++k)
                    if (k % 4 / 2 == half) squares += weight[k] * weight[k];
                norm = std::max(norm, std::sqrt(squares));
            }
    return std::max(max_abs / 127, norm / Sums16::weight_norm);
}

Operands operands(const Kernels& kernels, const Shape& s, const GemmInput& in, QuantRange range,
                  const float* weight, Precision precision) {
    Operands o{std::vector<double>(static_cast<std::size_t>(s.m) * s.k),
               std::vector<double>(static_cast<std::size_t>(s.n) * s.k)};
    for (int r = 0; r < s.m; ++r)
        for (int k = 0; k < s.k; ++k)
            o.a[r * s.k + k] = precision == Precision::fp32
                                   ? double(in.a[r * in.lda + k])
                                   : activation_value(kernels, in.quantized, range, r, k, s.k);
    for (int j = 0; j < s.n; ++j) {
        const double scale = weight_scale(kernels, weight + j * s.k, s.k);
        for (int k = 0; k < s.k; ++k) {
            const float w = weight[j * s.k + k];
            o.b[j * s.k + k] = precision == Precision::fp32
                                   ? double(w)
                                   : scale * std::nearbyint(w * (1 / static_cast<float>(scale)));
        }
    }
    return o;
}

void check_product(Check& check, const Kernels& kernels, const Shape& s, Precision precision,
                   Activation activation, Accumulate accumulate, QuantRange range,
                   Operand operand = Operand::random) {
    const std::string where = "m, k, n = " + std::to_string(s.m) + ", " + std::to_string(s.k) + ", " +
                              std::to_string(s.n) + ", activation " + std::to_string(int(activation)) +
                              ", accumulate " + std::to_string(int(accumulate));
    const int lda = s.k + 5, ldc = s.n + 3;
    const float lower = range.is_dynamic() ? -1 : range.lower;
    const Buffer<float> weight = operand == Operand::aligned
                                     ? flat_weights(s, !range.is_dynamic())
                                     : random_floats(static_cast<std::size_t>(s.n * s.k), 2);
    const Buffer<float> a = operand == Operand::aligned
                                ? aligned_inputs(weight, s, lda, range.lower)
                                : random_floats(static_cast<std::size_t>(s.m * lda), 1, lower, 1);
    const Buffer<float> bias = random_floats(static_cast<std::size_t>(s.n), 3);
    const Buffer<float> old = random_floats(static_cast<std::size_t>(s.m * ldc), 4);
    Buffer<float> c(old.size());
    std::copy(old.data(), old.data() + old.size(), c.data());

    const Linear linear(kernels, precision, s.k, {{weight.data(), bias.data(), s.n}}, range);
    QuantizedBuffer quantized;
    const int group = int8_group(kernels.int8_scheme);
    quantized.reserve(QuantizedBuffer::cells(s.m, s.k, group), group);
    const Team team;
    const GemmInput in = linear.prepare(team, a.data(), lda, s.m, quantized);
    linear.apply(team, in, c.data(), ldc, accumulate, activation);

    const Operands o = operands(kernels, s, in, range, weight.data(), precision);
    const double approximation = precision == Precision::int8 && activation == Activation::gelu ? 5e-4 : 1e-6;
    for (int r = 0; r < s.m; ++r)
        for (int j = 0; j < ldc; ++j) {
            const int i = r * ldc + j;
            if (j >= s.n) {
                check.equal(c[i], old[i], "beyond the last output, " + where);
                continue;
            }
            double sum = bias[j], magnitude = 1;
            for (int k = 0; k < s.k; ++k) {
                const double product = o.a[r * s.k + k] * o.b[j * s.k + k];
                sum += product;
                magnitude += std::fabs(product);
            }
            check.near(c[i], combine(accumulate, old[i], activate(activation, sum)),
                       approximation * magnitude, where);
        }
}

}  // namespace

void check_linear(const Kernels& kernels) {
    for (const Precision precision : {Precision::fp32, Precision::int8}) {
        Check check(kernels.name, precision == Precision::fp32 ? "gemm_fp32" : "gemm_int8");
        for (const Shape& shape : shapes) {
            check_product(check, kernels, shape, precision, Activation::none, Accumulate::store, {});
            check_product(check, kernels, shape, precision, Activation::none, Accumulate::add, {-0.17f});
        }
        if (precision == Precision::int8)
            for (const QuantRange range : {QuantRange{}, QuantRange{-0.17f}})
                check_product(check, kernels, {16, 130, 40}, precision, Activation::none, Accumulate::store, range,
                              Operand::aligned);
        const Shape shape = {9, 130, 70};
        for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu,
                                            Activation::gelu_tanh, Activation::silu, Activation::tanh})
            for (const Accumulate accumulate : {Accumulate::store, Accumulate::add, Accumulate::multiply})
                check_product(check, kernels, shape, precision, activation, accumulate, {});
    }
}

}  // namespace bothways
