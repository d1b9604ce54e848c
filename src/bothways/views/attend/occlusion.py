"""Occlusion: a score of a sequence without each of its tokens, all in packed batches.

L positions; N positions that are taken out; d dimensions of a vector; C labels.
"""

import dataclasses

import numpy as np

from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.postprocessing import to_unit_length
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.session import Session
from bothways.sequences import FittedSequence
from bothways.views.attend.results import Occlusion

__all__ = ["of_head", "of_vector", "vectors_of", "without_each"]

MAX_LABELS = 5
"""Labels whose probabilities are followed: the most probable."""


def vectors_of(session: Session, fitted: list[FittedSequence], options: RunOptions) -> np.ndarray:
    """Vectors of unit length, float64 (n, d), with the model's pooling."""
    pooled = session.pool(fitted, session.spec.pooling.modes, options)
    return to_unit_length(session.finish(pooled, VectorOptions())).astype(np.float64)


def of_vector(
    session: Session,
    fitted: FittedSequence,
    positions: np.ndarray,
    other_d: np.ndarray | None,
    options: RunOptions,
) -> Occlusion:
    """The cosine with another vector, or with the sequence's own, without each token.

    positions: those that are taken out, int64 (N,). other_d: of unit length; None for its own.
    """
    vectors = vectors_of(session, [fitted, *without_each(fitted, positions)], options)
    name = "similarity" if other_d is not None else "vector"
    cosines = vectors @ (vectors[0] if other_d is None else other_d)
    return Occlusion(name, "cosine", float(cosines[0]), _spread(cosines[1:], positions, fitted))


def of_head(run: HeadRun, positions: np.ndarray) -> tuple[Occlusion, ...]:
    """The outputs of a head for one sequence without each token: those of the best labels.

    run: of the one sequence, to a head that pools. positions: as in `of_vector`.
    """
    (fitted,) = run.fitted
    variants = [fitted, *without_each(fitted, positions)]
    outputs = run.probabilities(dataclasses.replace(run, fitted=variants).sequence_outputs())
    is_value = run.head.task == "values"
    order = np.arange(outputs.shape[1]) if is_value else np.argsort(-outputs[0], kind="stable")
    return tuple(
        Occlusion(
            run.head.labels[label],
            "value" if is_value else "probability",
            float(outputs[0, label]),
            _spread(outputs[1:, label], positions, fitted),
        )
        for label in order[:MAX_LABELS].tolist()
    )


def without_each(fitted: FittedSequence, positions: np.ndarray) -> list[FittedSequence]:
    """The sequence, of one window, without the token at each of these positions."""
    return [_without(fitted, position) for position in positions.tolist()]


def _without(fitted: FittedSequence, position: int) -> FittedSequence:
    values = np.delete(fitted.windows[0], position, axis=0)
    segments = fitted.segments[0]
    if segments is not None:
        segments = np.delete(segments, position)
    tokenized = dataclasses.replace(fitted.tokenized, values=values, segments=segments)
    return FittedSequence(tokenized, [values], [segments], truncated=False)


def _spread(scores: np.ndarray, positions: np.ndarray, fitted: FittedSequence) -> np.ndarray:
    """The scores at their positions, float64 (L,), with NaN elsewhere."""
    spread = np.full(fitted.num_tokens, np.nan)
    spread[positions] = scores
    return spread
