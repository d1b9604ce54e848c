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
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#ifndef HWCAP2_I8MM
#define HWCAP2_I8MM (1 << 13)  // missing in the headers of Linux before 5.10
#endif
#elif defined(__APPLE__)
#include <sys/sysctl.h>
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

Registers cpuid(unsigned leaf, unsigned subleaf) {
    Registers r{};
#ifdef _MSC_VER
    int out[4];
    __cpuid(out, 0);
    if (static_cast<unsigned>(out[0]) < leaf) return r;
    __cpuidex(out, static_cast<int>(leaf), static_cast<int>(subleaf));
    r = {unsigned(out[0]), unsigned(out[1]), unsigned(out[2]), unsigned(out[3])};
#else
    __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
#endif
    return r;
}

// The register states that the operating system saves on a context switch (XCR0).
unsigned long long saved_states() {
#ifdef _MSC_VER
    return _xgetbv(0);
#else
    unsigned low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<unsigned long long>(high) << 32) | low;
#endif
}

bool has(unsigned flags, int bit) { return (flags >> bit) & 1; }

// Bit numbers: Intel 64 and IA-32 Software Developer's Manual, volume 2, CPUID; states: volume 1, 13.1.
std::vector<const Kernels*> detect() {
    std::vector<const Kernels*> kernels;
    const Registers leaf1 = cpuid(1, 0), leaf7 = cpuid(7, 0), leaf7_1 = cpuid(7, 1);
    const bool osxsave = has(leaf1.c, 27);
    const unsigned long long states = osxsave ? saved_states() : 0;
    const bool ymm = (states & 0x06) == 0x06, zmm = (states & 0xe6) == 0xe6;
    const bool avx2 = ymm && has(leaf1.c, 28) && has(leaf1.c, 12) && has(leaf7.b, 5);
    const bool avx512 = avx2 && zmm && has(leaf7.b, 16) && has(leaf7.b, 17) &&
                        has(leaf7.b, 30) && has(leaf7.b, 31);
    if (avx512 && has(leaf7.c, 11)) kernels.push_back(&kernels_avx512vnni);
    if (avx512) kernels.push_back(&kernels_avx512);
    if (avx2 && has(leaf7_1.a, 4)) kernels.push_back(&kernels_avx2vnni);
    if (avx2) kernels.push_back(&kernels_avx2);
    kernels.push_back(&kernels_plain);
    return kernels;
}

}  // namespace

#elif defined(BOTHWAYS_ARM)
extern const Kernels kernels_neon, kernels_neondot, kernels_neoni8mm;

namespace {

#if defined(__linux__)
bool has_dot_products() { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP; }

bool has_matrix_products() {
    return getauxval(AT_HWCAP2) & HWCAP2_I8MM;
}
#else
bool has_dot_products() { return true; }  // all AArch64 processors of Apple have them

bool has_matrix_products() {
#if defined(__APPLE__)
    int has = 0;
    std::size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &size, nullptr, 0) == 0 && has;
#else
    return false;
#endif
}
#endif

std::vector<const Kernels*> detect() {
    std::vector<const Kernels*> kernels;
    const bool dot = has_dot_products();
    if (dot && has_matrix_products()) kernels.push_back(&kernels_neoni8mm);
    if (dot) kernels.push_back(&kernels_neondot);
    kernels.push_back(&kernels_neon);
    kernels.push_back(&kernels_plain);
    return kernels;
}

}  // namespace

#else

namespace {
std::vector<const Kernels*> detect() { return {&kernels_plain}; }
}  // namespace

#endif

const std::vector<const Kernels*>& available_kernels() {
    static const std::vector<const Kernels*> kernels = detect();
    return kernels;
}

const Kernels& select_kernels(const std::string& name) {
    if (name.empty()) return *available_kernels().front();
    std::string names;
    for (const Kernels* kernels : available_kernels()) {
        if (name == kernels->name) return *kernels;
        names += names.empty() ? kernels->name : std::string(", ") + kernels->name;
    }
    throw std::invalid_argument("instruction set '" + name +
                                "' is not available on this machine; expected one of " + names);
}

}  // namespace bothways
