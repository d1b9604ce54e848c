#include "forks.h"

#ifndef _WIN32
#include <pthread.h>
#endif

namespace bothways {

namespace {

std::atomic<unsigned> forks{0};

#ifndef _WIN32
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { ++forks; });
#endif

}  // namespace

unsigned fork_count() { return forks.load(std::memory_order_relaxed); }

}  // namespace bothways
