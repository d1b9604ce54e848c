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
        case Activation::none: break;
    }
    return x;
}

double combine(Accumulate accumulate, double old, double x) {
    return accumulate == Accumulate::add ? old + x : accumulate == Accumulate::multiply ? old * x : x;
}

// The inputs and weights that a product computes with: rounded to 8 bits in int8.
struct Operands {
    std::vector<double> a, b;
};

Operands operands(const Kernels& kernels, const Shape& s, const GemmInput& in, const float* weight,
                  Precision precision) {
    constexpr int group = QuantizedRows::group;
    const int groups = (s.k + group - 1) / group;
    Operands o{std::vector<double>(static_cast<std::size_t>(s.m) * s.k),
               std::vector<double>(static_cast<std::size_t>(s.n) * s.k)};
    for (int r = 0; r < s.m; ++r)
        for (int k = 0; k < s.k; ++k) {
            const QuantizedRows& q = in.quantized;
            const int g = k / group;
            const std::ptrdiff_t at = std::ptrdiff_t(g) * q.capacity + r;
            o.a[r * s.k + k] =
                precision == Precision::fp32
                    ? double(in.a[r * in.lda + k])
                    : double(q.scale[at]) * (q.q8[at * group + k % group] - kernels.a_zero_point) +
                          double(q.zero_point[std::ptrdiff_t(r) * groups + g]);
        }
    for (int j = 0; j < s.n; ++j) {
        float max_abs = 0;
        for (int k = 0; k < s.k; ++k) max_abs = std::max(max_abs, std::fabs(weight[j * s.k + k]));
        for (int k = 0; k < s.k; ++k) {
            const float w = weight[j * s.k + k];
            o.b[j * s.k + k] = precision == Precision::fp32
                                   ? double(w)
                                   : double(max_abs / 127) * std::nearbyint(w * (127 / max_abs));
        }
    }
    return o;
}

void check_product(Check& check, const Kernels& kernels, const Shape& s, Precision precision,
                   Activation activation, Accumulate accumulate, QuantRange range) {
    const std::string where = "m, k, n = " + std::to_string(s.m) + ", " + std::to_string(s.k) + ", " +
                              std::to_string(s.n) + ", activation " + std::to_string(int(activation)) +
                              ", accumulate " + std::to_string(int(accumulate));
    const int lda = s.k + 5, ldc = s.n + 3;
    const float lower = range.is_dynamic() ? -1 : range.lower;
    const Buffer<float> a = random_floats(static_cast<std::size_t>(s.m * lda), 1, lower, 1);
    const Buffer<float> weight = random_floats(static_cast<std::size_t>(s.n * s.k), 2);
    const Buffer<float> bias = random_floats(static_cast<std::size_t>(s.n), 3);
    const Buffer<float> old = random_floats(static_cast<std::size_t>(s.m * ldc), 4);
    Buffer<float> c(old.size());
    std::copy(old.data(), old.data() + old.size(), c.data());

    const Linear linear(kernels, precision, s.k, {{weight.data(), bias.data(), s.n}}, range);
    QuantizedBuffer quantized;
    quantized.reserve(QuantizedBuffer::cells(s.m, s.k));
    const Team team;
    const GemmInput in = linear.prepare(team, a.data(), lda, s.m, quantized);
    linear.apply(team, in, c.data(), ldc, accumulate, activation);

    const Operands o = operands(kernels, s, in, weight.data(), precision);
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
        const Shape shape = {9, 130, 70};
        for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu,
                                            Activation::gelu_tanh, Activation::silu})
            for (const Accumulate accumulate : {Accumulate::store, Accumulate::add, Accumulate::multiply})
                check_product(check, kernels, shape, precision, activation, accumulate, {});
    }
}

}  // namespace bothways
