// The kernels for avx512vnni; compiled with that instruction set's flags, see CMakeLists.txt.
#include "../simd/avx512.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_avx512vnni;
const Kernels kernels_avx512vnni = table<Avx512Vnni>();
}  // namespace bothways
