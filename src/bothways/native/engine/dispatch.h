// Selects the instruction set at run time.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace bothways {

// The kernels that are in this build and that this machine can run, fastest first.
const std::vector<const Kernels*>& available_kernels();

// The kernels called `name`, or the fastest available ones if `name` is empty.
// Throws std::invalid_argument, with the available names, if there are none of that name.
const Kernels& select_kernels(const std::string& name);

}  // namespace bothways
