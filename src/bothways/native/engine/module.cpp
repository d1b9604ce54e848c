// The engine as a Python module: arrays in, arrays filled, the interpreter lock released while computing.
// Nothing is trusted: shapes, lengths, ids and layers are checked here or just beyond.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>

#include "encoder.h"
#include "dispatch.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bothways {
namespace {

using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Vector = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Ids = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Filled = nb::ndarray<float, nb::c_contig, nb::device::cpu>;

template <class T>
T field(const nb::dict& fields, const char* name) {
    return nb::cast<T>(fields[name]);
}

template <class T>
T choice(const nb::dict& fields, const char* name, std::initializer_list<std::pair<const char*, T>> all) {
    const auto value = field<std::string>(fields, name);
    for (const auto& [label, meaning] : all)
        if (value == label) return meaning;
    throw std::invalid_argument(std::string(name) + "='" + value + "' is not known to the engine");
}

EncoderConfig read_config(const nb::dict& f) {
    EncoderConfig c;
    c.num_layers = field<int>(f, "num_layers");
    c.num_heads = field<int>(f, "num_heads");
    c.d_model = field<int>(f, "d_model");
    c.d_ff = field<int>(f, "d_ff");
    c.max_length = field<int>(f, "max_length");
    c.input = choice<Input>(f, "input", {{"tokens", Input::tokens}, {"vectors", Input::vectors}});
    c.vocab_size = field<int>(f, "vocab_size");
    c.num_channels = field<int>(f, "num_channels");
    c.num_segments = field<int>(f, "num_segments");
    c.embedding_width = field<int>(f, "embedding_width");
    c.embedding_projection = field<bool>(f, "embedding_projection");
    c.embedding_norm = field<bool>(f, "embedding_norm");
    c.rescaled_mask_token = field<int>(f, "rescaled_mask_token");
    c.positions = choice<Positions>(f, "positions",
                                    {{"learned", Positions::learned},
                                     {"sinusoidal", Positions::sinusoidal},
                                     {"rotary", Positions::rotary},
                                     {"relative", Positions::relative},
                                     {"none", Positions::none}});
    c.position_table = field<bool>(f, "position_table");
    c.position_offset = field<int>(f, "position_offset");
    c.rotary_frequencies = field<std::vector<std::vector<double>>>(f, "rotary_frequencies");
    c.relative_buckets = field<int>(f, "relative_buckets");
    c.relative_max_distance = field<int>(f, "relative_max_distance");
    c.norm = choice<NormKind>(f, "norm", {{"layer", NormKind::layer}, {"rms", NormKind::rms}});
    c.norm_eps = field<float>(f, "norm_eps");
    c.norm_placement = choice<NormPlacement>(
        f, "norm_placement", {{"post", NormPlacement::post}, {"pre", NormPlacement::pre}});
    c.first_attention_norm = field<bool>(f, "first_attention_norm");
    c.final_norm = field<bool>(f, "final_norm");
    c.activation = choice<Activation>(f, "activation",
                                      {{"relu", Activation::relu},
                                       {"gelu", Activation::gelu},
                                       {"gelu_tanh", Activation::gelu_tanh},
                                       {"silu", Activation::silu}});
    c.gated = field<bool>(f, "gated");
    c.window = field<std::vector<int>>(f, "window");
    c.block = field<std::vector<int>>(f, "block");

    const auto layers = static_cast<std::size_t>(c.num_layers);
    bool sound = c.num_layers >= 1 && c.num_heads >= 1 && c.d_model >= c.num_heads &&
                 c.d_model % c.num_heads == 0 && c.d_ff >= 1 && c.max_length >= 1 &&
                 c.embedding_width >= 1 && c.position_offset >= 0 && c.num_segments >= 0 &&
                 c.window.size() == layers &&
                 c.block.size() == layers && c.max_length < (1 << 24);
    for (const int block : c.block) sound = sound && block >= 0 && block < c.num_layers;
    if (c.positions == Positions::rotary) {
        sound = sound && c.rotary_frequencies.size() == layers;
        for (const auto& frequencies : c.rotary_frequencies)
            sound = sound && 2 * static_cast<int>(frequencies.size()) == c.head_width();
    }
    if (!sound) throw std::invalid_argument("the encoder config contradicts itself");
    return c;
}

// The encoder, and the arrays that it reads in place.
class PythonEncoder {
public:
    PythonEncoder(const nb::dict& config, std::map<std::string, Floats> weights, bool int8, int threads,
                  const std::string& isa)
        : encoder_(choose(isa), read_config(config), view(weights),
                   int8 ? Precision::int8 : Precision::fp32, check_threads(threads)) {
        for (auto& [name, array] : weights)
            if (name.rfind("embedding.", 0) == 0) tables_.push_back(array);
    }

    std::string isa() const { return encoder_.kernels().name; }
    int threads() const { return encoder_.threads(); }
    std::size_t packed_bytes() const { return encoder_.packed_bytes(); }

    std::size_t workspace_bytes(int tokens, int longest) const {
        if (tokens < 1 || longest < 1 || longest > encoder_.config().max_length)
            throw std::invalid_argument("expected at least one token, and no more than max_length");
        return encoder_.workspace_bytes(tokens, longest);
    }

    void pool(const nb::object& values, const Ids& lengths, const nb::object& segments,
              const std::vector<std::string>& modes, int skip, Filled out) {
        Request request;
        request.pooling = Pooling{read_modes(modes), skip, out.data()};
        run(values, lengths, segments, request, out,
            lengths.size() * modes.size() * static_cast<std::size_t>(encoder_.config().d_model));
    }

