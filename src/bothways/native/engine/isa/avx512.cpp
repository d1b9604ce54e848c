// The kernels for avx512; compiled with that instruction set's flags, see CMakeLists.txt.
#include "../simd/avx512.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_avx512;
const Kernels kernels_avx512 = table<Avx512>();
}  // namespace bothways
