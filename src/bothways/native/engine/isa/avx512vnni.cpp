// The kernel table for avx512vnni. engine.cmake compiles this file with the flags of that instruction set.
#define BOTHWAYS_ISA_AVX512VNNI
#include "../simd/avx512.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_avx512vnni;
constinit const Kernels kernels_avx512vnni = make_kernel_table<Avx512Vnni>();
}  // namespace bothways
