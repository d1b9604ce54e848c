// The kernels for avx2; compiled with that instruction set's flags, see CMakeLists.txt.
#include "../simd/avx2.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_avx2;
const Kernels kernels_avx2 = table<Avx2>();
}  // namespace bothways
