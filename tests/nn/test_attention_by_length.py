import math

import pytest
import torch
from torch import Tensor

from bothways.nn import Lengths, attention_by_length
from bothways.nn.attention_by_length import attend_by_length

ROUNDING = 1e-12
"""float64: softmax and weighted sums of a few hundred numbers near 1."""

Qkv = tuple[Tensor, Tensor, Tensor]

BATCHES = ([1], [5], [4, 4, 4], [9, 4, 4, 2, 1, 1], [40, 3, 3, 40])


def make_qkv(
    num_tokens: int, heads: int = 3, width: int = 4, dtype: torch.dtype = torch.float64
) -> Qkv:
    torch.manual_seed(num_tokens)
    q, k, v = torch.randn(3, num_tokens, heads, width, dtype=dtype)
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_()


def defined(q: Tensor, k: Tensor, v: Tensor, lengths: list[int]) -> Tensor:
    """The formula, sequence by sequence, differentiated by torch."""
    mixed, start = [], 0
    for length in lengths:
        part = slice(start, start + length)
        score = torch.einsum("lhk,mhk->hlm", q[part], k[part]) / math.sqrt(q.shape[-1])
        mixed.append(torch.einsum("hlm,mhk->lhk", torch.softmax(score, -1), v[part]))
        start += length
    return torch.cat(mixed)


def with_gradients(mixed: Tensor, qkv: Qkv) -> list[Tensor]:
    torch.manual_seed(0)
    return [mixed, *torch.autograd.grad(mixed, qkv, torch.randn_like(mixed))]


@pytest.mark.parametrize("piece_bytes", [1, 600, 1 << 20])
@pytest.mark.parametrize("dropout", [0.0, 1e-9], ids=["fused", "dense"])
@pytest.mark.parametrize("lengths", BATCHES, ids=str)
def test_results_and_gradients_equal_the_formula_s(
    lengths: list[int], dropout: float, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dropout so small that it drops nothing is computed as any other."""
    monkeypatch.setattr(attention_by_length, "TILE_BYTES", piece_bytes)
    qkv = make_qkv(sum(lengths))
    found = with_gradients(attend_by_length(*qkv, Lengths(lengths).groups, dropout), qkv)
    expected = with_gradients(defined(*qkv, lengths), qkv)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).abs().max() < ROUNDING


@pytest.mark.parametrize("piece_bytes", [1, 1 << 20])
def test_the_gradient_is_that_of_the_probabilities_that_were_kept(
    piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against differences of the function itself, which drops the same each time."""
    monkeypatch.setattr(attention_by_length, "TILE_BYTES", piece_bytes)
    lengths = Lengths([4, 3, 3])

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        torch.manual_seed(1)
        return attend_by_length(q, k, v, lengths.groups, 0.4)

    qkv = make_qkv(10, heads=2, width=2)
    dropped = attend(*qkv)
    assert (dropped - defined(*qkv, [4, 3, 3])).abs().max() > 0.1
    assert torch.autograd.gradcheck(attend, qkv)


def test_values_that_are_no_block_of_memory_are_read_rightly() -> None:
    """As the thirds of one product of queries, keys and values are."""
    together = torch.randn(9, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    q, k, v = together.unbind(1)
    for dropout in (0.0, 1e-9):
        found = attend_by_length(q, k, v, Lengths([4, 4, 1]).groups, dropout)
        assert (found - defined(q, k, v, [4, 4, 1])).abs().max() < ROUNDING


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_bits(dropout: float, threads: int) -> None:
    lengths = [70, 33, 33, 12]
    qkv = make_qkv(sum(lengths), 4, 16, torch.float32)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = []
        for _ in range(3):
            torch.manual_seed(5)
            found.append(
                with_gradients(attend_by_length(*qkv, Lengths(lengths).groups, dropout), qkv)
            )
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
