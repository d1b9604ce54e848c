// Support for check_kernels: random inputs, and comparisons that report failures.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "../buffer.h"
#include "../kernels.h"
#include "probe.h"

namespace bothways {

// Floats in aligned memory that may be read a little beyond its end, as the engine's arrays.
inline Buffer<float> random_floats(std::size_t size, unsigned seed, float low = -1, float high = 1) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(low, high);
    Buffer<float> x(size);
    for (std::size_t i = 0; i < size; ++i) x[i] = uniform(random);
    return x;
}

// Counts comparisons of one kernel on one instruction set, and prints those that fail.
class Check {
public:
    Check(std::string isa, std::string kernel) : isa_(std::move(isa)), kernel_(std::move(kernel)) {}
    ~Check() {
        std::printf("%-10s %-24s %7d comparisons, largest error %.2f of tolerance %s\n", isa_.c_str(),
                    kernel_.c_str(), comparisons_, worst_, failures_ ? "FAILED" : "ok");
        total_failures += failures_;
    }
    Check(const Check&) = delete;
    Check& operator=(const Check&) = delete;

    void near(double actual, double expected, double tolerance, const std::string& where) {
        const double error = actual == expected ? 0 : std::fabs(actual - expected) / tolerance;
        ++comparisons_;
        worst_ = std::max(worst_, error);
        if (error <= 1) return;  // false for NaN too
        if (failures_++ < 3)
            std::printf("%s %s, %s: got %.9g, expected %.9g\n", isa_.c_str(), kernel_.c_str(), where.c_str(),
                        actual, expected);
    }
    void equal(double actual, double expected, const std::string& where) {
        near(actual, expected, 0, where);
    }

    inline static int total_failures = 0;

private:
    std::string isa_, kernel_;
    int comparisons_ = 0, failures_ = 0;
    double worst_ = 0;
};

// The value that input i, of k, of a quantized row stands for.
double activation_value(const Kernels& kernels, const QuantizedRows& q, QuantRange range, int row, int i, int k);

void check_primitives(const Probe& probe);
void check_microkernels(const Probe& probe);
void check_linear(const Kernels& kernels);
void check_row_ops(const Kernels& kernels);
void check_attention(const Kernels& kernels);
void check_scan(const Kernels& kernels);

}  // namespace bothways
