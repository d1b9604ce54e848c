// The kernels for neon; compiled with that instruction set's flags, see CMakeLists.txt.
#include "../simd/neon.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_neon;
const Kernels kernels_neon = table<Neon>();
}  // namespace bothways
