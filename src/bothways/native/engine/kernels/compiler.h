// What the kernels need of a compiler beyond the C++ standard.
#pragma once

#if defined(__GNUC__) || defined(__clang__)

#define BOTHWAYS_INLINE inline __attribute__((always_inline))
#define BOTHWAYS_PREFETCH(p) __builtin_prefetch(p, 0, 2)
// For loops over a register tile: unless they are unrolled, the tile lives in memory.
#ifdef __clang__
#define BOTHWAYS_UNROLL _Pragma("clang loop unroll(full)")
#else
#define BOTHWAYS_UNROLL _Pragma("GCC unroll 16")
#endif

#else  // MSVC

#include <intrin.h>
#define BOTHWAYS_INLINE __forceinline
#define BOTHWAYS_UNROLL
#if defined(_M_X64)
#define BOTHWAYS_PREFETCH(p) _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1)
#else
#define BOTHWAYS_PREFETCH(p) static_cast<void>(p)
#endif
// See engine.cmake on -ffp-contract=off.
#pragma fp_contract(off)

#endif
