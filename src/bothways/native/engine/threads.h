// A thread pool, and teams of threads.
//
// Engine code runs in each member of a team: a member computes its share of the work, and waits at a barrier
// where it needs the results of others. A team of one computes everything and never waits; so a thread can
// take whole sequences through all layers alone.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace bothways {

// A reusable barrier: it spins for a short time, then sleeps.
class Barrier {
public:
    explicit Barrier(int size) : size_(size) {}
    void wait();

private:
    const int size_;
    std::atomic<int> arrived_{0};
    std::atomic<unsigned> round_{0};
};

struct Range {
    int first, last;
};

struct Team {
    int rank = 0;
    int size = 1;
    Barrier* barrier = nullptr;

    // This member's share of n items; the sizes of shares differ by at most 1.
    Range share(int n) const {
        const long long all = n;
        return {static_cast<int>(all * rank / size), static_cast<int>(all * (rank + 1) / size)};
    }
    void wait() const {
        if (size > 1) barrier->wait();
    }
};

class ThreadPool {
public:
    explicit ThreadPool(int size);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const { return size_; }
    // Runs work(rank) for each rank below `members` concurrently, rank 0 on the calling thread, and waits
    // for all. Calls must not overlap. `work` must not throw. Throws ThreadStartError, before any work, if
    // the system starts no more threads; a later call tries again.
    void run(int members, const std::function<void(int)>& work);

private:
    struct State;
    void start();
    int size_;
    std::unique_ptr<State> state_;
};

// The system cannot start a thread of a pool.
struct ThreadStartError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace bothways
