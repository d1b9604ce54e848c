// Checks of norms, quantization, rotary positions, pooling and attention.
#include "checks.h"

namespace bothways {

namespace {

std::string text(const char* name, int value) { return std::string(name) + std::to_string(value); }

void check_norm(const Kernels& kernels) {
    Check check(kernels.name, "norm");
    const int rows = 3;
    const float eps = 1e-5f;
    for (const int width : {1, 5, 16, 100, 384})
        for (const bool subtract_mean : {true, false}) {
            const Buffer<float> x = random_floats(static_cast<std::size_t>(rows * width), 1, -1, 3);
            const Buffer<float> gain = random_floats(x.size(), 2), bias = random_floats(x.size(), 3);
            Buffer<float> y(x.size());
            kernels.norm({x.data(), width, rows, width, gain.data(), bias.data(), eps, subtract_mean,
                          y.data(), width});
            for (int r = 0; r < rows; ++r) {
                double mean = 0, variance = 0;
                for (int i = 0; subtract_mean && i < width; ++i) mean += double(x[r * width + i]) / width;
                for (int i = 0; i < width; ++i) variance += std::pow(x[r * width + i] - mean, 2) / width;
                for (int i = 0; i < width; ++i)
                    check.near(y[r * width + i],
                               (x[r * width + i] - mean) / std::sqrt(variance + double(eps)) * gain[i] + bias[i],
                               width == 1 ? 1e-4 : 5e-6, text("width ", width));
            }
            Buffer<float> sum(x.size());
            std::copy(x.data(), x.data() + x.size(), sum.data());
            kernels.norm({x.data(), width, rows, width, gain.data(), bias.data(), eps, subtract_mean,
                          sum.data(), width, Accumulate::add});
            for (std::size_t i = 0; i < x.size(); ++i)
                check.near(sum[i], double(x[i]) + y[i], 1e-5, text("added, width ", width));
        }
}

}  // namespace

double activation_value(const Kernels& kernels, const QuantizedRows& q, QuantRange range, int row, int i, int k) {
    const int group = int8_group(kernels.int8_scheme), groups = (k + group - 1) / group;
    const std::ptrdiff_t cell = std::ptrdiff_t(i / group) * q.capacity + row;
    const double code = q.q8[cell * group + i % group], scale = q.scale[cell];
    if (kernels.int8_scheme == Int8Scheme::sums32)
        return scale * (code - kernels.a_zero_point) + double(q.zero_point[row * groups + i / group]);
    return range.is_dynamic() ? scale * (code - double(Sums16::center)) : scale * code + double(range.lower);
}

namespace {

// The largest code, less its center, and the largest norm of codes that sums16 multiplies in one sum.
void check_limits_of_sums16(Check& check, const QuantizedRows& q, QuantRange range, int row, int k) {
    constexpr int group = int8_group(Int8Scheme::sums16);
    const int center = range.is_dynamic() ? int(Sums16::center) : 0;
    for (int first = 0; first < k; first += group) {
        int squares[2] = {0, 0}, largest = 0;
        for (int i = first; i < std::min(first + group, k); ++i) {
            const int code = q.q8[(std::ptrdiff_t(first / group) * q.capacity + row) * group + i % group] - center;
            squares[i % 4 / 2] += code * code;
            largest = std::max(largest, std::abs(code));
        }
        const bool fits = largest <= int(range.is_dynamic() ? Sums16::max_centered : Sums16::max_q8) &&
                          std::sqrt(std::max(squares[0], squares[1])) <= double(Sums16::activation_norm) + 2;
        check.equal(fits, true, text("limits, k = ", k));
    }
}

void check_quantize(const Kernels& kernels) {
    Check check(kernels.name, "quantize");
    const int group = int8_group(kernels.int8_scheme), rows = 3;
    for (const int k : {1, 3, 17, 32, 127, 128, 129, 300})
        for (const QuantRange range : {QuantRange{}, QuantRange{-0.17f}})
            for (const bool flat : {false, true}) {
                const auto cells = static_cast<std::size_t>((k + group - 1) / group * rows);
                const float lower = flat ? 2.5f : range.is_dynamic() ? -2 : range.lower;
                const Buffer<float> x = random_floats(static_cast<std::size_t>(rows * k), 1, lower, 3);
                Buffer<std::uint8_t> q8(cells * group);
                Buffer<float> scale(cells), zero_point(cells);
                const GemmInput in{x.data(), k, rows, {q8.data(), scale.data(), zero_point.data(), rows}};
                kernels.quantize(in, k, 0, rows, range);
                for (int r = 0; r < rows; ++r) {
                    for (int i = 0; i < k; ++i)
                        check.near(activation_value(kernels, in.quantized, range, r, i, k), x[r * k + i],
                                   0.501 * double(scale[i / group * rows + r]) + 1e-6, text("k = ", k));
                    if (kernels.int8_scheme == Int8Scheme::sums16)
                        check_limits_of_sums16(check, in.quantized, range, r, k);
                }
            }
}

void check_rotate(const Kernels& kernels) {
    Check check(kernels.name, "rotate");
    const int heads = 3;
    for (const int width : {2, 10, 64}) {
        const int half = width / 2;
        const Buffer<float> x = random_floats(static_cast<std::size_t>(heads * width), 1);
        const Buffer<float> cosine = random_floats(static_cast<std::size_t>(half), 2);
        const Buffer<float> sine = random_floats(cosine.size(), 3);
        Buffer<float> y(x.size());
        std::copy(x.data(), x.data() + x.size(), y.data());
        kernels.rotate(y.data(), heads, width, cosine.data(), sine.data());
        for (int h = 0; h < heads; ++h)
            for (int i = 0; i < half; ++i) {
                const int at = h * width + i;
                const double a = x[at], b = x[at + half], c = cosine[i], s = sine[i];
                check.near(y[at], a * c - b * s, 1e-6, text("width ", width));
                check.near(y[at + half], b * c + a * s, 1e-6, text("width ", width));
            }
    }
}

double pooled(PoolingMode mode, const std::vector<double>& x, int first,
              const std::vector<std::uint8_t>& content) {
    double sum = 0, weighted = 0, weights = 0, content_sum = 0, content_count = 0;
    for (std::size_t r = 0; r < x.size(); ++r) {
        const double weight = first + static_cast<double>(r) + 1;
        sum += x[r], weighted += weight * x[r], weights += weight;
        if (content[r]) content_sum += x[r], ++content_count;
    }
    const double n = static_cast<double>(x.size());
    switch (mode) {
        case PoolingMode::cls: return x.front();
        case PoolingMode::last: return x.back();
        case PoolingMode::max: return *std::max_element(x.begin(), x.end());
        case PoolingMode::mean: return sum / n;
        case PoolingMode::mean_sqrt_len: return sum / std::sqrt(n);
        case PoolingMode::mean_content: return content_sum / content_count;
        case PoolingMode::weighted_mean: break;
    }
    return weighted / weights;
}

void check_pool(const Kernels& kernels) {
    Check check(kernels.name, "pool");
    for (const int rows : {1, 2, 9})
        for (const int width : {1, 16, 37})
            for (const PoolingMode mode : {PoolingMode::cls, PoolingMode::max, PoolingMode::mean,
                                           PoolingMode::mean_sqrt_len, PoolingMode::weighted_mean,
                                           PoolingMode::last, PoolingMode::mean_content}) {
                const int stride = width + 2, first = 1;
                const Buffer<float> x = random_floats(static_cast<std::size_t>(rows * stride), 1);
                Buffer<float> y(static_cast<std::size_t>(width));
                std::vector<std::uint8_t> content(static_cast<std::size_t>(rows), 1);
                if (rows > 2) content.front() = content[4] = content.back() = 0;
                kernels.pool(x.data(), stride, rows, width, first, mode, content.data(), y.data());
                for (int i = 0; i < width; ++i) {
                    std::vector<double> column;
                    for (int r = 0; r < rows; ++r) column.push_back(x[r * stride + i]);
                    check.near(y[i], pooled(mode, column, first, content), 2e-6, text("mode ", int(mode)));
                }
            }
}

// Row `query` of the probabilities of one head, in double.
std::vector<double> probabilities_of(const AttentionArgs& args, int query) {
    std::vector<double> p(static_cast<std::size_t>(args.length));
    double sum = 0;
    for (int key = 0; key < args.length; ++key) {
        double score = args.bias ? args.bias[key - query] : 0;
        for (int d = 0; d < args.width; ++d)
            score += double(args.query[query * args.stride + d]) * args.key[key * args.stride + d];
        const bool visible = (args.window < 0 || std::abs(key - query) <= args.window) &&
                             (!args.causal || key <= query);
        sum += p[key] = visible ? std::exp2(score) : 0;
    }
    for (double& x : p) x /= sum;
    return p;
}

struct HeadCase {
    int length, width, window;
    bool biased, int8;
    int heads = 1;
    bool causal = false;
};

void check_heads(Check& check, const Kernels& kernels, const HeadCase& of) {
    const auto [length, width, window, biased, int8, heads, causal] = of;
    const std::string where = text("length ", length) + text(", width ", width) + text(", window ", window) +
                              text(", heads ", heads) + (causal ? ", causal" : "");
    const int stride = (heads + 2) * width + 1;
    const auto size = static_cast<std::size_t>(length);
    const Buffer<float> qkv = random_floats(size * stride, 1);
    const Buffer<float> bias = random_floats(2 * size * heads, 2);
    Buffer<float> scratch(kernels.attention_scratch(length, width, 0));
    const float* key = qkv.data() + heads * width;
    AttentionArgs args{qkv.data(),
                       key,
                       key + width,
                       stride,
                       length,
                       width,
                       window,
                       biased ? bias.data() + length - 1 : nullptr,
                       int8,
                       scratch.data(),
                       heads,
                       2 * length,
                       causal};
    const int out_stride = heads * width + 1;
    Buffer<float> out(size * out_stride), probabilities(size * size * heads);
    for (int r = 0; r < length; ++r) out[r * out_stride + heads * width] = 7;
    kernels.attention(args, out.data(), out_stride);
    kernels.attention_probabilities(args, probabilities.data());
    // Queries of sums16 have half as many codes.
    const double of_int8 = kernels.int8_scheme == Int8Scheme::sums16 ? 4e-2 : 2e-2;
    const double tolerance = int8 ? of_int8 : 2e-6;
    for (int h = 0; h < heads; ++h, args.query += width) {
        for (int query = 0; query < length; ++query) {
            const std::vector<double> p = probabilities_of(args, query);
            for (int k = 0; k < length; ++k)
                check.near(probabilities[(h * length + query) * length + k], p[k], p[k] > 0 ? tolerance : 0,
                           where);
            for (int d = 0; d < width; ++d) {
                double expected = 0;
                for (int k = 0; k < length; ++k) expected += p[k] * args.value[k * stride + d];
                check.near(out[query * out_stride + h * width + d], expected, tolerance, where);
            }
        }
        if (biased) args.bias += args.bias_stride;
    }
    for (int r = 0; r < length; ++r)
        check.equal(out[r * out_stride + heads * width], 7, "beyond the heads, " + where);
}

}  // namespace

void check_row_ops(const Kernels& kernels) {
    check_norm(kernels);
    check_quantize(kernels);
    check_rotate(kernels);
    check_pool(kernels);
}

void check_attention(const Kernels& kernels) {
    for (const bool int8 : {false, true}) {
        Check check(kernels.name, int8 ? "attention, int8" : "attention");
        for (const int length : {1, 15, 47, 48, 65, 130})
            for (const int width : {1, 12, 33, 64}) {
                const int window = length % 2 ? 0 : 5;
                check_heads(check, kernels, {length, width, -1, false, int8});
                check_heads(check, kernels, {length, width, window, true, int8});
                check_heads(check, kernels, {length, width, -1, false, int8, 2, true});
                check_heads(check, kernels, {length, width, window, true, int8, 3, true});
            }
        // Blocks of queries that see a whole tile of keys, a part of the next, and nothing of the last.
        check_heads(check, kernels, {400, 8, -1, false, int8, 1, true});
        check_heads(check, kernels, {400, 8, 150, false, int8, 1, true});
        check_heads(check, kernels, {301, 100, 40, false, int8, 2});
    }
}

}  // namespace bothways
