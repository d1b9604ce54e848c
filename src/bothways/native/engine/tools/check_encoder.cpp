// Compares whole encoders with random weights on each available instruction set with portable C++, which
// the conformance tests compare with the reference. For machines without Python: a cross-compiled engine
// under an emulator.
//
//     check_encoder [instruction set ...]
//
// Exits with 1 if a hidden state differs by more than rounding, if a sequence's vectors depend on its
// neighbors or on the number of threads, or if instruction sets that compute the same differ in a bit.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>

#include "../encoder.h"
#include "arguments.h"

namespace {

using namespace bothways;

// Relative to the largest hidden state. int8 has a wider tolerance: values near the middle of two codes may
// round differently, and attention scores are in int8 only on machines with dot4.
constexpr float fp32_tolerance = 1e-5f, int8_tolerance = 0.15f;

struct Variant {
    const char* name;
    std::function<void(EncoderConfig&)> change;
    float tolerance_of_int8 = int8_tolerance;
};

EncoderConfig plain_config() {
    EncoderConfig c;
    c.num_layers = 2, c.num_heads = 3, c.d_model = 54, c.d_ff = 140, c.max_length = 300;
    c.head_width = 18, c.key_value_heads = 3, c.score_scale = 1 / std::sqrt(18.0);
    c.vocab_size = 40, c.num_segments = 2, c.embedding_width = 54, c.embedding_norm = true;
    c.positions = Positions::learned, c.position_table = true;
    c.norm_eps = 1e-6f, c.activation = Activation::gelu;
    c.relative_buckets = 32, c.relative_max_distance = 128;
    c.window = {-1, -1}, c.block = {0, 1};
    return c;
}

const std::vector<Variant>& variants() {
    static const std::vector<Variant> all = {
        {"plain", [](EncoderConfig&) {}},
        {"rotary, windows, pre-norm, gated",
         [](EncoderConfig& c) {
             c.positions = Positions::rotary, c.position_table = false;
             std::vector<double> frequencies;
             for (int i = 0; i < 9; ++i) frequencies.push_back(std::pow(10000.0, -i / 9.0));
             c.rotary_frequencies = {frequencies, frequencies}, c.rotary_magnitudes = {1.0, 1.25};
             c.window = {4, 100}, c.norm = NormKind::rms, c.norm_placement = NormPlacement::pre;
             c.first_attention_norm = false, c.final_norm = true, c.gated = true;
             c.activation = Activation::silu;
         }},
        {"relative, narrow embedding, shared block",
         [](EncoderConfig& c) {
             c.positions = Positions::relative, c.embedding_width = 21, c.embedding_projection = true;
             c.block = {0, 0}, c.activation = Activation::gelu_tanh;
         }},
        {"causal, shared keys, norm of heads, sandwich",
         [](EncoderConfig& c) {
             c.attention_direction = AttentionDirection::causal, c.query_key_norm = QueryKeyNorm::head;
             c.num_heads = 6, c.key_value_heads = 2, c.head_width = 20, c.norm = NormKind::rms;
             c.norm_placement = NormPlacement::sandwich, c.norm_zero_centered = true, c.window = {-1, 70};
             c.embedding_scale = 3;
         }},
        {"one head of keys, norm of all heads, scaled residuals",
         [](EncoderConfig& c) {
             c.query_key_norm = QueryKeyNorm::all_heads, c.key_value_heads = 1, c.residual_scale = 0.7f;
             c.head_width = 7, c.score_scale = 1;
         }},
        {"alibi, windows",
         [](EncoderConfig& c) {
             c.positions = Positions::alibi, c.position_table = false;
             c.alibi_slopes = {0.0625, 0.00390625, 0.25}, c.window = {-1, 40};
         }},
        {"disentangled",
         [](EncoderConfig& c) {
             c.positions = Positions::disentangled, c.position_table = false;
             c.relative_buckets = 80, c.relative_embedding_norm = true, c.score_scale = 1 / std::sqrt(54.0);
             c.content_to_position = c.position_to_content = true;
             for (int distance = 1 - c.max_length; distance < c.max_length; ++distance) {
                 const int far = distance / 8 + (distance < 0 ? -18 : 18);
                 const int bucket = std::abs(distance) <= 20 ? distance : far;
                 c.distance_rows.push_back(std::clamp(40 - bucket, 0, 79));
             }
         }},
        // A token that is between two experts may go to either of them.
        {"experts", [](EncoderConfig& c) { c.num_experts = 5, c.experts_per_token = 2, c.expert_blocks = {1}; },
         0.4f},
        {"padding within sequences",
         [](EncoderConfig& c) { c.position_offset = 2, c.position_padding_token = 1; }},
        {"convolution",
         [](EncoderConfig& c) {
             c.convolution_kernel_size = 5, c.convolution_groups = 3;
             c.convolution_activation = Activation::tanh;
         }},
        {"vectors, sinusoidal",
         [](EncoderConfig& c) {
             c.input = Input::vectors, c.vocab_size = 0, c.num_channels = 5, c.num_segments = 0;
             c.positions = Positions::sinusoidal, c.position_table = false;
             c.activation = Activation::relu;
         }},
    };
    return all;
}

// Random weights with the names and shapes of the Python layout.
class RandomWeights {
public:
    explicit RandomWeights(const EncoderConfig& c) {
        const int D = c.d_model, E = c.embedding_width, F = c.d_ff;
        const int Q = c.query_width(), V = c.key_value_width();
        const bool by_head = c.query_key_norm == QueryKeyNorm::head;
        if (c.input == Input::tokens)
            add("embedding.token.weight", c.vocab_size, E);
        else
            linear("embedding.input", c.num_channels, E);
        if (c.num_segments) add("embedding.segment.weight", c.num_segments, E);
        if (c.position_table) add("embedding.position.weight", c.position_offset + c.max_length, E);
        if (c.embedding_norm) norm("embedding.norm", E);
        if (c.embedding_projection) linear("embedding.projection", E, D);
        if (c.positions == Positions::relative) add("relative_bias.weight", c.relative_buckets, c.num_heads);
        const bool is_disentangled = c.positions == Positions::disentangled;
        if (is_disentangled) {
            add("relative_embedding.weight", c.relative_buckets, D);
            norm("relative_norm", D);
        }
        for (int b = 0; b < c.num_layers; ++b) {
            const std::string name = "blocks." + std::to_string(b) + ".";
            if (is_disentangled) {
                linear(name + "attention.position_key", D, V);
                linear(name + "attention.position_query", D, Q);
            }
            linear(name + "attention.query", D, Q);
            linear(name + "attention.key", D, V);
            linear(name + "attention.value", D, V);
            linear(name + "attention.output", Q, D);
            norm(name + "attention.query_norm", by_head ? c.head_width : Q);
            norm(name + "attention.key_norm", by_head ? c.head_width : V);
            norm(name + "attention_norm", D);
            norm(name + "attention_output_norm", D);
            linear(name + "feed_forward.gate", D, F);
            linear(name + "feed_forward.up", D, F);
            linear(name + "feed_forward.down", F, D);
            if (c.has_experts(b)) {
                add(name + "feed_forward.router.weight", c.num_experts, D);
                add(name + "feed_forward.experts.up.weight", c.num_experts * F, D);
                add(name + "feed_forward.experts.down.weight", c.num_experts * F, D);
                fill(name + "feed_forward.experts.bias", {static_cast<std::size_t>(D)}, 0, 0.3f);
            }
            norm(name + "feed_forward_norm", D);
            norm(name + "feed_forward_output_norm", D);
        }
        if (c.convolution_kernel_size) {
            linear("convolution", c.convolution_inputs(), D);
            norm("convolution_norm", D);
        }
        norm("final_norm", D);
    }

