// The kernel table for neondot. engine.cmake compiles this file with the flags of that instruction set.
#define BOTHWAYS_ISA_NEONDOT
#include "../simd/neon.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_neondot;
constinit const Kernels kernels_neondot = make_kernel_table<NeonDot>();
}  // namespace bothways
