// The kernel table for avx2vnni. engine.cmake compiles this file with the flags of that instruction set.
#define BOTHWAYS_ISA_AVX2VNNI
#include "../simd/avx2.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_avx2vnni;
constinit const Kernels kernels_avx2vnni = make_kernel_table<Avx2Vnni>();
}  // namespace bothways
