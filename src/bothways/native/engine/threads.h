// A small pool of threads, and teams of them.
//
// All engine code is written for a member of a team: it takes its share of the work and waits where it
// needs the others' results. A team of one takes everything and never waits; that is how a thread
// carries whole sequences through all the layers by itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace bothways {

// Where the members of a team wait for each other.
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

    // This member's part of n pieces of work, all parts of nearly one size.
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
    // Runs work(rank) once for each rank below `members` at the same time; the caller is rank 0.
    // One call at a time. `work` must not throw.
    void run(int members, const std::function<void(int)>& work);

private:
    struct State;
    void start();
    int size_;
    long process_ = 0;  // threads do not survive a fork: the child starts its own
    std::unique_ptr<State> state_;
};

}  // namespace bothways
