"""Labels and numbers: of sequences, of pairs of them, and of positions.

B sequences; C labels; N positions of a sequence that get a label; L all of them; D model width.
"""

from collections.abc import Sequence

import numpy as np

from bothways.errors import InputError
from bothways.inference.predict.run import Run
from bothways.inference.results import Classified, Reranked, Tagged
from bothways.model.heads import Head
from bothways.sequences import NO_POSITION, FittedSequence

__all__ = ["can_rank", "classify", "content_positions", "rerank", "tag", "values"]


def classify(run: Run, threshold: float) -> Classified:
    """One label of each sequence, or all that reach the threshold.

    Raises:
        InputError: if the threshold is no probability.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold={threshold}: expected a probability, from 0 to 1")
    names = run.head.labels
    share_BC = run.probabilities(run.of_sequences())
    labels: list[str] | list[list[str]]
    if run.head.task == "multilabel":
        labels = [[names[i] for i in np.flatnonzero(row >= threshold)] for row in share_BC]
    else:
        labels = [names[i] for i in share_BC.argmax(axis=1)]
    return Classified(labels, share_BC, names, run.truncated)


def values(run: Run) -> np.ndarray:
    """The numbers of each sequence, float32 (n, values)."""
    return run.of_sequences()


def tag(
    run: Run, words: Sequence[Sequence[str] | None], first: Sequence[np.ndarray]
) -> list[Tagged]:
    """A label for each token or word.

    words: of each sequence, where it was given as words. first: the positions that get a label.
    """
    found: dict[int, Tagged] = {}
    names = run.head.labels
    for i, x_LD in run.of_positions():
        fitted, at = run.fitted[i], first[i]
        share_NC = np.full((len(at), len(names)), np.nan, dtype=np.float32)
        there = at != NO_POSITION
        share_NC[there] = run.probabilities(run.layers(x_LD[at[there]]))
        best = iter(share_NC[there].argmax(axis=1).tolist())
        labels = [names[next(best)] if known else None for known in there.tolist()]
        given, offsets = words[i], fitted.offsets
        tokens = fitted.tokens
        found[i] = Tagged(
            tokens=[tokens[place] for place in at.tolist()] if given is None else list(given),
            offsets=offsets[at] if given is None and offsets is not None else None,
            labels=labels,
            probabilities=share_NC,
            names=names,
            truncated=fitted.truncated,
        )
    return [found[i] for i in range(len(run.fitted))]


def content_positions(fitted: FittedSequence) -> np.ndarray:
    """The positions, of those that `fitted.merge` gives, that hold no special token, int64."""
    tokenized, places = fitted.tokenized, fitted.positions
    inside = (places >= tokenized.prefix) & (places < len(tokenized) - tokenized.suffix)
    if tokenized.first is not None:
        middle = tokenized.prefix + tokenized.first
        inside &= (places < middle) | (places >= middle + tokenized.middle)
    return np.flatnonzero(inside)


def rerank(run: Run) -> Reranked:
    """Score pairs of query and document, by the one output there is, or the second class of two.

    In order of the outputs themselves: probabilities near 1 are the same number when rounded.
    """
    output_BC = run.of_sequences()
    score_B = run.probabilities(output_BC)[:, -1]
    lead_B = output_BC[:, -1] - (output_BC[:, 0] if output_BC.shape[1] == 2 else 0)
    return Reranked(np.argsort(-lead_B, kind="stable"), score_B, run.truncated)


def can_rank(head: Head) -> bool:
    """Whether outputs of a head are scores: a single one, or those of two classes."""
    return head.num_outputs == (2 if head.task == "classes" else 1)
