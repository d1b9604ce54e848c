// Scans of stored vectors with a pool of threads.
#pragma once

#include <mutex>

#include "forks.h"
#include "kernels.h"
#include "threads.h"

namespace bothways {

class Scanner {
public:
    Scanner(const Kernels& kernels, int threads);

    const Kernels& kernels() const { return kernels_; }
    int threads() const { return threads_; }

    // Each thread takes a share of the rows; results do not depend on the number of threads. Throw
    // ThreadStartError. Concurrent calls run one after the other, and a forked child starts its own threads.
    void dots(const DotsArgs& args);
    void hamming(const HammingArgs& args);

private:
    struct Execution {
        explicit Execution(int threads) : pool(threads) {}
        std::mutex mutex;
        ThreadPool pool;
    };
    // Calls work(first, last) for the rows of each thread; `bytes` are those that all rows take.
    template <class F>
    void share_rows(std::ptrdiff_t rows, std::size_t bytes, const F& work);

    const Kernels& kernels_;
    const int threads_;
    PerProcess<Execution> execution_;
};

}  // namespace bothways
