// The kernel table for avx2. engine.cmake compiles this file with the flags of that instruction set.
#include "../simd/avx2.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_avx2;
constinit const Kernels kernels_avx2 = make_kernel_table<Avx2>();
}  // namespace bothways
