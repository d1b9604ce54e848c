"""InfoNCE: the loss of finding each query's target among all candidates.

Q queries, R of them at a time; C candidates; D dimensions.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

__all__ = ["MAX_SCORES", "info_nce"]

MAX_SCORES = 2**22
"""Maximum number of scores in memory, 16 MiB of float32. Beyond it, queries are split into chunks
whose scores are computed again for the gradient."""


def info_nce(
    query_QD: Tensor,
    candidate_CD: Tensor,
    target_Q: Tensor,
    excluded: Callable[[Tensor], Tensor],
    *,
    max_scores: int = MAX_SCORES,
) -> Tensor:
    """Σ -log(exp(qᵀc) / Σ exp(qᵀc')); the inner sum is over all candidates of a query.

    van den Oord et al. 2018, eq. 4.

    target_Q: the index of each query's target candidate.
    excluded: maps the indices of R queries to the candidates left out of their sums, bool (R, C).
    """

    def chunk_loss(query_RD: Tensor, index_R: Tensor) -> Tensor:
        target_R1 = target_Q[index_R, None]
        excluded_RC = excluded(index_R).scatter(1, target_R1, False)
        score_RC = (query_RD @ candidate_CD.T).masked_fill(excluded_RC, -math.inf)
        return functional.cross_entropy(score_RC, target_R1[:, 0], reduction="sum")

    index_Q = torch.arange(len(query_QD), device=query_QD.device)
    size = max(max_scores // len(candidate_CD), 1)
    if len(query_QD) <= size:
        return chunk_loss(query_QD, index_Q)
    chunks = zip(torch.split(query_QD, size), torch.split(index_Q, size), strict=True)
    losses = [
        checkpoint(chunk_loss, *chunk, use_reentrant=False, preserve_rng_state=False)
        for chunk in chunks
    ]
    return torch.stack(losses).sum()
