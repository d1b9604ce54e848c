// Which instruction set runs.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace bothways {

// The kernels of the instruction sets that this build has and this machine can run, best first.
const std::vector<const Kernels*>& runnable();

// The kernels called `name`, or the best ones for the empty name.
// Throws std::invalid_argument, naming the choices, if they cannot run here.
const Kernels& choose(const std::string& name);

}  // namespace bothways
