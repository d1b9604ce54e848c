#include "threads.h"

#include <chrono>
#include <string>
#include <system_error>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace bothways {

namespace {

using std::chrono::microseconds;

// Waits for other members of a team are short: spin before sleeping.
constexpr microseconds spin_for_members{20};
// Between calls, Python reads the next text and returns the last vector, in less than 100 microseconds. Waking a
// thread that sleeps takes about 30.
constexpr microseconds spin_for_work{200};

void cpu_relax() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
    asm volatile("yield");
#endif
}

// Returns when `value` differs from `old`. Spins for a time, without system calls, then sleeps.
void wait_for_change(const std::atomic<unsigned>& value, unsigned old, microseconds spin) {
    using Clock = std::chrono::steady_clock;  // a pause takes 1 to 140 cycles, so pauses do not measure time
    const Clock::time_point end = Clock::now() + spin;
    do {
        for (int i = 0; i < 32; ++i) {
            if (value.load(std::memory_order_acquire) != old) return;
            cpu_relax();
        }
    } while (Clock::now() < end);
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

void Barrier::wait() {
    const unsigned round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
        arrived_.store(0, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        round_.notify_all();
    } else {
        wait_for_change(round_, round, spin_for_members);
    }
}

struct ThreadPool::State {
    std::vector<std::thread> threads;
    std::atomic<unsigned> call{0};  // counts calls of run(); threads wait for it to change
    std::atomic<unsigned> busy{0};  // threads that have not finished this call
    const std::function<void(int)>* work = nullptr;
    int members = 0;
    bool stop = false;

    ~State() {
        stop = true;
        call.fetch_add(1, std::memory_order_release);
        call.notify_all();
        for (std::thread& thread : threads) thread.join();
    }

    void serve(int rank) {
        unsigned seen = 0;
        while (true) {
            wait_for_change(call, seen, spin_for_work);
            ++seen;
            if (stop) return;
            if (rank < members) (*work)(rank);
            if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_all();
        }
    }
};

ThreadPool::ThreadPool(int size) : size_(size) {}

ThreadPool::~ThreadPool() = default;

void ThreadPool::start() {
    if (state_) return;
    auto state = std::make_unique<State>();  // joins the threads that did start, if another cannot
    state->threads.reserve(static_cast<std::size_t>(size_ - 1));
    for (int rank = 1; rank < size_; ++rank) {
        try {
            state->threads.emplace_back([state = state.get(), rank] { state->serve(rank); });
        } catch (const std::system_error& error) {
            throw ThreadStartError("cannot start thread " + std::to_string(rank + 1) + " of " +
                                   std::to_string(size_) + ": " + error.code().message());
        }
    }
    state_ = std::move(state);
}

void ThreadPool::run(int members, const std::function<void(int)>& work) {
    if (members == 1) {
        work(0);
        return;
    }
    start();
    state_->work = &work;
    state_->members = members;
    state_->busy.store(static_cast<unsigned>(size_ - 1), std::memory_order_relaxed);
    state_->call.fetch_add(1, std::memory_order_release);
    state_->call.notify_all();
    work(0);
    unsigned busy;
    while ((busy = state_->busy.load(std::memory_order_acquire)) != 0)
        wait_for_change(state_->busy, busy, spin_for_members);
}

}  // namespace bothways
