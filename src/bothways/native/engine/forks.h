// Forks of the process, and objects that do not survive one.
//
// A child process has only the thread that forked: a pool's threads are missing, and a lock that another
// thread held stays locked for ever.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

namespace bothways {

// Number of forks between this process and the one that loaded the engine.
unsigned fork_count();

// An object that each process makes for itself, when it first uses it.
template <class T>
class PerProcess {
public:
    explicit PerProcess(std::function<std::unique_ptr<T>()> make)
        : make_(std::move(make)), current_(new Instance{fork_count(), make_()}) {}
    ~PerProcess() {
        Instance* current = current_.load();
        if (current->forks == fork_count()) delete current;
    }
    PerProcess(const PerProcess&) = delete;
    PerProcess& operator=(const PerProcess&) = delete;

    T& get() {
        Instance* current = current_.load(std::memory_order_acquire);
        if (current->forks == fork_count()) return *current->object;
        // The parent's object is never deleted: a thread of the parent may have been changing it.
        auto fresh = std::make_unique<Instance>(Instance{fork_count(), make_()});
        if (current_.compare_exchange_strong(current, fresh.get(), std::memory_order_acq_rel))
            current = fresh.release();
        return *current->object;  // another thread's, if it was faster
    }

private:
    struct Instance {
        unsigned forks;
        std::unique_ptr<T> object;
    };
    std::function<std::unique_ptr<T>()> make_;
    std::atomic<Instance*> current_;
};

}  // namespace bothways