    Weights view() const {
        std::map<std::string, Tensor> tensors;
        for (const auto& [name, array] : arrays_) tensors[name] = {array.numbers.data(), array.shape};
        return Weights(std::move(tensors));
    }

private:
    struct Array {
        std::vector<std::size_t> shape;
        std::vector<float> numbers;
    };

    void fill(const std::string& name, std::vector<std::size_t> shape, float mean, float spread) {
        std::size_t size = 1;
        for (const std::size_t n : shape) size *= n;
        std::normal_distribution<float> normal(mean, spread);
        Array array{std::move(shape), std::vector<float>(size)};
        for (float& x : array.numbers) x = normal(random_);
        arrays_[name] = std::move(array);
    }
    void add(const std::string& name, int rows, int columns) {
        fill(name, {static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)}, 0, 0.3f);
    }
    void linear(const std::string& name, int inputs, int outputs) {
        add(name + ".weight", outputs, inputs);
        fill(name + ".bias", {static_cast<std::size_t>(outputs)}, 0, 0.3f);
    }
    void norm(const std::string& name, int width) {
        fill(name + ".weight", {static_cast<std::size_t>(width)}, 1, 0.3f);
        fill(name + ".bias", {static_cast<std::size_t>(width)}, 0, 0.3f);
    }

