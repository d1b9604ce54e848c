// The table of kernels of one instruction set, from the templates.
#pragma once

#include "attention.h"
#include "peaks.h"
#include "gemm.h"
#include "row_ops.h"

namespace bothways {
namespace {

template <class S>
constexpr Kernels table() {
    Kernels k{};
    k.name = S::name;
    k.panel = Products<S>::panel;
    k.int8_panel = Products<S>::int8_panel;
    k.code_shift = S::code_shift;
    k.product = Products<S>::product;
    k.product_int8 = Products<S>::product_int8;
    k.quantise = RowKernels<S>::quantise;
    k.norm = RowKernels<S>::norm;
    k.attend = Attention<S>::attend;
    k.probabilities = Attention<S>::probabilities;
    k.head_scratch = Attention<S>::scratch;
    k.rotate = RowKernels<S>::rotate;
    k.pool = RowKernels<S>::pool;
    k.fma_peak = Peaks<S>::fma;
    k.dot_peak = Peaks<S>::dot;
    return k;
}

}  // namespace
}  // namespace bothways
