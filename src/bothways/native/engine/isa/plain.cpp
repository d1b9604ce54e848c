// The kernels for plain; compiled with that instruction set's flags, see CMakeLists.txt.
#include "../simd/plain.h"

#include "../kernels/kernel_table.h"

namespace bothways {
extern const Kernels kernels_plain;
const Kernels kernels_plain = table<Plain>();
}  // namespace bothways
