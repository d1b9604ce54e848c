#include "scanner.h"

#include <algorithm>

namespace bothways {

// Below this, waking threads takes longer than the scan.
constexpr std::size_t min_bytes_per_thread = 1 << 18;

Scanner::Scanner(const Kernels& kernels, int threads)
    : kernels_(kernels), threads_(threads), execution_([threads] {
          return std::make_unique<Execution>(threads);
      }) {}

template <class F>
void Scanner::share_rows(std::ptrdiff_t rows, std::size_t bytes, const F& work) {
    const std::size_t useful = std::max<std::size_t>(1, bytes / min_bytes_per_thread);
    const int members = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(threads_), useful));
    if (members == 1) return work(std::ptrdiff_t{0}, rows);
    Execution& execution = execution_.get();
    const std::lock_guard<std::mutex> lock(execution.mutex);
    execution.pool.run(members, [&](int rank) noexcept {
        work(rows * rank / members, rows * (rank + 1) / members);
    });
}

void Scanner::dots(const DotsArgs& args) {
    const std::size_t row_bytes = static_cast<std::size_t>(args.width) * sizeof(float);
    const std::size_t passes = static_cast<std::size_t>(std::max(1, args.queries / 4));
    const std::size_t bytes = static_cast<std::size_t>(args.rows) * row_bytes * passes;
    share_rows(args.rows, bytes, [&](std::ptrdiff_t first, std::ptrdiff_t last) {
        DotsArgs part = args;
        part.x += first * args.width;
        part.rows = last - first;
        part.dots += first;
        if (part.squares) part.squares += first;
        kernels_.dots(part);
    });
}

void Scanner::hamming(const HammingArgs& args) {
    const std::size_t bytes =
        static_cast<std::size_t>(args.rows) * static_cast<std::size_t>(args.words) * sizeof(std::uint64_t);
    share_rows(args.rows, bytes, [&](std::ptrdiff_t first, std::ptrdiff_t last) {
        HammingArgs part = args;
        part.x += first * args.words;
        part.rows = last - first;
        part.distances += first;
        kernels_.hamming(part);
    });
}

}  // namespace bothways
