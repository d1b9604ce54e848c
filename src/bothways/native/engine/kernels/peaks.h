// The most that the machine can do: the instructions of the products alone, on registers.
#pragma once

#include "gemm.h"

namespace bothways {
namespace {

template <class S>
struct Peaks {
    static constexpr int chains = 12;  // enough to hide the latency of one behind the others

    // Returns the number of floating-point operations done, a multiply-add counting as two; `result`
    // keeps the compiler from leaving them out.
    static double fma(long rounds, float* result) {
        typename S::V sum[chains];
        for (int c = 0; c < chains; ++c) sum[c] = S::set(result[c]);
        const typename S::V by = S::set(result[0]), plus = S::set(result[1]);
        for (long round = 0; round < rounds; ++round)
            for (int c = 0; c < chains; ++c) sum[c] = S::fma(sum[c], by, plus);
        for (int c = 0; c < chains; ++c) result[c] = S::sum(sum[c]);
        return 2.0 * S::lanes * chains * static_cast<double>(rounds);
    }

    // The same for products of bytes.
    static double dot(long rounds, float* result) {
        constexpr int many = 64;
        alignas(64) std::int8_t weights[4 * S::lanes];
        std::uint8_t codes[many * 4];
        for (int i = 0; i < 4 * S::lanes; ++i) weights[i] = static_cast<std::int8_t>(result[i % chains]);
        for (int i = 0; i < many * 4; ++i) codes[i] = static_cast<std::uint8_t>(result[i % chains] + i);
        const auto column = S::weights(weights);
        auto row = S::four_codes(codes);
        typename S::I sum[chains];
        for (int c = 0; c < chains; ++c) sum[c] = S::izero();
        for (long round = 0; round < rounds; ++round) {
            // A product of several instructions needs other codes each time, or the compiler would do
            // all of them but the sum once, before the loop.
            if constexpr (S::has_dot) {
                for (int c = 0; c < chains; ++c) sum[c] = S::dot(sum[c], row, column);
            } else {
                for (int c = 0; c < chains; ++c) {
                    if (c % 4 == 0) row = S::four_codes(codes + 4 * ((round + c) % many));
                    sum[c] = S::dot(sum[c], row, S::weights(weights));
                }
            }
        }
        for (int c = 0; c < chains; ++c) result[c] = S::sum(S::to_float(sum[c]));
        return 2.0 * 4 * S::lanes * chains * static_cast<double>(rounds);
    }
};

}  // namespace
}  // namespace bothways
