// Compares every kernel with a scalar reference in double, on each available instruction set: primitives,
// vector functions, microkernels at every tile size, products, row operations, attention and scans.
//
//     check_kernels [instruction set ...]
//
// Exits with 1 if a result is out of tolerance.
#include <cstring>

#include "arguments.h"
#include "checks.h"

namespace bothways {

#define X(isa) extern const Probe probe_##isa;
#include "isas.inc"
#undef X

namespace {

#define X(isa) &probe_##isa,
const Probe* const probes[] = {
#include "isas.inc"
};
#undef X

}  // namespace
}  // namespace bothways

int main(int argc, char** argv) {
    using namespace bothways;
    for (const Kernels* kernels : kernels_to_check(argc, argv)) {
        for (const Probe* probe : probes)
            if (std::strcmp(probe->isa, kernels->name) == 0) {
                check_primitives(*probe);
                check_microkernels(*probe);
            }
        check_linear(*kernels);
        check_row_ops(*kernels);
        check_attention(*kernels);
        check_scan(*kernels);
    }
    return Check::total_failures ? 1 : 0;
}
