from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bothways.nn import onednn
from bothways.nn.onednn import has_onednn, linear

ROUNDING = 3e-6
"""float32, as a share of the largest number: sums of up to 1,200 products in an order of their own;
about three times what is seen."""

needs_onednn = pytest.mark.skipif(
    not has_onednn(), reason="this torch was built without what is tested"
)

Map = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def make(
    num_tokens: int, inputs: int, outputs: int, *, bias: bool = True
) -> tuple[Tensor, Tensor, Tensor | None]:
    torch.manual_seed(0)
    x, weight = torch.randn(num_tokens, inputs), torch.randn(outputs, inputs)
    return x, weight, torch.randn(outputs) if bias else None


def result_and_gradients(compute: Map, *tensors: Tensor | None) -> list[Tensor]:
    x, weight, bias = (None if t is None else t.clone().requires_grad_() for t in tensors)
    assert x is not None
    assert weight is not None
    y = compute(x, weight, bias)
    torch.manual_seed(1)
    gradient = torch.randn(y.shape).to(y.dtype)  # the same in either precision
    y.backward(gradient)  # type: ignore[no-untyped-call]
    return [
        y.detach(),
        *(t.grad for t in (x, weight, bias) if t is not None and t.grad is not None),
    ]


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "sizes", [(1, 8, 8), (5, 1, 3), (7, 24, 37), (300, 64, 1), (300, 384, 48), (1213, 24, 96)]
)
def test_the_product_and_its_gradients_equal_the_plain_ones_in_double_precision(
    sizes: tuple[int, int, int], bias: bool
) -> None:
    tensors = make(*sizes, bias=bias)
    found = result_and_gradients(linear, *tensors)
    double = [None if t is None else t.double() for t in tensors]
    expected = result_and_gradients(functional.linear, *double)
    assert len(found) == len(expected) == (4 if bias else 3)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() <= ROUNDING * theirs.abs().max()


@needs_onednn
def test_onednn_computes_what_is_trained_in_float32() -> None:
    x, weight, bias = make(3, 4, 5)
    assert linear(x, weight.requires_grad_(), bias).grad_fn.name() == "_LinearBackward"  # type: ignore[union-attr]


@pytest.mark.parametrize("case", ["float64", "autocast", "compiling", "no rows", "three axes"])
def test_others_are_computed_by_the_plain_product(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight, bias = make(0 if case == "no rows" else 3, 4, 5)
    assert bias is not None
    if case == "float64":
        x, weight, bias = x.double(), weight.double(), bias.double()
    if case == "three axes":
        x = x[None]
    if case == "compiling":
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(onednn._Linear, "apply", lambda *_: pytest.fail("not for oneDNN"))
    with torch.autocast("cpu", enabled=case == "autocast"):
        found = linear(x, weight.requires_grad_(), bias)
        assert torch.equal(found, functional.linear(x, weight, bias))


@pytest.mark.parametrize("frozen", [(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
def test_only_the_gradients_that_are_asked_for_are_computed(frozen: tuple[int, ...]) -> None:
    tensors = [t for t in make(7, 4, 5) if t is not None]
    for index, tensor in enumerate(tensors):
        tensor.requires_grad_(index not in frozen)
    torch.autograd.backward(linear(*tensors).sum())  # of which the gradient is one number, expanded
    assert [t.grad is None for t in tensors] == [index in frozen for index in range(3)]


def test_tensors_need_not_lie_end_to_end() -> None:
    x, weight, bias = make(7, 8, 6)
    assert bias is not None
    apart = [t.repeat_interleave(2, 0)[::2].requires_grad_() for t in (x, weight, bias)]
    transposed = x.t().contiguous().t()
    for ours in (linear(*apart), linear(transposed, weight, bias)):
        assert (ours - functional.linear(x, weight, bias)).abs().max() <= ROUNDING * 10
    torch.autograd.backward(linear(*apart).t().contiguous().sum())


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_numbers_give_the_same_bits(threads: int) -> None:
    tensors = make(700, 96, 200)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        first, *others = (result_and_gradients(linear, *tensors) for _ in range(3))
    finally:
        torch.set_num_threads(before)
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@needs_onednn
def test_a_gradient_of_the_gradient_is_refused_rather_than_wrong() -> None:
    x, weight, bias = make(3, 4, 5)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(linear(x, weight, bias).sin().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(gradient.sum())