    void hidden_states(const nb::object& values, const Ids& lengths, const nb::object& segments,
                       const std::vector<int>& layers, Filled out) {
        Request request;
        request.hidden_layers = layers;
        request.hidden = out.data();
        run(values, lengths, segments, request, out,
            layers.size() * nb::len(values) * static_cast<std::size_t>(encoder_.config().d_model));
    }

    void attention(const nb::object& values, const Ids& lengths, const nb::object& segments,
                   const std::vector<int>& layers, Filled out) {
        Request request;
        request.attention_layers = layers;
        request.probabilities = out.data();
        const std::size_t length = nb::len(values);
        run(values, lengths, segments, request, out,
            layers.size() * static_cast<std::size_t>(encoder_.config().num_heads) * length * length);
    }

private:
    static int check_threads(int threads) {
        if (threads < 1 || threads > 1024)
            throw std::invalid_argument("threads=" + std::to_string(threads) + ": expected 1 to 1024");
        return threads;
    }

    static Weights view(const std::map<std::string, Floats>& arrays) {
        std::map<std::string, Tensor> tensors;
        for (const auto& [name, array] : arrays) {
            Tensor tensor{array.data(), {}};
            for (std::size_t d = 0; d < array.ndim(); ++d) tensor.shape.push_back(array.shape(d));
            tensors[name] = tensor;
        }
        return Weights(std::move(tensors));
    }

    static std::vector<PoolingMode> read_modes(const std::vector<std::string>& names) {
        static const std::map<std::string, PoolingMode> known = {
            {"cls", PoolingMode::cls},
            {"max", PoolingMode::max},
            {"mean", PoolingMode::mean},
            {"mean_sqrt_len", PoolingMode::mean_sqrt_len},
            {"weighted_mean", PoolingMode::weighted_mean},
            {"last", PoolingMode::last}};
        std::vector<PoolingMode> modes;
        for (const std::string& name : names) {
            const auto found = known.find(name);
            if (found == known.end())
                throw std::invalid_argument("pooling mode '" + name + "' is not known to the engine");
            modes.push_back(found->second);
        }
        return modes;
    }

    void run(const nb::object& values, const Ids& lengths, const nb::object& segments,
             const Request& request, const Filled& out, std::size_t expected) {
        Batch batch;
        const auto tokens = static_cast<std::int64_t>(nb::len(values));
        Ids ids, segment_ids;
        Vector vectors;
        if (encoder_.config().input == Input::tokens) {
            ids = nb::cast<Ids>(values, false);
            batch.ids = ids.data();
        } else {
            vectors = nb::cast<Vector>(values, false);
            if (vectors.shape(1) != static_cast<std::size_t>(encoder_.config().num_channels))
                throw std::invalid_argument("vectors have the wrong number of channels");
            batch.vectors = vectors.data();
        }
        if (!segments.is_none()) {
            segment_ids = nb::cast<Ids>(segments, false);
            if (static_cast<std::int64_t>(segment_ids.size()) != tokens)
                throw std::invalid_argument("a batch needs as many segment ids as tokens");
            batch.segments = segment_ids.data();
        }
        if (out.size() != expected) throw std::invalid_argument("the output has the wrong size");
        const std::vector<std::int64_t> all(lengths.data(), lengths.data() + lengths.size());
        const nb::gil_scoped_release released;
        batch.check(encoder_.config(), all, tokens);
        encoder_.run(batch, request);
    }

    Encoder encoder_;
    std::vector<Floats> tables_;
};

std::vector<std::string> isas() {
    std::vector<std::string> names;
    for (const Kernels* kernels : runnable()) names.emplace_back(kernels->name);
    return names;
}

// Operations a second of one thread: the best of many bursts, so that other processes matter little.
std::pair<double, double> peaks(const std::string& isa) {
    using Clock = std::chrono::steady_clock;
    const Kernels& kernels = choose(isa);
    const nb::gil_scoped_release released;
    const auto best = [](double (*peak)(long, float*)) {
        double most = 0;
        for (int burst = 0; burst < 400; ++burst) {
            float result[12] = {1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
            const auto start = Clock::now();
            const double done = peak(20000, result);
            const std::chrono::duration<double> seconds = Clock::now() - start;
            most = std::max(most, done / seconds.count());
        }
        return most;
    };
    return {best(kernels.fma_peak), best(kernels.dot_peak)};
}

}  // namespace
}  // namespace bothways

NB_MODULE(_engine, m) {
    using bothways::PythonEncoder;
    m.doc() = "The native CPU engine of bothways; use bothways.native.NativeBackend.";
    m.def("isas", &bothways::isas, "Instruction sets that can run here, best first.");
    m.def("peaks", &bothways::peaks, "isa"_a,
          "Operations a second that one thread can do in products of float32, and of int8.");
    nb::class_<PythonEncoder>(m, "Encoder")
        .def(nb::init<const nb::dict&, std::map<std::string, bothways::Floats>, bool, int,
                      const std::string&>(),
             "config"_a, "weights"_a, nb::kw_only(), "int8"_a, "threads"_a, "isa"_a)
        .def_prop_ro("isa", &PythonEncoder::isa)
        .def_prop_ro("threads", &PythonEncoder::threads)
        .def_prop_ro("packed_bytes", &PythonEncoder::packed_bytes)
        .def("workspace_bytes", &PythonEncoder::workspace_bytes, "tokens"_a, "longest"_a)
        .def("pool", &PythonEncoder::pool, "values"_a, "lengths"_a, "segments"_a.none(), "modes"_a,
             "skip"_a, "out"_a)
        .def("hidden_states", &PythonEncoder::hidden_states, "values"_a, "lengths"_a,
             "segments"_a.none(), "layers"_a, "out"_a)
        .def("attention", &PythonEncoder::attention, "values"_a, "lengths"_a, "segments"_a.none(),
             "layers"_a, "out"_a);
}
