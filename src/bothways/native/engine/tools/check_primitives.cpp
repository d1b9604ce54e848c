// Checks of primitives, vector functions and microkernels.
#include <limits>

#include "checks.h"

namespace bothways {

namespace {

double gelu(double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }

double gelu_tanh(double x) {
    return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

struct Reference {
    const char* name;
    double (*f)(double);
    float low, high;
    double relative, absolute;  // tolerances
};

const Reference references[] = {
    {"exp", [](double x) { return std::exp(x); }, -87, 88, 3e-7, 0},
    {"exp2_nonpositive", [](double x) { return std::exp2(x); }, -125, 0, 3e-7, 0},
    {"erf", [](double x) { return std::erf(x); }, -6, 6, 0, 3e-7},
    {"relu", [](double x) { return std::max(x, 0.0); }, -5, 5, 0, 0},
    {"gelu", gelu, -9, 9, 3e-7, 1e-6},
    {"gelu_tanh", gelu_tanh, -9, 9, 2e-6, 1e-6},
    {"silu", [](double x) { return x / (1 + std::exp(-x)); }, -80, 80, 1e-6, 0},
    {"fast gelu", gelu, -9, 9, 1e-4, 2e-4},
    {"round", [](double x) { return std::nearbyint(x); }, -300, 300, 0, 0},
    {"fract", [](double x) { return x - std::floor(x); }, -300, 0, 0, 0},
};

void check_functions(const Probe& probe) {
    const int n = 1024 * probe.lanes;
    for (const Reference& reference : references) {
        Check check(probe.isa, reference.name);
        const auto* function = std::find_if(probe.functions, probe.functions + probe.num_functions,
                                            [&](const auto& f) { return f.name == std::string(reference.name); });
        Buffer<float> x = random_floats(static_cast<std::size_t>(n), 1, reference.low, reference.high), y(x.size());
        for (int i = 0; i < 64; ++i) x[i] = reference.low + (reference.high - reference.low) * float(i) / 64;
        function->apply(x.data(), y.data(), n);
        for (int i = 0; i < n; ++i) {
            const double expected = reference.f(static_cast<double>(x[i]));
            check.near(y[i], expected, reference.relative * std::fabs(expected) + reference.absolute,
                       "x = " + std::to_string(x[i]));
        }
    }
}

void check_limits(const Probe& probe) {
    Check check(probe.isa, "limits of exp and exp2");
    const float infinity = std::numeric_limits<float>::infinity();
    for (const Probe::Function* f = probe.functions; f < probe.functions + probe.num_functions; ++f) {
        Buffer<float> x(static_cast<std::size_t>(probe.lanes)), y(x.size());
        const auto at = [&](float value) {
            std::fill(x.data(), x.data() + probe.lanes, value);
            f->apply(x.data(), y.data(), probe.lanes);
            return y[0];
        };
        if (f->name == std::string("exp")) {
            check.equal(at(0), 1, "exp(0)");
            check.equal(at(-88), 0, "exp(-88)");
            check.equal(at(-infinity), 0, "exp(-infinity)");
        }
        if (f->name == std::string("exp2_nonpositive")) {
            check.equal(at(0), 1, "exp2(0)");
            check.equal(at(-1e30f), 0, "exp2(-1e30)");
            check.equal(at(-infinity), 0, "exp2(-infinity)");
        }
    }
}

void check_memory(const Probe& probe) {
    Check check(probe.isa, "partial, blend, transpose");
    const int lanes = probe.lanes;
    const auto size = static_cast<std::size_t>(lanes);
    const Buffer<float> x = random_floats(size, 2);
    Buffer<float> y(size);
    for (int n = 1; n <= lanes; ++n) {
        std::fill(y.data(), y.data() + lanes, 7.0f);
        probe.copy_partial(x.data(), y.data(), n);
        for (int i = 0; i < lanes; ++i) check.equal(y[i], i < n ? x[i] : 7, "store_partial");
        probe.load_partial(x.data(), y.data(), n);
        for (int i = 0; i < lanes; ++i) check.equal(y[i], i < n ? x[i] : 0, "load_partial");
        for (int first = 0; first <= n; ++first) {
            probe.blend_range(x.data(), y.data(), first, n, 7);
            for (int i = 0; i < lanes; ++i) check.equal(y[i], i >= first && i < n ? x[i] : 7, "blend_range");
        }
    }
    const Buffer<float> square = random_floats(size * size, 3);
    Buffer<float> transposed(size * size);
    std::copy(square.data(), square.data() + size * size, transposed.data());
    probe.transpose(transposed.data());
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j)
            check.equal(transposed[i * size + j], square[j * size + i], "transpose");
}

void check_values(const Probe& probe) {
    Check check(probe.isa, "reduce, ldexp, stores");
    const int lanes = probe.lanes;
    const auto size = static_cast<std::size_t>(lanes);
    const Buffer<float> x = random_floats(4 * size, 4, -200, 300);
    float results[3];
    probe.reduce(x.data(), results);
    double sum = 0;
    for (int i = 0; i < lanes; ++i) sum += x[i];
    check.near(results[0], sum, 1e-3, "reduce_add");
    check.equal(results[1], *std::max_element(x.data(), x.data() + lanes), "reduce_max");
    check.equal(results[2], *std::min_element(x.data(), x.data() + lanes), "reduce_min");

    Buffer<float> exponent(size), y(size);
    for (int e = -126; e <= 127; ++e) {
        std::fill(exponent.data(), exponent.data() + lanes, static_cast<float>(e) + 0.25f);
        Buffer<float> one(size);
        std::fill(one.data(), one.data() + lanes, 1.0f);
        probe.ldexp(one.data(), exponent.data(), y.data());
        check.equal(y[0], std::ldexp(1.0, e), "ldexp");
    }

    std::vector<std::uint8_t> u8(size);
    Buffer<float> values(size);
    const float edges[] = {-1e6f, -0.5f, 0.5f, 1.5f, 2.5f, 254.5f, 255.5f, 1e6f};
    for (int i = 0; i < lanes; ++i) values[i] = i < 8 ? edges[i] : x[i];
    probe.store_u8_sat(values.data(), u8.data());
    for (int i = 0; i < lanes; ++i)
        check.equal(u8[i], std::clamp(std::nearbyint(values[i]), 0.0f, 255.0f), "store_u8_sat");
    std::vector<std::int8_t> i8(4 * size);
    const Buffer<float> quads = random_floats(4 * size, 5, -127, 127);
    probe.store_i8x4(quads.data(), i8.data());
    for (int i = 0; i < lanes; ++i)
        for (int j = 0; j < 4; ++j)
            check.equal(i8[4 * i + j], std::nearbyint(quads[j * lanes + i]), "store_i8x4");
}

void check_fp32_microkernel(const Probe& probe) {
    Check check(probe.isa, "microkernel_fp32");
    for (int nr = 1; nr <= probe.nr; ++nr)
        for (const int kc : {1, 7, 64}) {
            const int width = nr * probe.lanes, lda = kc + 3;
            const Buffer<float> a = random_floats(static_cast<std::size_t>(probe.mr * lda), 6);
            const Buffer<float> b = random_floats(static_cast<std::size_t>(kc * width), 7);
            const Buffer<float> start = random_floats(static_cast<std::size_t>(probe.mr * width), 8);
            Buffer<float> one(start.size()), c(start.size());
            for (int mr = 1; mr <= probe.mr; ++mr) {
                std::copy(start.data(), start.data() + start.size(), c.data());
                probe.microkernel_fp32(mr, nr, a.data(), lda, b.data(), kc, c.data());
                // Row mr - 1 by itself: its bits must not depend on the rows above it.
                float* alone = one.data() + (mr - 1) * width;
                std::copy(start.data(), start.data() + start.size(), one.data());
                probe.microkernel_fp32(1, nr, a.data() + (mr - 1) * lda, lda, b.data(), kc, alone);
                for (int j = 0; j < width; ++j) {
                    const int i = (mr - 1) * width + j;
                    double expected = start[i];
                    for (int k = 0; k < kc; ++k) expected += double(a[(mr - 1) * lda + k]) * b[k * width + j];
                    check.near(c[i], expected, 1e-6 * kc, "mr = " + std::to_string(mr));
                    check.equal(c[i], alone[j], "bits with mr = " + std::to_string(mr));
                }
            }
        }
}

// `block` is the number of adjacent inputs of an output in b.
void check_int8_microkernel(const Probe& probe, const char* name, decltype(Probe::microkernel_int8) microkernel,
                            int block) {
    if (!microkernel) return;
    Check check(probe.isa, name);
    std::mt19937 random(9);
    for (int nr = 1; nr <= probe.nr_int8; ++nr)
        for (const int blocks : {1, 5, 128 / block}) {
            const int width = nr * probe.lanes, kc = blocks * block;
            std::vector<std::uint8_t> a(static_cast<std::size_t>(probe.mr_int8 * kc));
            std::vector<std::int8_t> b(static_cast<std::size_t>(width * kc));
            for (auto& x : a) x = static_cast<std::uint8_t>(random() % 3 ? random() : 255);
            for (auto& x : b) x = static_cast<std::int8_t>(random() % 3 ? int(random() % 255) - 127 : 127);
            Buffer<float> c(static_cast<std::size_t>(probe.mr_int8 * width));
            for (int mr = 1; mr <= probe.mr_int8; ++mr) {
                microkernel(mr, nr, a.data(), kc, b.data(), blocks, c.data());
                for (int r = 0; r < mr; ++r)
                    for (int j = 0; j < width; ++j) {
                        int expected = 0;
                        for (int k = 0; k < kc; ++k)
                            expected += (a[r * kc + k] - probe.a_zero_point) *
                                        b[(k / block * width + j) * block + k % block];
                        check.equal(c[r * width + j], expected, "mr = " + std::to_string(mr));
                    }
            }
        }
}

// Codes at the limits of sums16: 16 activations and 16 weights with the largest norms, of equal or of opposite
// signs, so that sums reach both ends of 16 bits; and random signs. The start subtracts the center from the
// activations.
void check_sums16_microkernel(const Probe& probe) {
    if (!probe.microkernel_sums16) return;
    Check check(probe.isa, "microkernel_sums16");
    constexpr int inputs = int8_group(Int8Scheme::sums16), center = int(Sums16::center);
    constexpr int weight_code = int(Sums16::weight_norm + 2) / 4, code = int(Sums16::activation_norm + 2) / 4;
    static_assert(16 * code * weight_code > 31000, "near the limit");
    std::mt19937 random(10);
    const auto sign = [&] { return random() % 2 ? 1 : -1; };
    for (int nr = 1; nr <= probe.nr_int8; ++nr)
        for (const bool centered : {true, false}) {
            const int width = nr * probe.lanes;
            std::vector<std::uint8_t> a(static_cast<std::size_t>(probe.mr_int8 * inputs));
            std::vector<std::int8_t> b(static_cast<std::size_t>(width * inputs));
            std::vector<std::int16_t> start(static_cast<std::size_t>(width * 2));
            for (int k = 0; k < inputs; ++k) {
                const int row_sign = sign();
                for (int r = 0; r < probe.mr_int8; ++r)
                    a[r * inputs + k] = static_cast<std::uint8_t>(
                        centered ? center + code * (r % 3 == 2 ? sign() : r % 3 ? -row_sign : row_sign) : code);
                for (int j = 0; j < width; ++j) {
                    const int s = j % 3 == 2 ? sign() : !centered ? 1 - j % 2 * 2 : j % 2 ? -row_sign : row_sign;
                    b[(k / 4 * width + j) * 4 + k % 4] = static_cast<std::int8_t>(s * weight_code);
                    start[2 * j + k % 4 / 2] =
                        static_cast<std::int16_t>(start[2 * j + k % 4 / 2] - center * s * weight_code);
                }
            }
            Buffer<float> c(static_cast<std::size_t>(probe.mr_int8 * width));
            for (int mr = 1; mr <= probe.mr_int8; ++mr) {
                probe.microkernel_sums16(mr, nr, a.data(), inputs, b.data(), centered ? start.data() : nullptr,
                                         c.data());
                for (int r = 0; r < mr; ++r)
                    for (int j = 0; j < width; ++j) {
                        int expected = 0;
                        for (int k = 0; k < inputs; ++k)
                            expected += (a[r * inputs + k] - (centered ? center : 0)) *
                                        b[(k / 4 * width + j) * 4 + k % 4];
                        check.equal(c[r * width + j], expected, "mr = " + std::to_string(mr));
                    }
            }
        }
}

}  // namespace

void check_primitives(const Probe& probe) {
    check_functions(probe);
    check_limits(probe);
    check_memory(probe);
    check_values(probe);
}

void check_microkernels(const Probe& probe) {
    check_fp32_microkernel(probe);
    check_int8_microkernel(probe, "microkernel_int8", probe.microkernel_int8, 4);
    check_int8_microkernel(probe, "microkernel_row_pairs", probe.microkernel_row_pairs, 8);
    check_sums16_microkernel(probe);
}

}  // namespace bothways
