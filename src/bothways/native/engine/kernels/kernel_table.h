// Builds the kernel table of one instruction set from the templates.
#pragma once

#include "attention.h"
#include "gemm.h"
#include "gemm_int8.h"
#include "quantize.h"
#include "row_ops.h"
#include "scan.h"

namespace bothways {
namespace {

template <Simd S>
constexpr Kernels make_kernel_table() {
    Kernels k{};
    k.name = S::name;
    k.nr = Gemm<S>::nr;
    k.int8_nr = GemmInt8<S>::nr;
    k.int8_block = GemmInt8<S>::block;
    k.int8_scheme = S::int8_scheme;
    k.a_zero_point = S::a_zero_point;
    k.gemm_fp32 = Gemm<S>::gemm;
    k.gemm_int8 = GemmInt8<S>::gemm;
    k.quantize = Quantize<S>::rows;
    k.norm = RowOps<S>::norm;
    k.attention = Attention<S>::attention;
    k.attention_probabilities = Attention<S>::probabilities;
    k.attention_scratch = Attention<S>::scratch;
    k.rotate = RowOps<S>::rotate;
    k.pool = RowOps<S>::pool;
    k.dots = Scan<S>::dots;
    k.hamming = Scan<S>::hamming;
    return k;
}

}  // namespace
}  // namespace bothways
