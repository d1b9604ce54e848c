// exp, and the activations of the feed-forward, on vectors.
#pragma once

#include "../kernels.h"

namespace bothways {
namespace {

template <class S>
struct Mathematics {
    using V = typename S::V;

    // e^x to a few units in the last place; exactly 0 below -87.3, where floats end.
    //
    // x = n ln 2 + r with |r| <= ln 2 / 2 (ln 2 in two parts, so that r is exact; Cody and Waite 1980,
    // chapter 6), then 1 + r + r² p(r), with p the least-squares fit of relative error 4e-9.
    static V exp(V x) {
        constexpr float smallest = -87.3f, largest = 88.3f;
        V inside = S::max(S::min(x, S::set(largest)), S::set(smallest));
        V n = S::round(S::mul(inside, S::set(1.44269504f)));
        V r = S::fnma(n, S::set(0.693359375f), inside);
        r = S::fnma(n, S::set(-2.12194440e-4f), r);
        V p = S::set(0.001374882306f);
        p = S::fma(p, r, S::set(0.008369628373f));
        p = S::fma(p, r, S::set(0.04166964626f));
        p = S::fma(p, r, S::set(0.1666651248f));
        p = S::fma(p, r, S::set(0.4999998791f));
        V y = S::add(S::fma(S::mul(r, r), p, r), S::set(1.0f));
        return S::zero_below(S::scale_by_power(y, n), x, smallest);
    }

    // 2^x for x <= 0, to 2e-7 of it; exactly 0 from about -127 on, and for minus infinity.
    //
    // x = n + r with whole n and 0 <= r < 1, then 1 + r p(r), with p fitted to the least relative error, 9e-8.
    static V falling_power(V x) {
        V inside = S::not_vanishing(x);
        V r = S::fraction(inside);
        V p = S::set(0.0018669526f);
        p = S::fma(p, r, S::set(0.009017481f));
        p = S::fma(p, r, S::set(0.055799514f));
        p = S::fma(p, r, S::set(0.2401646f));
        p = S::fma(p, r, S::set(0.6931513f));
        return S::scale_by_power(S::fma(p, r, S::set(1.0f)), inside);
    }

    // erf to 3e-7. Odd rational function fitted to |x| <= 3.92, beyond which erf rounds to 1; its own
    // error is 1.6e-8.
    static V erf(V x) {
        constexpr float end = 3.92f;
        x = S::max(S::min(x, S::set(end)), S::set(-end));
        V z = S::mul(x, x);
        V p = S::set(2.034982186797465e-06f);
        p = S::fma(p, z, S::set(0.00028744021491254357f));
        p = S::fma(p, z, S::set(0.003866740602120546f));
        p = S::fma(p, z, S::set(0.05305564858071377f));
        p = S::fma(p, z, S::set(0.19272750299382524f));
        p = S::fma(p, z, S::set(1.1283790243162273f));
        V q = S::set(3.807112708883133e-05f);
        q = S::fma(q, z, S::set(0.0011877221347600354f));
        q = S::fma(q, z, S::set(0.015169150720229339f));
        q = S::fma(q, z, S::set(0.1150694966780592f));
        q = S::fma(q, z, S::set(0.5041319850622544f));
        q = S::fma(q, z, S::set(1.0f));
        return S::div(S::mul(x, p), q);
    }

    // x Φ(x) (Hendrycks and Gimpel 2016, section 2).
    static V gelu(V x) {
        V half = S::mul(x, S::set(0.5f));
        return S::fma(half, erf(S::mul(x, S::set(0.707106781f))), half);
    }

    // x σ(x), the same paper.
    static V silu(V x) {
        return S::div(x, S::add(S::set(1.0f), exp(S::sub(S::zero(), x))));
    }

    // gelu's approximation x (1 + tanh u) / 2 = x σ(2u), u = √(2/π) (x + 0.044715 x³); the same paper.
    static V gelu_tanh(V x) {
        V cube = S::mul(S::mul(x, x), x);
        V twice_u = S::mul(S::fma(cube, S::set(0.044715f), x), S::set(2 * 0.797884561f));
        return S::div(x, S::add(S::set(1.0f), exp(S::sub(S::zero(), twice_u))));
    }

    static V relu(V x) { return S::max(x, S::zero()); }
};

// For int8, whose steps are a hundred times as coarse as these errors.
template <class S>
struct CoarseMathematics : Mathematics<S> {
    using V = typename S::V;

    // x Φ(x) to 2e-4: Φ - 1/2 as an odd polynomial, fitted to the least error up to |x| = 4, where it
    // ends in exactly 1/2, nearly.
    static V gelu(V x) {
        constexpr float end = 4.0f;
        V t = S::max(S::min(x, S::set(end)), S::set(-end));
        V z = S::mul(t, t);
        V p = S::set(2.2587885e-08f);
        p = S::fma(p, z, S::set(-1.5888091e-06f));
        p = S::fma(p, z, S::set(4.7763494e-05f));
        p = S::fma(p, z, S::set(-0.00081218328f));
        p = S::fma(p, z, S::set(0.0087636683f));
        p = S::fma(p, z, S::set(-0.064554356f));
        p = S::fma(p, z, S::set(0.39787022f));
        return S::mul(x, S::fma(t, p, S::set(0.5f)));
    }
};

}  // namespace
}  // namespace bothways
