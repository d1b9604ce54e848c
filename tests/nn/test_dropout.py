import pytest
import torch

from bothways.nn.dropout import Dropout, draw_kept, dropout

COUNT = 200_001
"""Decisions: a share of 0.1 of them is within 0.003 of that, by four standard deviations."""
SAMPLING = 0.003
ROUNDED_SHARE = 2**-16
"""Shares are rounded to a multiple of it."""


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_share_is_dropped_and_the_rest_scaled_up(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(3, COUNT, dtype=dtype)
    y = dropout(x, p)
    assert y.dtype == dtype
    for row in y:
        assert abs(float((row == 0).double().mean()) - p) < SAMPLING
    assert float(y.max()) == pytest.approx(1 / (1 - p), rel=2 * ROUNDED_SHARE)
    assert (y.double().mean() - 1).abs() < SAMPLING


def test_decisions_do_not_depend_on_each_other() -> None:
    torch.manual_seed(0)
    dropped = draw_kept((COUNT,), 0.5, torch.float32) == 0
    for distance in (1, 2, 3, 4, 8):  # four decisions come of one number
        alike = (dropped[distance:] == dropped[:-distance]).double().mean()
        assert abs(float(alike) - 0.5) < 2 * SAMPLING


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (4,), (5, 7), (2, 3, 5)])
def test_any_shape_has_its_decisions(shape: tuple[int, ...]) -> None:
    assert draw_kept(shape, 0.3, torch.float32).shape == shape


@pytest.mark.parametrize("p", [1e-9, 0.999999])
def test_a_share_near_a_limit_stays_finite(p: float) -> None:
    assert torch.isfinite(dropout(torch.ones(1000), p)).all()


def test_a_seed_decides() -> None:
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(draw_kept((64,), 0.5, torch.float32))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_the_gradient_is_dropped_with_the_number() -> None:
    x = torch.randn(500, requires_grad=True)
    y = dropout(x, 0.5)
    torch.autograd.backward(y.sum())
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach() / x.detach())


def test_only_training_drops() -> None:
    module, x = Dropout(0.5), torch.ones(100)
    assert (module(x) == 0).any()
    assert module.eval()(x) is x
    assert dropout(x, 0.0) is x


def test_compiled_and_exported_modules_use_torch_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    x = torch.ones(1000)
    torch.manual_seed(0)
    ours = dropout(x, 0.5)
    torch.manual_seed(0)
    assert torch.equal(ours, torch.nn.functional.dropout(x, 0.5))
