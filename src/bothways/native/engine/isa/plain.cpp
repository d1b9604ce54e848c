// The kernel table for plain. engine.cmake compiles this file with the flags of that instruction set.
#include "../simd/plain.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_plain;
constinit const Kernels kernels_plain = make_kernel_table<Plain>();
}  // namespace bothways
