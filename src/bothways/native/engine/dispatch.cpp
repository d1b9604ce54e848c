#include "dispatch.h"

#include <stdexcept>

#if defined(__x86_64__) || defined(_M_X64)
#define BOTHWAYS_X86 1
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(__aarch64__)
#define BOTHWAYS_ARM 1
#ifdef __linux__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#endif

namespace bothways {

extern const Kernels kernels_plain;

#ifdef BOTHWAYS_X86
extern const Kernels kernels_avx2, kernels_avx2vnni, kernels_avx512, kernels_avx512vnni;

namespace {

struct Registers {
    unsigned a, b, c, d;
};

Registers cpuid(unsigned leaf, unsigned part) {
    Registers r{};
#ifdef _MSC_VER
    int out[4];
    __cpuidex(out, static_cast<int>(leaf), static_cast<int>(part));
    r = {unsigned(out[0]), unsigned(out[1]), unsigned(out[2]), unsigned(out[3])};
#else
    __get_cpuid_count(leaf, part, &r.a, &r.b, &r.c, &r.d);
#endif
    return r;
}

// The register states that the operating system saves.
unsigned long long saved_states() {
#ifdef _MSC_VER
    return _xgetbv(0);
#else
    unsigned low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<unsigned long long>(high) << 32) | low;
#endif
}

bool has(unsigned bits, int bit) { return (bits >> bit) & 1; }

// Bit numbers: Intel 64 and IA-32 Software Developer's Manual, volume 2, CPUID; states: volume 1, 13.1.
std::vector<const Kernels*> detect() {
    std::vector<const Kernels*> found;
    const Registers basic = cpuid(1, 0), extended = cpuid(7, 0), more = cpuid(7, 1);
    const bool saves = has(basic.c, 27);
    const unsigned long long states = saves ? saved_states() : 0;
    const bool ymm = (states & 0x06) == 0x06, zmm = (states & 0xe6) == 0xe6;
    const bool avx2 = ymm && has(basic.c, 28) && has(basic.c, 12) && has(extended.b, 5);
    const bool avx512 = avx2 && zmm && has(extended.b, 16) && has(extended.b, 17) &&
                        has(extended.b, 30) && has(extended.b, 31);
    if (avx512 && has(extended.c, 11)) found.push_back(&kernels_avx512vnni);
    if (avx512) found.push_back(&kernels_avx512);
    if (avx2 && has(more.a, 4)) found.push_back(&kernels_avx2vnni);
    if (avx2) found.push_back(&kernels_avx2);
    found.push_back(&kernels_plain);
    return found;
}

}  // namespace

#elif defined(BOTHWAYS_ARM)
extern const Kernels kernels_neon, kernels_neondot;

namespace {

std::vector<const Kernels*> detect() {
#if defined(__linux__)
    const bool dot = getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
    const bool dot = true;  // every Apple machine with AArch64 has it
#endif
    if (dot) return {&kernels_neondot, &kernels_neon, &kernels_plain};
    return {&kernels_neon, &kernels_plain};
}

}  // namespace

#else

namespace {
std::vector<const Kernels*> detect() { return {&kernels_plain}; }
}  // namespace

#endif

const std::vector<const Kernels*>& runnable() {
    static const std::vector<const Kernels*> found = detect();
    return found;
}

const Kernels& choose(const std::string& name) {
    if (name.empty()) return *runnable().front();
    std::string names;
    for (const Kernels* kernels : runnable()) {
        if (name == kernels->name) return *kernels;
        names += names.empty() ? kernels->name : std::string(", ") + kernels->name;
    }
    throw std::invalid_argument("instruction set '" + name + "' cannot run here; expected one of " +
                                names);
}

}  // namespace bothways
