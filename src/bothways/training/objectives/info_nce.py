"""The loss of telling each query's own candidate from all the others.

Q queries, some R of them at a time; C candidates; D dimensions.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

__all__ = ["LARGEST_SCORES", "info_nce"]

LARGEST_SCORES = 2**22
"""Scores that exist at a time, 16 MiB of float32. Of more queries, each part's scores are computed
again for the gradient."""


def info_nce(
    query_QD: Tensor,
    candidate_CD: Tensor,
    right_Q: Tensor,
    hidden: Callable[[Tensor], Tensor],
    *,
    largest: int = LARGEST_SCORES,
) -> Tensor:
    """Σ -log(exp(qᵀc) / Σ exp(qᵀc')), the sum within over a query's right candidate and the others.

    van den Oord et al. 2018, eq. 4.

    right_Q: the index of each query's right candidate.
    hidden: from the indices of R queries to which candidates do not count for them, bool (R, C).
    """

    def part(query_RD: Tensor, index_R: Tensor) -> Tensor:
        right_R1 = right_Q[index_R, None]
        hidden_RC = hidden(index_R).scatter(1, right_R1, False)
        score_RC = (query_RD @ candidate_CD.T).masked_fill(hidden_RC, -math.inf)
        return functional.cross_entropy(score_RC, right_R1[:, 0], reduction="sum")

    index_Q = torch.arange(len(query_QD), device=query_QD.device)
    size = max(largest // len(candidate_CD), 1)
    if len(query_QD) <= size:
        return part(query_QD, index_Q)
    parts = zip(torch.split(query_QD, size), torch.split(index_Q, size), strict=True)
    losses = [
        checkpoint(part, *rows, use_reentrant=False, preserve_rng_state=False) for rows in parts
    ]
    return torch.stack(losses).sum()
