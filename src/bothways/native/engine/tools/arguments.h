// The arguments of the checks: instruction sets, by default all that are available.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "../dispatch.h"

namespace bothways {

// Ends the program with 2 if one is not available.
inline std::vector<const Kernels*> kernels_to_check(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a line is seen when it is printed, in files too
    std::vector<const Kernels*> kernels;
    try {
        for (int i = 1; i < argc; ++i) kernels.push_back(&select_kernels(argv[i]));
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        std::exit(2);
    }
    return kernels.empty() ? available_kernels() : kernels;
}

}  // namespace bothways
