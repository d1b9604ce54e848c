// The kernel table for avx512. engine.cmake compiles this file with the flags of that instruction set.
#include "../simd/avx512.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_avx512;
constinit const Kernels kernels_avx512 = make_kernel_table<Avx512>();
}  // namespace bothways
