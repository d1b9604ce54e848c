// The engine as a Python module. It fills arrays of the caller and releases the interpreter lock while it
// computes. Shapes, lengths, ids and layers are checked before any kernel runs, whatever the caller did.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <type_traits>

#include "dispatch.h"
#include "encoder.h"
#include "scanner.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bothways {
namespace {

using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Vector = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Ids = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using Words = nb::ndarray<const std::uint64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Word = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Column = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Counts = nb::ndarray<std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

int check_threads(int threads) {
    if (threads < 1 || threads > 1024)
        throw std::invalid_argument("threads=" + std::to_string(threads) + ": expected 1 to 1024");
    return threads;
}

template <class E>
E enum_value(const char* field, const std::string& name) {
    for (const auto& [known, value] : enum_names(E{}))
        if (name == known) return value;
    throw std::invalid_argument(std::string(field) + "='" + name + "' is not supported by the engine");
}

// Fills a config from a dict with exactly the fields of for_each_field.
EncoderConfig read_config(const nb::dict& fields) {
    EncoderConfig config;
    const auto rest = nb::cast<nb::dict>(fields.attr("copy")());
    for_each_field(config, [&]<class T>(const char* name, T& value) {
        if (!rest.contains(name))
            throw std::invalid_argument(std::string("config field '") + name + "' is missing");
        const nb::object given = rest.attr("pop")(name);
        if constexpr (std::is_enum_v<T>)
            value = enum_value<T>(name, nb::cast<std::string>(given));
        else
            value = nb::cast<T>(given);
    });
    for (const auto& [name, value] : rest)
        throw std::invalid_argument("config field '" + nb::cast<std::string>(name) +
                                    "' is unknown to the engine");
    config.check();
    return config;
}

// An encoder that keeps the arrays it reads in place, the embedding tables, alive.
class PythonEncoder {
public:
    PythonEncoder(const nb::dict& config, std::map<std::string, Floats> weights, bool int8, int threads,
                  const std::string& isa)
        : encoder_(select_kernels(isa), read_config(config), view(weights),
                   int8 ? Precision::int8 : Precision::fp32, check_threads(threads)) {
        for (auto& [name, array] : weights)
            if (name.rfind("embedding.", 0) == 0) tables_.push_back(array);
    }

    std::string isa() const { return encoder_.kernels().name; }
    int threads() const { return encoder_.threads(); }
    std::size_t packed_bytes() const { return encoder_.packed_bytes(); }

    std::size_t workspace_bytes(int tokens, int longest) const {
        if (tokens < 1 || longest < 1 || longest > encoder_.config().max_length)
            throw std::invalid_argument("expected tokens of at least 1 and longest of 1 to max_length");
        return encoder_.workspace_bytes(tokens, longest);
    }

    void pool(const nb::object& values, const Ids& lengths, const nb::object& segments,
              const nb::object& content, const std::vector<std::string>& modes, int skip, Output out) {
        Request request;
        Flags flags;
        if (!content.is_none()) {
            flags = nb::cast<Flags>(content, false);
            if (flags.size() != nb::len(values)) throw std::invalid_argument("expected one flag per token");
        }
        request.pooling = Pooling{read_modes(modes), skip, out.data(), flags.data()};
        run(values, lengths, segments, request, out,
            lengths.size() * modes.size() * static_cast<std::size_t>(encoder_.config().d_model));
    }

    void hidden_states(const nb::object& values, const Ids& lengths, const nb::object& segments,
                       const std::vector<int>& layers, Output out, const nb::object& keys) {
        Request request;
        request.hidden_layers = layers;
        request.hidden = out.data();
        run(values, lengths, segments, request, out,
            layers.size() * nb::len(values) * static_cast<std::size_t>(encoder_.config().d_model), keys);
    }

    void attention(const nb::object& values, const Ids& lengths, const nb::object& segments,
                   const std::vector<int>& layers, Output out) {
        Request request;
        request.attention_layers = layers;
        request.probabilities = out.data();
        const std::size_t length = nb::len(values);
        run(values, lengths, segments, request, out,
            layers.size() * static_cast<std::size_t>(encoder_.config().num_heads) * length * length);
    }

private:
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
        std::vector<PoolingMode> modes;
        for (const std::string& name : names) modes.push_back(enum_value<PoolingMode>("pooling mode", name));
        return modes;
    }

    void run(const nb::object& values, const Ids& lengths, const nb::object& segments,
             const Request& request, const Output& out, std::size_t expected,
             const nb::object& keys = nb::none()) {
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
                throw std::invalid_argument("expected one segment id per token");
            batch.segments = segment_ids.data();
        }
        if (out.size() != expected) throw std::invalid_argument("the output has the wrong size");
        const std::vector<std::int64_t> lengths_copy(lengths.data(), lengths.data() + lengths.size());
        std::vector<std::int64_t> key_counts;
        if (!keys.is_none()) {
            const Ids counts = nb::cast<Ids>(keys, false);
            key_counts.assign(counts.data(), counts.data() + counts.size());
        }
        const nb::gil_scoped_release released;
        batch.set_lengths(encoder_.config(), lengths_copy, tokens);
        if (!key_counts.empty()) batch.set_keys(key_counts);
        encoder_.run(batch, request);
    }

    Encoder encoder_;
    std::vector<Floats> tables_;
};

