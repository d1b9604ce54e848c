// Prints the peak arithmetic of this machine: operations per second of `threads` threads together, in fp32
// multiply-adds and in int8 dot products, one try per line.
//
//     peaks [threads] [tries] [instruction set]
#include "peaks.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

#include "../dispatch.h"

namespace bothways {

#define X(isa) extern const Peaks peaks_##isa;
#include "isas.inc"
#undef X

namespace {

#define X(isa) &peaks_##isa,
const Peaks* const all_peaks[] = {
#include "isas.inc"
};
#undef X

// The fastest of many short bursts: other processes can only slow one down.
double best_rate(double (*loop)(long, float*)) {
    using Clock = std::chrono::steady_clock;
    double best = 0;
    for (int burst = 0; burst < 400; ++burst) {
        float data[Peaks::chains] = {1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        const auto start = Clock::now();
        const double operations = loop(20000, data);
        const std::chrono::duration<double> seconds = Clock::now() - start;
        best = std::max(best, operations / seconds.count());
    }
    return best;
}

double total_rate(int threads, double (*loop)(long, float*)) {
    std::vector<double> rates(static_cast<std::size_t>(threads));
    std::vector<std::thread> pool;
    for (double& rate : rates) pool.emplace_back([&rate, loop] { rate = best_rate(loop); });
    for (std::thread& thread : pool) thread.join();
    double total = 0;
    for (const double rate : rates) total += rate;
    return total;
}

}  // namespace
}  // namespace bothways

int main(int argc, char** argv) {
    using namespace bothways;
    const int threads = argc > 1 ? std::max(std::atoi(argv[1]), 1) : 1;
    const int tries = argc > 2 ? std::atoi(argv[2]) : 1;
    try {
        const char* isa = select_kernels(argc > 3 ? argv[3] : "").name;
        for (const Peaks* peaks : all_peaks)
            if (std::strcmp(peaks->isa, isa) == 0)
                for (int i = 0; i < tries; ++i)
                    std::printf("%s fp32 %.6g int8 %.6g\n", isa, total_rate(threads, peaks->fma),
                                total_rate(threads, peaks->dot4));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "peaks: %s\n", error.what());
        return 2;
    }
    return 0;
}
