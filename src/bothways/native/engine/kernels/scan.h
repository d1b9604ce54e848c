// Scans of stored vectors: dot products with queries, and Hamming distances of sign bits.
//
// The bits of a result depend on its row and its query alone: each sum runs over the columns in one order,
// whatever the tile.
#pragma once

#include <bit>

#include "../kernels.h"
#include "../simd/simd.h"
#include "compiler.h"

namespace bothways {
namespace {

template <Simd S>
struct Scan {
    using V = typename S::F32;
    static constexpr int MR = 4, MQ = 3;            // rows and queries of a tile: accumulators in registers
    static constexpr std::ptrdiff_t row_block = 16;  // rows that stay in the L1 cache for all queries

    static void dots(const DotsArgs& args) {
        for (std::ptrdiff_t first = 0; first < args.rows; first += row_block) {
            const std::ptrdiff_t last = first + row_block < args.rows ? first + row_block : args.rows;
            if (args.squares)
                for_each_row_tile(first, last, [&]<int R>(std::ptrdiff_t row) { squares<R>(args, row); });
            for (int query = 0; query < args.queries; query += MQ)
                for_each_row_tile(first, last, [&]<int R>(std::ptrdiff_t row) {
                    switch (args.queries - query) {
                        case 1: return tile<R, 1>(args, row, query);
                        case 2: return tile<R, 2>(args, row, query);
                        default: return tile<R, MQ>(args, row, query);
                    }
                });
        }
    }

    static void hamming(const HammingArgs& args) {
        switch (args.words) {  // of vectors of 256, 384, 512, 768 and 1024 dimensions
            case 4: return hamming_of<4>(args);
            case 6: return hamming_of<6>(args);
            case 8: return hamming_of<8>(args);
            case 12: return hamming_of<12>(args);
            case 16: return hamming_of<16>(args);
            default: return hamming_of<0>(args);
        }
    }

private:
    // Unrolled for a number of words that is known when compiling; 0 for any.
    template <int W>
    static void hamming_of(const HammingArgs& args) {
        const int words = W ? W : args.words;
        for (std::ptrdiff_t row = 0; row < args.rows; ++row) {
            const std::uint64_t* bits = args.x + row * words;
            int distance = 0;
            for (int w = 0; w < words; ++w) distance += std::popcount(bits[w] ^ args.query[w]);
            args.distances[row] = distance;
        }
    }

    template <class F>
    static void for_each_row_tile(std::ptrdiff_t first, std::ptrdiff_t last, F f) {
        std::ptrdiff_t row = first;
        for (; row + MR <= last; row += MR) f.template operator()<MR>(row);
        for (; row < last; ++row) f.template operator()<1>(row);
    }

    // Calls f(column, load) for each vector of a row, where load(p) reads the vector at p.
    template <class F>
    static void for_each_vector(int width, F f) {
        int column = 0;
        for (; column + S::lanes <= width; column += S::lanes)
            f(column, [](const float* p) { return S::load(p); });
        if (column < width)
            f(column, [rest = width - column](const float* p) { return S::load_partial(p, rest); });
    }

    template <int R, int Q>
    static void tile(const DotsArgs& args, std::ptrdiff_t row, int query) {
        const float* x = args.x + row * args.width;
        const float* y = args.query + std::ptrdiff_t(query) * args.width;
        V acc[R][Q];
        for (auto& of_row : acc)
            for (V& v : of_row) v = S::zero();
        for_each_vector(args.width, [&](int column, auto load) {
            V of_query[Q];
            for (int q = 0; q < Q; ++q) of_query[q] = load(y + std::ptrdiff_t(q) * args.width + column);
            for (int r = 0; r < R; ++r) {
                const V of_row = load(x + std::ptrdiff_t(r) * args.width + column);
                for (int q = 0; q < Q; ++q) acc[r][q] = S::fma(of_row, of_query[q], acc[r][q]);
            }
        });
        for (int r = 0; r < R; ++r)
            for (int q = 0; q < Q; ++q)
                args.dots[(query + q) * args.dots_stride + row + r] = S::reduce_add(acc[r][q]);
    }

    template <int R>
    static void squares(const DotsArgs& args, std::ptrdiff_t row) {
        const float* x = args.x + row * args.width;
        V acc[R];
        for (V& v : acc) v = S::zero();
        for_each_vector(args.width, [&](int column, auto load) {
            for (int r = 0; r < R; ++r) {
                const float* p = x + std::ptrdiff_t(r) * args.width + column;
                BOTHWAYS_PREFETCH(p + row_block * args.width);  // the next block: rows are short
                const V of_row = load(p);
                acc[r] = S::fma(of_row, of_row, acc[r]);
            }
        });
        for (int r = 0; r < R; ++r) args.squares[row + r] = S::reduce_add(acc[r]);
    }
};

}  // namespace
}  // namespace bothways
