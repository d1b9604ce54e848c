// The kernel table for neoni8mm. engine.cmake compiles this file with the flags of that instruction set.
#define BOTHWAYS_ISA_NEONI8MM
#include "../simd/neon.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_neoni8mm;
constinit const Kernels kernels_neoni8mm = make_kernel_table<NeonI8mm>();
}  // namespace bothways
