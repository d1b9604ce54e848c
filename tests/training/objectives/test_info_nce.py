import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.training.objectives.info_nce import info_nce

ROUNDING = 1e-12
"""Of float64 sums in another order."""


def nothing(index_R: Tensor) -> Tensor:
    return torch.zeros(len(index_R), 7, dtype=torch.bool)


@pytest.fixture
def vectors() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    query_QD, candidate_CD = rng.standard_normal((5, 4)), rng.standard_normal((7, 4))
    return (
        torch.from_numpy(query_QD).requires_grad_(),
        torch.from_numpy(candidate_CD).requires_grad_(),
    )


RIGHT = torch.tensor([1, 0, 6, 3, 3])


def test_it_is_the_sum_of_the_logarithms_of_shares(vectors: tuple[Tensor, Tensor]) -> None:
    score_QC = (vectors[0] @ vectors[1].T).detach().numpy()
    shares = np.exp(score_QC) / np.exp(score_QC).sum(1, keepdims=True)
    expected = -np.log(shares[np.arange(5), RIGHT.numpy()]).sum()
    assert float(info_nce(*vectors, RIGHT, nothing).detach()) == pytest.approx(expected)


def test_excluded_candidates_do_not_count_but_the_target_does(
    vectors: tuple[Tensor, Tensor],
) -> None:
    query_QD, candidate_CD = vectors

    def last_two(index_R: Tensor) -> Tensor:
        hidden_RC = nothing(index_R)
        hidden_RC[:, 5:] = True
        return hidden_RC

    without = info_nce(query_QD[:2], candidate_CD[:5], RIGHT[:2], lambda i: nothing(i)[:, :5])
    torch.testing.assert_close(info_nce(query_QD[:2], candidate_CD, RIGHT[:2], last_two), without)
    alone = info_nce(query_QD[2:3], candidate_CD, RIGHT[2:3], last_two)  # its own is hidden too
    assert torch.isfinite(alone)
    kept_CD = candidate_CD[[0, 1, 2, 3, 4, 6]]
    torch.testing.assert_close(
        alone, info_nce(query_QD[2:3], kept_CD, torch.tensor([5]), lambda i: nothing(i)[:, :6])
    )


@pytest.mark.parametrize("largest", [1, 7, 14, 30])
def test_chunks_of_queries_give_the_same_loss_and_gradient(
    vectors: tuple[Tensor, Tensor], largest: int
) -> None:
    def hidden(index_R: Tensor) -> Tensor:
        return (index_R[:, None] + torch.arange(7)) % 3 == 0

    whole = info_nce(*vectors, RIGHT, hidden)
    parts = info_nce(*vectors, RIGHT, hidden, max_scores=largest)
    torch.testing.assert_close(whole, parts, rtol=ROUNDING, atol=0)
    for a, b in zip(
        torch.autograd.grad(whole, vectors), torch.autograd.grad(parts, vectors), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=ROUNDING)
