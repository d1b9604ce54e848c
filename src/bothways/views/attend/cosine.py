"""The cosine of two pooled vectors, split into pairs of tokens.

L and M positions; D model width, d dimensions of a vector.
"""

from typing import assert_never

import numpy as np

from bothways.inference.options import RunOptions
from bothways.inference.session import Session
from bothways.model.config import PoolingMode
from bothways.model.pooling import Normalize
from bothways.reference import pool
from bothways.sequences import FittedSequence

__all__ = ["split_cosine"]


def split_cosine(
    session: Session, first: FittedSequence, second: FittedSequence, options: RunOptions
) -> np.ndarray | None:
    """Parts of the cosine of two sequences, float64 (L, M), whose sum is the cosine.

    A mean-pooled vector is a sum over positions, so the cosine is one over pairs of them:
    cos(a, b) = Σᵢⱼ uᵢ hᵢ · vⱼ gⱼ / (|a| |b|), with the weights u and v of the pooling.

    None unless the pooling is a mean of some kind, with no layer after it.
    """
    modes, modules = session.spec.pooling.modes, session.spec.modules
    if len(modes) != 1 or not is_mean(modes[0]):
        return None
    if not all(isinstance(module, Normalize) for module in modules):
        return None
    weighted = [_weighted_states(session, fitted, modes[0], options) for fitted in (first, second)]
    lengths = [np.linalg.norm(states_Ld.sum(axis=0)) for states_Ld in weighted]
    if not all(lengths):
        return None
    parts: np.ndarray = weighted[0] @ weighted[1].T / (lengths[0] * lengths[1])
    return parts


def is_mean(mode: PoolingMode) -> bool:
    """Whether a pooling mode is a weighted sum of the hidden states of several positions."""
    match mode:
        case "mean" | "mean_sqrt_len" | "weighted_mean" | "mean_content":
            return True
        case "cls" | "last" | "max":
            return False
        case unknown:
            assert_never(unknown)


def _weighted_states(
    session: Session, fitted: FittedSequence, mode: PoolingMode, options: RunOptions
) -> np.ndarray:
    """The summands of the pooled vector, float64 (L, d)."""
    last = [session.spec.config.num_layers]
    ((_, states),) = session.hidden_states([fitted], last, options)
    states_LD = states[0].astype(np.float64)[:, : session.spec.dimensions]
    added = session.added_ids([mode])
    content = None if added is None else ~np.isin(fitted.windows[0], added)
    skip = session.prompt_length([fitted], options)
    # A mean is linear: pooling the unit vectors gives the weight of each position.
    weight_L = pool(np.eye(fitted.num_tokens), mode, skip=skip, content_L=content)
    weighted: np.ndarray = weight_L[:, None] * states_LD
    return weighted