    std::mt19937 random_{7};
    std::map<std::string, Array> arrays_;
};

using Floats = std::vector<float>;

// The last hidden states of sequences of `lengths`. The inputs of a sequence depend on its length alone.
Floats encode(const EncoderConfig& config, const Weights& weights, const Kernels& kernels,
              Precision precision, int threads, const std::vector<std::int64_t>& lengths) {
    std::vector<std::int64_t> ids;
    Floats vectors;
    for (const std::int64_t length : lengths) {
        std::mt19937 random(static_cast<unsigned>(length));
        for (std::int64_t i = 0; i < length; ++i) {
            ids.push_back(static_cast<std::int64_t>(random() % 40));
            for (int c = 0; c < config.num_channels; ++c)
                vectors.push_back(static_cast<float>(random() % 1000) / 500 - 1);
        }
    }
    Encoder encoder(kernels, config, weights, precision, threads);
    Batch batch;
    if (config.input == Input::tokens)
        batch.ids = ids.data();
    else
        batch.vectors = vectors.data();
    batch.set_lengths(config, lengths, static_cast<std::int64_t>(ids.size()));
    Floats hidden(ids.size() * static_cast<std::size_t>(config.d_model));
    Request request;
    request.hidden_layers = {config.num_layers};
    request.hidden = hidden.data();
    encoder.run(batch, request);
    return hidden;
}

float error(const Floats& actual, const Floats& expected) {
    float scale = 0, largest = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        scale = std::max(scale, std::fabs(expected[i]));
        largest = std::max(largest, std::fabs(actual[i] - expected[i]));
        if (std::isnan(actual[i])) return INFINITY;
    }
    return largest / scale;
}

// Instruction sets that differ only in how they add the same integers.
constexpr const char* same_bits[] = {"neoni8mm", "neondot"};

bool check(const Variant& variant, Precision precision, const std::vector<const Kernels*>& all_kernels) {
    EncoderConfig config = plain_config();
    variant.change(config);
    const RandomWeights random(config);
    const Weights weights = random.view();
    const std::vector<std::int64_t> lengths = {1, 2, 15, 64, 129, 300};
    const bool fp32 = precision == Precision::fp32;
    const Floats expected = encode(config, weights, select_kernels("plain"), precision, 1, lengths);
    bool good = true;
    Floats with_same_bits;
    for (const Kernels* kernels : all_kernels) {
        const Floats actual = encode(config, weights, *kernels, precision, 1, lengths);
        const float difference = error(actual, expected);
        bool same = actual == encode(config, weights, *kernels, precision, 3, lengths);
        // The first and the last sequence by themselves: two threads share each layer. They wait for each other at
        // every step, which takes long on a busy machine, so that the others are left out.
        for (const std::int64_t length : {lengths.front(), lengths.back()}) {
            const Floats alone = encode(config, weights, *kernels, precision, 2, {length});
            const bool is_first = length == lengths.front();
            same = same && std::equal(alone.begin(), alone.end(),
                                      is_first ? actual.begin() : actual.end() - std::ptrdiff_t(alone.size()));
        }
        if (std::find(std::begin(same_bits), std::end(same_bits), std::string(kernels->name)) !=
            std::end(same_bits)) {
            same = same && (with_same_bits.empty() || actual == with_same_bits);
            with_same_bits = actual;
        }
        const bool close = difference <= (fp32 ? fp32_tolerance : variant.tolerance_of_int8);
        std::printf("%-6s %-10s %-42s error %.1e %s%s\n", fp32 ? "fp32" : "int8", kernels->name,
                    variant.name, static_cast<double>(difference), close ? "ok" : "TOO LARGE",
                    same ? "" : ", BITS DIFFER");
        good = good && close && same;
    }
    return good;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<const Kernels*> kernels = kernels_to_check(argc, argv);
    bool good = true;
    for (const Variant& variant : variants())
        for (const Precision precision : {Precision::fp32, Precision::int8})
            good = check(variant, precision, kernels) && good;
    return good ? 0 : 1;
}
