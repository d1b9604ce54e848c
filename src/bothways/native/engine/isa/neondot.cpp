// The kernels for neondot; compiled with that instruction set's flags, see CMakeLists.txt.
#include "../simd/neon.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_neondot;
const Kernels kernels_neondot = table<NeonDot>();
}  // namespace bothways
