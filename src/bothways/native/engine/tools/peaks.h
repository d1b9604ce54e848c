// Peak arithmetic of one instruction set: its multiply-add and its int8 dot product, on registers alone.
#pragma once

namespace bothways {

struct Peaks {
    static constexpr int chains = 12;  // independent accumulators: enough to hide an instruction's latency

    const char* isa;
    // Both run `rounds` times over all chains and return the number of operations; a multiply-add counts as
    // two. `data` (chains) supplies operands and receives results, so that the compiler keeps the loop.
    double (*fma)(long rounds, float* data);
    double (*dot4)(long rounds, float* data);
};

}  // namespace bothways
