"""Tagging: a label for each token, word or position of a sequence.

L positions of a sequence; N of them that get a label; C labels; D model width.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from bothways.errors import InputError
from bothways.inference.inputs import as_inputs
from bothways.inference.options import RunOptions
from bothways.inference.predict.entities import (
    Aggregation,
    Entity,
    continuing,
    find_entities,
)
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.session import Session
from bothways.io.short_repr import ShortRepr
from bothways.sequences import (
    NO_POSITION,
    SequenceReader,
    WordSequence,
    first_token_positions,
    join_words,
)

__all__ = ["TokenTags", "tag", "token_tags"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class TokenTags(ShortRepr):
    """A label for each of N tokens, or words, of one sequence; special tokens are left out.

    tokens: the tokens, or the words if the sequence was given as words.
    offsets: for text and symbols, the characters that each token covers, int64 (N, 2); None for
        words, ids and series.
    labels: the most probable label of each token; None for a word that has no token or was cut off.
    probabilities: float32 (N, C), rows with sum 1; NaN where there is no label.
    names: the labels in the order of the columns.
    truncated: whether the sequence was cut.
    entities: spans with one label, if `aggregate` was given; otherwise None.
    """

    tokens: list[str]
    offsets: np.ndarray | None
    labels: list[str | None]
    probabilities: np.ndarray
    names: tuple[str, ...]
    truncated: bool
    entities: list[Entity] | None = None


def tag(
    session: Session, sequences: Any, *, aggregate: Aggregation | None, options: RunOptions
) -> TokenTags | list[TokenTags]:
    """Tag each sequence; one alone for a single sequence.

    aggregate: how to find entities; None for none.

    Raises:
        InputError: naming the sequence or argument that is invalid, or if the model has no head for
            tags.
    """
    if aggregate is not None and aggregate not in get_args(Aggregation):
        known = ", ".join(get_args(Aggregation))
        raise InputError(f"aggregate={aggregate!r}: expected one of {known}, or None")
    rows, single = as_inputs(sequences, session.reader)
    words = [_as_words(row, session.reader, i) for i, row in enumerate(rows)]
    texts = [row if w is None else w.sequence for row, w in zip(rows, words, strict=True)]
    run = HeadRun.start(session, ("tags",), texts, options, purpose="tag")
    tags: dict[int, TokenTags] = {}
    for i, x_LD in run.last_hidden_states():
        word_spans = words[i]
        if word_spans is None:
            tags[i] = token_tags(run, i, x_LD)
        else:
            tags[i] = _tag_words(run, i, x_LD, rows[i], word_spans)
        if aggregate is not None:
            entities = _entities(tags[i], rows[i], session.reader, aggregate, index=i)
            tags[i] = dataclasses.replace(tags[i], entities=entities)
    return tags[0] if single else [tags[i] for i in range(len(rows))]


def token_tags(run: HeadRun, index: int, x_LD: np.ndarray) -> TokenTags:
    """The label of each token of a sequence of the run, from its last hidden states (L, D).

    Raises:
        InputError: naming the sequence, if an output is not finite.
    """
    fitted = run.fitted[index]
    position_N = fitted.content_positions
    labels, share_NC = _labels(run, index, x_LD, position_N)
    tokens, offsets = fitted.tokens, fitted.offsets
    return TokenTags(
        tokens=[tokens[position] for position in position_N.tolist()],
        offsets=None if offsets is None else offsets[position_N],
        labels=labels,
        probabilities=share_NC,
        names=run.head.labels,
        truncated=fitted.truncated,
    )


def _tag_words(
    run: HeadRun, index: int, x_LD: np.ndarray, row: Sequence[str], words: WordSequence
) -> TokenTags:
    fitted = run.fitted[index]
    labels, share_NC = _labels(run, index, x_LD, first_token_positions(fitted, words.spans))
    return TokenTags(
        tokens=list(row),
        offsets=None,
        labels=labels,
        probabilities=share_NC,
        names=run.head.labels,
        truncated=fitted.truncated,
    )


def _labels(
    run: HeadRun, index: int, x_LD: np.ndarray, position_N: np.ndarray
) -> tuple[list[str | None], np.ndarray]:
    """The label and the probabilities, float32 (N, C), at each position; None and NaN at none."""
    names = run.head.labels
    share_NC = np.full((len(position_N), len(names)), np.nan, dtype=np.float32)
    has_label_N = position_N != NO_POSITION
    share_NC[has_label_N] = run.probabilities(run.outputs(x_LD[position_N[has_label_N]], index))
    best = iter(share_NC[has_label_N].argmax(axis=1).tolist())
    return [names[next(best)] if known else None for known in has_label_N.tolist()], share_NC


def _entities(
    tags: TokenTags,
    row: Any,
    reader: SequenceReader | None,
    aggregate: Aggregation,
    *,
    index: int,
) -> list[Entity]:
    if isinstance(row, tuple) and len(row) == 2 and all(isinstance(text, str) for text in row):
        raise InputError("a pair of texts has no entities; tag each text", sequence=index)
    is_text = isinstance(row, str)
    is_words = isinstance(row, list) and bool(row) and isinstance(row[0], str)

    def text_of(start: int, end: int) -> str | None:
        if is_text:
            return str(row[start:end])
        return " ".join(row[start:end]) if is_words else None

    spans_N2 = tags.offsets
    if spans_N2 is None:
        place_N = np.arange(len(tags.tokens))
        spans_N2 = np.stack([place_N, place_N + 1], axis=1)
    return find_entities(
        tags.names,
        tags.probabilities,
        spans_N2,
        aggregate,
        continues_word=continuing(reader, row, tags.tokens, spans_N2),
        text_of=text_of,
    )


def _as_words(row: Any, reader: SequenceReader | None, index: int) -> WordSequence | None:
    """The words of a text that is given as a list of them; None for any other sequence."""
    if reader is None or reader.kind != "text":
        return None
    if not (isinstance(row, list) and row and isinstance(row[0], str)):
        return None
    try:
        return join_words(row, "text")
    except InputError as error:
        raise InputError(error.detail, sequence=index) from None
