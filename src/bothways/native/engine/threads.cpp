#include "threads.h"

#ifdef _WIN32
#include <process.h>
#define BOTHWAYS_PROCESS_ID _getpid
#else
#include <unistd.h>
#define BOTHWAYS_PROCESS_ID getpid
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace bothways {

namespace {

// Most waits are short: spin for about 20 microseconds before sleeping.
constexpr int spins_before_sleep = 1000;

void cpu_relax() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
    asm volatile("yield");
#endif
}

// Returns when `value` differs from `old`.
void wait_for_change(const std::atomic<unsigned>& value, unsigned old) {
    for (int spin = 0; spin < spins_before_sleep; ++spin) {
        if (value.load(std::memory_order_acquire) != old) return;
        cpu_relax();
    }
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
        wait_for_change(round_, round);
    }
}

struct ThreadPool::State {
    std::vector<std::thread> threads;
    std::atomic<unsigned> call{0};  // counts calls of run(); threads wait for it to change
    std::atomic<unsigned> busy{0};  // threads that have not finished this call
    const std::function<void(int)>* work = nullptr;
    int members = 0;
    bool stop = false;

    void serve(int rank) {
        unsigned seen = 0;
        while (true) {
            wait_for_change(call, seen);
            ++seen;
            if (stop) return;
            if (rank < members) (*work)(rank);
            if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_all();
        }
    }
};

ThreadPool::ThreadPool(int size) : size_(size) {}

void ThreadPool::start() {
    const long process = BOTHWAYS_PROCESS_ID();
    if (state_ && process_ == process) return;
    static_cast<void>(state_.release());  // after a fork, the parent's threads cannot be joined
    state_ = std::make_unique<State>();
    process_ = process;
    State* state = state_.get();
    for (int rank = 1; rank < size_; ++rank)
        state->threads.emplace_back([state, rank] { state->serve(rank); });
}

ThreadPool::~ThreadPool() {
    if (!state_) return;
    if (process_ != BOTHWAYS_PROCESS_ID()) {
        static_cast<void>(state_.release());
        return;
    }
    state_->stop = true;
    state_->call.fetch_add(1, std::memory_order_release);
    state_->call.notify_all();
    for (std::thread& thread : state_->threads) thread.join();
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
        wait_for_change(state_->busy, busy);
}

}  // namespace bothways
