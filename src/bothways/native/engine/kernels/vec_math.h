// Elementwise functions on vectors: exp, exp2, erf and the activations.
#pragma once

#include "../simd/simd.h"

namespace bothways {
namespace {

template <Simd S>
struct VecMath {
    using V = typename S::F32;

    // e^x to a few ulp; exactly 0 below -87.3, where e^x is below the smallest normal float.
    //
    // x = n ln 2 + r with |r| <= ln 2 / 2 (ln 2 in two parts, so that r is exact; Cody and Waite 1980,
    // chapter 6), then 1 + r + r² p(r); p is a least-squares fit with relative error 4e-9.
    static V exp(V x) {
        constexpr float lower = -87.3f, upper = 88.3f;
        V clamped = S::max(S::min(x, S::broadcast(upper)), S::broadcast(lower));
        V n = S::round(S::mul(clamped, S::broadcast(1.44269504f)));
        V r = S::fnma(n, S::broadcast(0.693359375f), clamped);
        r = S::fnma(n, S::broadcast(-2.12194440e-4f), r);
        V p = S::broadcast(0.001374882306f);
        p = S::fma(p, r, S::broadcast(0.008369628373f));
        p = S::fma(p, r, S::broadcast(0.04166964626f));
        p = S::fma(p, r, S::broadcast(0.1666651248f));
        p = S::fma(p, r, S::broadcast(0.4999998791f));
        V y = S::add(S::fma(S::mul(r, r), p, r), S::broadcast(1.0f));
        return S::zero_below(S::ldexp(y, n), x, lower);
    }

    // scale * 2^x, with a power of 2 as scale, for x <= 0 with relative error below 2e-7; at most scale when
    // rounded to an integer. Exactly 0 for minus infinity, and below about -127 (-150 where the instruction set
    // produces subnormal numbers).
    //
    // x = n + r with integer n and 0 <= r < 1, then 1 + r p(r); p is a minimax fit with relative error 9e-8.
    template <int scale = 1>
    static V exp2_nonpositive(V x) {
        V clamped = S::clamp_exp2_arg(x);
        V r = S::fract(clamped);
        V p = S::broadcast(scale * 0.0018669526f);
        p = S::fma(p, r, S::broadcast(scale * 0.009017481f));
        p = S::fma(p, r, S::broadcast(scale * 0.055799514f));
        p = S::fma(p, r, S::broadcast(scale * 0.2401646f));
        p = S::fma(p, r, S::broadcast(scale * 0.6931513f));
        return S::ldexp(S::fma(p, r, S::broadcast(scale)), clamped);
    }

    // erf with error below 3e-7: an odd rational function fitted to |x| <= 3.92, beyond which erf rounds to
    // 1. The fit's error is 1.6e-8.
    static V erf(V x) {
        constexpr float limit = 3.92f;
        x = S::max(S::min(x, S::broadcast(limit)), S::broadcast(-limit));
        V z = S::mul(x, x);
        V p = S::broadcast(2.034982186797465e-06f);
        p = S::fma(p, z, S::broadcast(0.00028744021491254357f));
        p = S::fma(p, z, S::broadcast(0.003866740602120546f));
        p = S::fma(p, z, S::broadcast(0.05305564858071377f));
        p = S::fma(p, z, S::broadcast(0.19272750299382524f));
        p = S::fma(p, z, S::broadcast(1.1283790243162273f));
        V q = S::broadcast(3.807112708883133e-05f);
        q = S::fma(q, z, S::broadcast(0.0011877221347600354f));
        q = S::fma(q, z, S::broadcast(0.015169150720229339f));
        q = S::fma(q, z, S::broadcast(0.1150694966780592f));
        q = S::fma(q, z, S::broadcast(0.5041319850622544f));
        q = S::fma(q, z, S::broadcast(1.0f));
        return S::div(S::mul(x, p), q);
    }

    // x Φ(x) (Hendrycks and Gimpel 2016, section 2).
    static V gelu(V x) {
        V half = S::mul(x, S::broadcast(0.5f));
        return S::fma(half, erf(S::mul(x, S::broadcast(0.707106781f))), half);
    }

    // x σ(x) (the same paper).
    static V silu(V x) {
        return S::div(x, S::add(S::broadcast(1.0f), exp(S::sub(S::zero(), x))));
    }

    // x (1 + tanh u) / 2 = x σ(2u) with u = √(2/π) (x + 0.044715 x³), an approximation of gelu (the same
    // paper).
    static V gelu_tanh(V x) {
        V cube = S::mul(S::mul(x, x), x);
        V twice_u = S::mul(S::fma(cube, S::broadcast(0.044715f), x), S::broadcast(2 * 0.797884561f));
        return S::div(x, S::add(S::broadcast(1.0f), exp(S::sub(S::zero(), twice_u))));
    }

    // 1 - 2 / (1 + e^2x), with an error below 3e-7.
    static V tanh(V x) {
        const V one = S::broadcast(1.0f);
        return S::sub(one, S::div(S::broadcast(2.0f), S::add(one, exp(S::add(x, x)))));
    }

    static V relu(V x) { return S::max(x, S::zero()); }
};

// For int8, whose quantization steps are a hundred times coarser than the errors of these functions.
template <Simd S>
struct FastVecMath : VecMath<S> {
    using V = typename S::F32;

    // x Φ(x) with error below 2e-4: Φ - 1/2 as an odd polynomial, a minimax fit to |x| <= 4, where it reaches
    // 1/2 to within its error.
    static V gelu(V x) {
        constexpr float limit = 4.0f;
        V t = S::max(S::min(x, S::broadcast(limit)), S::broadcast(-limit));
        V z = S::mul(t, t);
        V p = S::broadcast(2.2587885e-08f);
        p = S::fma(p, z, S::broadcast(-1.5888091e-06f));
        p = S::fma(p, z, S::broadcast(4.7763494e-05f));
        p = S::fma(p, z, S::broadcast(-0.00081218328f));
        p = S::fma(p, z, S::broadcast(0.0087636683f));
        p = S::fma(p, z, S::broadcast(-0.064554356f));
        p = S::fma(p, z, S::broadcast(0.39787022f));
        return S::mul(x, S::fma(t, p, S::broadcast(0.5f)));
    }
};

}  // namespace
}  // namespace bothways
