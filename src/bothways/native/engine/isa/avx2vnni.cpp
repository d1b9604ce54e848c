// The kernels for avx2vnni; compiled with that instruction set's flags, see CMakeLists.txt.
#include "../simd/avx2.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_avx2vnni;
const Kernels kernels_avx2vnni = table<Avx2Vnni>();
}  // namespace bothways
