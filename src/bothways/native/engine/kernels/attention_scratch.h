// Tile sizes and scratch memory of one attention head.
#pragma once

#include "qk_sums16.h"
#include "values_int16.h"

namespace bothways {
namespace {

template <Simd S>
struct AttentionTiles {
    static constexpr int lanes = S::lanes;
    static constexpr int nr = lanes * S::NR;
    static constexpr int kc = nr * (128 / nr);                           // keys per tile
    static constexpr int padded_mr = (S::MR + lanes - 1) / lanes * lanes;  // rows of per-row arrays
    // Values of longer sequences are copied together: rows whose distance is near a power of 2 compete for
    // the same cache sets.
    static constexpr int max_strided_values = 64;
    // In shorter sequences quantizing takes longer than it saves.
    static constexpr int min_quantized_length = S::int8_scheme == Int8Scheme::sums32 ? 48 : 128;
    static_assert(kc <= WeightedSum16::tile);

    // Queries whose distance scores are in memory at once; more make fewer products in vain.
    static constexpr int distance_queries = (128 + S::MR - 1) / S::MR * S::MR;

    static int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }
    // Floats from one query to the next of the distance scores, and of their products by column. Not near a
    // power of 2, for the sake of cache sets.
    static std::ptrdiff_t distance_stride(int length) { return round_up(length, nr) + lanes; }
    static int column_stride(int columns) { return round_up(columns, nr) + nr + lanes; }
    static bool copies_values(int length) { return length > max_strided_values; }
    // Scores come from integers where the machine has dot products of 8 bits, or adds in 16 bits.
    static constexpr bool has_sums16_scores = S::int8_scheme == Int8Scheme::sums16;
    static constexpr bool has_integer_scores = S::has_dot4 || has_sums16_scores;
    static bool is_quantized(const AttentionArgs& args) {
        return args.quantized && args.length >= min_quantized_length;
    }
    static bool quantizes_scores(const AttentionArgs& args) { return has_integer_scores && is_quantized(args); }
    static bool quantizes_values(const AttentionArgs& args) { return S::has_dot2 && is_quantized(args); }
};

// Offsets, in floats, of the arrays in a head's scratch memory, and their total size.
template <Simd S>
struct ScratchLayout {
    using Tiles = AttentionTiles<S>;

    std::ptrdiff_t keys;  // (panels, width, nr) in fp32; codes (panels, quads, nr, 4)
    std::ptrdiff_t key_scale, key_correction;    // sums32: (panels, nr)
    std::ptrdiff_t values;                       // (length, width rounded up), in fp32 for long sequences
    std::ptrdiff_t value_scale;                  // 16 bits: (width rounded up)
    std::ptrdiff_t scores;                       // (padded_mr, kc)
    std::ptrdiff_t weights;                      // 16 bits: (padded_mr, kc)
    std::ptrdiff_t row_max;                      // (padded_mr, lanes)
    std::ptrdiff_t queries;                      // codes: (padded_mr, query_stride)
    std::ptrdiff_t query_scale;                  // codes: (padded_mr)
    std::ptrdiff_t distance_scores;              // (distance_queries, distance_stride), if there are columns
    std::ptrdiff_t columns;                      // (MR or lanes, column_stride), if there are columns
    std::ptrdiff_t size;

    ScratchLayout(int length, int width, int num_columns) {
        const std::ptrdiff_t padded_keys = Tiles::round_up(length, Tiles::nr);
        const int padded_width = Tiles::round_up(width, Tiles::lanes);
        const int quads = QkInt8<S>::quads(width);
        const int per_key = Tiles::has_sums16_scores ? QkSums16<S>::floats_per_key(width) : quads + 2;
        keys = 0;
        key_scale = padded_keys * quads;
        key_correction = key_scale + padded_keys;
        values = padded_keys * (width > per_key ? width : per_key);
        value_scale = values + std::ptrdiff_t(Tiles::round_up(length, 2)) * padded_width;
        scores = value_scale + padded_width;
        weights = scores + Tiles::padded_mr * Tiles::kc;
        row_max = weights + Tiles::padded_mr * Tiles::kc / 2;
        queries = row_max + Tiles::padded_mr * Tiles::lanes;
        query_scale = queries + Tiles::padded_mr * (Tiles::round_up(width, QkSums16<S>::group) / 4);
        distance_scores = query_scale + Tiles::padded_mr;
        columns = distance_scores + (num_columns ? Tiles::distance_queries * Tiles::distance_stride(length) : 0);
        size = columns + (num_columns ? std::ptrdiff_t(Tiles::padded_mr) * Tiles::column_stride(num_columns) : 0);
    }
};

// The arrays themselves; see ScratchLayout for their shapes.
template <Simd S>
struct Scratch {
    float* keys;
    typename QkInt8<S>::Keys int8_keys;
    typename QkSums16<S>::Keys sums16_keys;
    float* values;
    ValuesInt16<S> int16_values;
    float* scores;
    std::int16_t* int16_weights;
    float* row_max;
    std::uint8_t* queries;
    float *query_scale, *distance_scores, *columns;

    explicit Scratch(const AttentionArgs& args)
        : Scratch(args, args.scratch, {args.length, args.width, args.distances.columns}) {}
    Scratch(const AttentionArgs& args, float* base, const ScratchLayout<S>& at)
        : keys(base + at.keys),
          int8_keys{reinterpret_cast<std::int8_t*>(base + at.keys), base + at.key_scale,
                    base + at.key_correction},
          sums16_keys(base + at.keys, AttentionTiles<S>::round_up(args.length, AttentionTiles<S>::nr), args.width),
          values(base + at.values),
          int16_values{reinterpret_cast<std::int16_t*>(base + at.values), base + at.value_scale},
          scores(base + at.scores), int16_weights(reinterpret_cast<std::int16_t*>(base + at.weights)),
          row_max(base + at.row_max), queries(reinterpret_cast<std::uint8_t*>(base + at.queries)),
          query_scale(base + at.query_scale),
          distance_scores(base + at.distance_scores), columns(base + at.columns) {}
};

}  // namespace
}  // namespace bothways
