"""Mask filling: the most probable tokens at each mask of a sequence.

L positions of a sequence; N masks of it; D model width; V vocabulary.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.inference.inputs import as_inputs
from bothways.inference.options import RunOptions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.predict.vocabulary import LOGIT_BYTES, mask_token_id, names_of_tokens
from bothways.inference.session import Session
from bothways.io.short_repr import ShortRepr
from bothways.sequences import FittedSequence

__all__ = ["MaskPrediction", "fill_mask", "mask_predictions"]

_MIN_ROWS = 64
"""The fewest masks whose logits are computed at a time: each pass reads the whole output matrix."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MaskPrediction(ShortRepr):
    """The most probable tokens for one mask, best first.

    position: position of the mask in the sequence, special tokens included.
    tokens, ids: the tokens. probabilities: of each, float32, over the whole vocabulary.
    truncated: whether the sequence was cut.
    """

    position: int
    tokens: list[str]
    ids: np.ndarray
    probabilities: np.ndarray
    truncated: bool


def fill_mask(
    session: Session, sequences: Any, *, top: int, options: RunOptions
) -> list[MaskPrediction] | list[list[MaskPrediction]]:
    """The `top` tokens for each mask of each sequence; of one alone for a single sequence.

    Raises:
        InputError: naming the sequence that is invalid or has no mask; if `top` is out of range, or
            the model has no head for masked tokens or no mask token.
    """
    rows, single = as_inputs(sequences, session.reader)
    run = HeadRun.start(session, ("masked_tokens",), rows, options, purpose="fill_mask")
    predictions = mask_predictions(run, run.last_hidden_states(), top)
    return predictions[0] if single else predictions


def mask_predictions(
    run: HeadRun, states: Iterable[tuple[int, np.ndarray]], top: int
) -> list[list[MaskPrediction]]:
    """The `top` tokens for each mask of each sequence of a run to a head for masked tokens.

    states: index and last hidden states, float32 (L, D), of each sequence, in any order.

    Raises:
        InputError: as `fill_mask`.
    """
    session = run.session
    mask, names = mask_token_id(session), names_of_tokens(session)
    if not 1 <= top <= len(names):
        raise InputError(f"top={top}: expected 1 to {len(names)}")
    positions = [_mask_positions(f, mask, i, names[mask]) for i, f in enumerate(run.fitted)]
    # Only the states of the masks are kept: those of all positions may not fit into memory.
    of_masks = {i: x_LD[positions[i]] for i, x_LD in states}
    return [
        [
            MaskPrediction(
                position, [names[j] for j in ids], ids, share_V[ids], run.fitted[i].truncated
            )
            for position, ids, share_V in _largest_at(run, i, position_N, of_masks[i], top)
        ]
        for i, position_N in enumerate(positions)
    ]


def _largest_at(
    run: HeadRun, index: int, position_N: np.ndarray, x_ND: np.ndarray, top: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Position, ids of the `top` tokens, and probabilities (V,), of each mask.

    The logits of a few masks at a time are in memory.
    """
    step = max(_MIN_ROWS, LOGIT_BYTES // (4 * run.head.num_outputs))
    for start in range(0, len(position_N), step):
        rows = slice(start, start + step)
        share_NV = run.probabilities(run.outputs(x_ND[rows], index))
        for position, share_V in zip(position_N[rows].tolist(), share_NV, strict=True):
            yield position, _largest(share_V, top), share_V


def _mask_positions(fitted: FittedSequence, mask: int, index: int, name: str) -> np.ndarray:
    positions = np.flatnonzero(fitted.tokenized.values[fitted.positions] == mask)
    if not positions.size:
        cut = " in the part that was kept" if fitted.truncated else ""
        raise InputError(f"has no mask{cut}; write {name} where a token is missing", sequence=index)
    return positions


def _largest(share_V: np.ndarray, top: int) -> np.ndarray:
    """Ids of the `top` largest, largest first; equal ones in the order of their ids."""
    candidates = np.flatnonzero(share_V >= np.partition(share_V, -top)[-top])
    order = candidates[np.argsort(-share_V[candidates], kind="stable")]
    return order[:top]
