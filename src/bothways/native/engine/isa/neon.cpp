// The kernel table for neon. engine.cmake compiles this file with the flags of that instruction set.
#include "../simd/neon.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_neon;
constinit const Kernels kernels_neon = make_kernel_table<Neon>();
}  // namespace bothways
