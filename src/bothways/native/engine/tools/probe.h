// Access to the primitives, vector functions and microkernels of one instruction set, for check_kernels.
//
// Plain pointers only: what is compiled for one instruction set must not share inline functions of the
// standard library with code that runs everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bothways {

struct Probe {
    const char* isa;
    int lanes, mr, nr, mr_int8, nr_int8, a_zero_point;

    // Elementwise on n floats, n a multiple of `lanes`.
    struct Function {
        const char* name;
        void (*apply)(const float* x, float* y, int n);
    };
    const Function* functions;
    int num_functions;

    // c (mr, nr * lanes) += a (mr, kc) b (kc, nr * lanes), for a tile of mr rows and nr vectors.
    void (*microkernel_fp32)(int mr, int nr, const float* a, std::ptrdiff_t lda, const float* b, int kc,
                             float* c);
    // c = Σ (a - a_zero_point) b, for kc4 quads; b is (kc4, nr * lanes, 4).
    void (*microkernel_int8)(int mr, int nr, const std::uint8_t* a, std::ptrdiff_t lda, const std::int8_t* b,
                             int kc4, float* c);

    // The same of microkernel_row_pairs, for kc8 blocks; b is (kc8, nr * lanes, 8). Null on instruction sets without.
    decltype(microkernel_int8) microkernel_row_pairs;

    // c = the 16-bit sums of microkernel_sums16, added in pairs, for 32 inputs; b is (8, nr * lanes, 4) and start
    // (nr * lanes, 2), or null. Null on instruction sets without 16-bit sums.
    void (*microkernel_sums16)(int mr, int nr, const std::uint8_t* a, std::ptrdiff_t lda, const std::int8_t* b,
                               const std::int16_t* start, float* c);

    void (*copy_partial)(const float* x, float* y, int n);  // load_partial, store_partial
    void (*load_partial)(const float* x, float* y, int n);  // y gets all lanes
    void (*blend_range)(const float* x, float* y, int first, int last, float other);
    void (*transpose)(float* square);
    void (*reduce)(const float* x, float* add_max_min);
    void (*ldexp)(const float* a, const float* x, float* y);
    void (*store_u8_sat)(const float* x, std::uint8_t* q8);
    void (*store_i8x4)(const float* x, std::int8_t* q8);  // x (4, lanes)
};

}  // namespace bothways
