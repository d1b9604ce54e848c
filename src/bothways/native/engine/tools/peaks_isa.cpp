// The peak loops of one instruction set; engine.cmake compiles this file once per set.
#include BOTHWAYS_SIMD_HEADER

#include "../simd/simd.h"
#include "peaks.h"

namespace bothways {
namespace {

template <Simd S>
struct PeakLoops {
    static constexpr int chains = Peaks::chains;

    static double fma(long rounds, float* data) {
        typename S::F32 acc[chains];
        for (int c = 0; c < chains; ++c) acc[c] = S::broadcast(data[c]);
        const typename S::F32 factor = S::broadcast(data[0]), term = S::broadcast(data[1]);
        for (long round = 0; round < rounds; ++round)
            for (int c = 0; c < chains; ++c) acc[c] = S::fma(acc[c], factor, term);
        for (int c = 0; c < chains; ++c) data[c] = S::reduce_add(acc[c]);
        return 2.0 * S::lanes * chains * static_cast<double>(rounds);
    }

    static double dot4(long rounds, float* data) {
        constexpr int quads = 64;
        alignas(64) std::int8_t weights[4 * S::lanes];
        std::uint8_t q8[quads * 4];
        for (int i = 0; i < 4 * S::lanes; ++i) weights[i] = static_cast<std::int8_t>(data[i % chains]);
        for (int i = 0; i < quads * 4; ++i) q8[i] = static_cast<std::uint8_t>(data[i % chains] + float(i));
        const auto b = S::load_i8(weights);
        auto a = S::broadcast4(q8);
        if constexpr (S::int8_scheme == Int8Scheme::sums16) {
            typename S::I16 sums[chains];
            for (int c = 0; c < chains; ++c) sums[c] = S::zero_i16();
            for (long round = 0; round < rounds; ++round)
                for (int c = 0; c < chains; ++c) sums[c] = S::madd_pairs(sums[c], a, b);
            for (int c = 0; c < chains; ++c) data[c] = S::reduce_add(S::to_float(S::add_pairs(sums[c])));
            return 2.0 * 4 * S::lanes * chains * static_cast<double>(rounds);
        }
        if constexpr (RowPairSimd<S>) {
            typename S::I32 sums[chains];
            for (int c = 0; c < chains; ++c) sums[c] = S::zero_i32();
            for (long round = 0; round < rounds; ++round)
                for (int c = 0; c < chains; ++c) sums[c] = S::dot8x2x2(sums[c], a, b);
            for (int c = 0; c < chains; ++c) data[c] = S::reduce_add(S::to_float(sums[c]));
            return 2.0 * 8 * S::lanes * chains * static_cast<double>(rounds);
        }
        typename S::I32 acc[chains];
        for (int c = 0; c < chains; ++c) acc[c] = S::zero_i32();
        for (long round = 0; round < rounds; ++round) {
            if constexpr (S::has_dot4) {
                for (int c = 0; c < chains; ++c) acc[c] = S::dot4(acc[c], a, b);
            } else {
                // A dot4 of several instructions needs new operands each time: of constant ones, the
                // compiler would hoist all but the addition out of the loop.
                for (int c = 0; c < chains; ++c) {
                    if (c % 4 == 0) a = S::broadcast4(q8 + 4 * ((round + c) % quads));
                    acc[c] = S::dot4(acc[c], a, S::load_i8(weights));
                }
            }
        }
        for (int c = 0; c < chains; ++c) data[c] = S::reduce_add(S::to_float(acc[c]));
        return 2.0 * 4 * S::lanes * chains * static_cast<double>(rounds);
    }
};

}  // namespace

#define BOTHWAYS_CONCAT_(a, b) a##b
#define BOTHWAYS_CONCAT(a, b) BOTHWAYS_CONCAT_(a, b)
extern const Peaks BOTHWAYS_CONCAT(peaks_, BOTHWAYS_ISA);
constinit const Peaks BOTHWAYS_CONCAT(peaks_, BOTHWAYS_ISA) = {
    BOTHWAYS_SIMD::name, PeakLoops<BOTHWAYS_SIMD>::fma, PeakLoops<BOTHWAYS_SIMD>::dot4};

}  // namespace bothways
