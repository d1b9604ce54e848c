// Tile sizes and scratch memory of one attention head.
#pragma once

#include "qk_int8.h"

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
    static constexpr int min_int8_length = 48;

    // Queries whose distance scores are in memory at once; more make fewer products in vain.
    static constexpr int distance_queries = (128 + S::MR - 1) / S::MR * S::MR;

    static int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }
    // Floats from one query to the next of the distance scores, and of their products by column. Not near a
    // power of 2, for the sake of cache sets.
    static std::ptrdiff_t distance_stride(int length) { return round_up(length, nr) + lanes; }
    static int column_stride(int columns) { return round_up(columns, nr) + nr + lanes; }
    static bool copies_values(int length) { return length > max_strided_values; }
    static bool uses_int8_scores(const AttentionArgs& args) {
        return S::has_dot4 && args.int8_scores && args.length >= min_int8_length;
    }
};

// Offsets, in floats, of the arrays in a head's scratch memory, and their total size.
template <Simd S>
struct ScratchLayout {
    using Tiles = AttentionTiles<S>;

    std::ptrdiff_t keys;  // (panels, width, nr) in fp32; in int8 (panels, quads, nr, 4)
    std::ptrdiff_t key_scale, key_correction;    // int8: (panels, nr)
    std::ptrdiff_t values;                       // (length, width rounded up), for long sequences
    std::ptrdiff_t scores;                       // (padded_mr, kc)
    std::ptrdiff_t row_max;                      // (padded_mr, lanes)
    std::ptrdiff_t queries;                      // int8: (padded_mr, query_stride) bytes
    std::ptrdiff_t query_scale;                  // int8: (padded_mr)
    std::ptrdiff_t distance_scores;              // (distance_queries, distance_stride), if there are columns
    std::ptrdiff_t columns;                      // (MR or lanes, column_stride), if there are columns
    std::ptrdiff_t size;

    ScratchLayout(int length, int width, int num_columns) {
        const std::ptrdiff_t padded_keys = Tiles::round_up(length, Tiles::nr);
        const int quads = QkInt8<S>::quads(width), int8_width = quads + 2;
        keys = 0;
        key_scale = padded_keys * quads;
        key_correction = key_scale + padded_keys;
        values = padded_keys * (width > int8_width ? width : int8_width);
        scores = values + (Tiles::copies_values(length)
                               ? std::ptrdiff_t(length) * Tiles::round_up(width, Tiles::lanes)
                               : 0);
        row_max = scores + Tiles::padded_mr * Tiles::kc;
        queries = row_max + Tiles::padded_mr * Tiles::lanes;
        query_scale = queries + Tiles::padded_mr * (Tiles::round_up(width, 4 * Tiles::lanes) / 4);
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
    float *values, *scores, *row_max;
    std::uint8_t* queries;
    float *query_scale, *distance_scores, *columns;

    explicit Scratch(const AttentionArgs& args)
        : Scratch(args.scratch, {args.length, args.width, args.distances.columns}) {}
    Scratch(float* base, const ScratchLayout<S>& at)
        : keys(base + at.keys),
          int8_keys{reinterpret_cast<std::int8_t*>(base + at.keys), base + at.key_scale,
                    base + at.key_correction},
          values(base + at.values), scores(base + at.scores), row_max(base + at.row_max),
          queries(reinterpret_cast<std::uint8_t*>(base + at.queries)), query_scale(base + at.query_scale),
          distance_scores(base + at.distance_scores), columns(base + at.columns) {}
};

}  // namespace
}  // namespace bothways