class PythonScanner {
public:
    PythonScanner(int threads, const std::string& isa)
        : scanner_(select_kernels(isa), check_threads(threads)) {}

    std::string isa() const { return scanner_.kernels().name; }
    int threads() const { return scanner_.threads(); }

    void dots(const Vector& rows, const Vector& queries, const Matrix& out, const Column& squares) {
        if (rows.shape(1) != queries.shape(1))
            throw std::invalid_argument("rows and queries differ in their number of columns");
        if (out.shape(0) != queries.shape(0) || out.shape(1) != rows.shape(0) ||
            squares.shape(0) != rows.shape(0))
            throw std::invalid_argument("the output has the wrong size");
        const auto count = static_cast<std::ptrdiff_t>(rows.shape(0));
        const DotsArgs args{rows.data(),    count,      size(rows.shape(1)), queries.data(),
                            size(queries.shape(0)), out.data(), count,               squares.data()};
        const nb::gil_scoped_release released;
        scanner_.dots(args);
    }

    void hamming(const Words& rows, const Word& query, const Counts& out) {
        if (rows.shape(1) != query.shape(0))
            throw std::invalid_argument("rows and query differ in their number of words");
        if (out.shape(0) != rows.shape(0)) throw std::invalid_argument("the output has the wrong size");
        const HammingArgs args{rows.data(), static_cast<std::ptrdiff_t>(rows.shape(0)), size(rows.shape(1)),
                               query.data(), out.data()};
        const nb::gil_scoped_release released;
        scanner_.hamming(args);
    }

private:
    static int size(std::size_t n) {
        if (n > 1 << 24) throw std::invalid_argument("expected at most 2^24 columns and queries");
        return static_cast<int>(n);
    }

    Scanner scanner_;
};

const char* int8_scheme(const std::string& isa) {
    switch (select_kernels(isa).int8_scheme) {
        case Int8Scheme::sums32: return "sums32";
        case Int8Scheme::sums16: break;
    }
    return "sums16";
}

std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (const Kernels* kernels : available_kernels()) names.emplace_back(kernels->name);
    return names;
}

}  // namespace
}  // namespace bothways

NB_MODULE(_engine, m) {
    using bothways::PythonEncoder;
    using bothways::PythonScanner;
    m.doc() = "The native CPU engine of bothways; use bothways.native.NativeBackend.";
    m.def("available_isas", &bothways::available_isas,
          "Instruction sets that are available on this machine, fastest first.");
    m.def("int8_scheme", &bothways::int8_scheme, "isa"_a,
          "The scheme of int8 products on an instruction set: sums32 or sums16.");
    nb::class_<PythonScanner>(m, "Scanner")
        .def(nb::init<int, const std::string&>(), nb::kw_only(), "threads"_a, "isa"_a)
        .def_prop_ro("isa", &PythonScanner::isa)
        .def_prop_ro("threads", &PythonScanner::threads)
        .def("dots", &PythonScanner::dots, "rows"_a.noconvert(), "queries"_a.noconvert(),
             "out"_a.noconvert(), "squares"_a.noconvert())
        .def("hamming", &PythonScanner::hamming, "rows"_a.noconvert(), "query"_a.noconvert(),
             "out"_a.noconvert());
    nb::class_<PythonEncoder>(m, "Encoder")
        .def(nb::init<const nb::dict&, std::map<std::string, bothways::Floats>, bool, int,
                      const std::string&>(),
             "config"_a, "weights"_a, nb::kw_only(), "int8"_a, "threads"_a, "isa"_a)
        .def_prop_ro("isa", &PythonEncoder::isa)
        .def_prop_ro("threads", &PythonEncoder::threads)
        .def_prop_ro("packed_bytes", &PythonEncoder::packed_bytes)
        .def("workspace_bytes", &PythonEncoder::workspace_bytes, "tokens"_a, "longest"_a)
        .def("pool", &PythonEncoder::pool, "values"_a, "lengths"_a, "segments"_a.none(), "content"_a.none(),
             "modes"_a, "skip"_a, "out"_a)
        .def("hidden_states", &PythonEncoder::hidden_states, "values"_a, "lengths"_a,
             "segments"_a.none(), "layers"_a, "out"_a, "keys"_a.none() = nb::none())
        .def("attention", &PythonEncoder::attention, "values"_a, "lengths"_a, "segments"_a.none(),
             "layers"_a, "out"_a);
}
