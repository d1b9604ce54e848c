"""Entities: spans of tokens that belong together, as transformers' token classification finds them.

N tokens of one sequence; C labels.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, assert_never

import numpy as np

from bothways.sequences import SequenceReader

__all__ = ["Aggregation", "Entity", "continuing", "find_entities"]

Aggregation = Literal["none", "simple", "first", "average", "max"]
"""How the labels of tokens become those of entities."""

OUTSIDE = "O"
"""The label of tokens that belong to no entity."""

_PREFIX = re.compile(r"([BIELSU])-(.+)", re.DOTALL)
"""The place in an entity, of the schemes IOB2, BIOES and BILOU: begin, inside, end or last, single
or unit."""


@dataclasses.dataclass(frozen=True)
class Entity:
    """A span of a sequence with one label.

    text: the characters of the span; None for ids and series.
    start, end: the span `sequence[start:end]`: characters of a text or of symbols; words if the
        sequence was given as words; positions of ids and series.
    label: without the prefix of its place in the entity (`B-`, `I-`), unless aggregation is none.
    score: the mean probability of the label over tokens or words.
    """

    text: str | None
    start: int
    end: int
    label: str
    score: float


def continuing(
    reader: SequenceReader | None, row: Any, tokens: Sequence[str], spans_N2: np.ndarray
) -> list[bool]:
    """Whether each token of a text continues the word of the token before it, as transformers says.

    By the prefix of the vocabulary, such as `##`; where it has none, a token continues a word if
    there is no space before it. Words, symbols, ids and series continue nothing.
    """
    if not isinstance(row, str) or reader is None or reader.kind != "text":
        return [False] * len(tokens)
    tokenizer = getattr(reader, "tokenizer", None)
    prefix = getattr(getattr(tokenizer, "model", None), "continuing_subword_prefix", None)
    if prefix:
        return [token.startswith(prefix) for token in tokens]
    starts = spans_N2[:, 0].tolist()
    return [start > 0 and " " not in row[start - 1 : start + 1] for start in starts]


class _Part(NamedTuple):
    """A token or word with its label."""

    label: str
    score: float
    start: int
    end: int


def find_entities(
    names: Sequence[str],
    share_NC: np.ndarray,
    spans_N2: np.ndarray,
    aggregation: Aggregation,
    *,
    continues_word: Sequence[bool],
    text_of: Callable[[int, int], str | None],
) -> list[Entity]:
    """The entities among the tokens of a sequence; tokens outside of entities have the label `O`.

    none: each token is one, with its label as it is.
    simple: neighboring tokens with the same label are one, and `B-` begins another.
    first, average, max: as simple, but of words instead of tokens: a word has the label of its
        first token, of the mean of its tokens' probabilities, or of its most certain token.

    names: the labels. share_NC: their probabilities; a row of NaN has no label, and ends an entity.
    spans_N2: start and end of each token. continues_word: whether a token continues the word of the
    token before it. text_of: the text of a span.
    """
    parts = _parts(names, share_NC, spans_N2, aggregation, continues_word)
    groups: Iterable[list[_Part]] = _groups(parts, names)
    if aggregation == "none":
        groups = ([part] for part in parts)
    entities = []
    for group in groups:
        first, last = group[0], group[-1]
        label = first.label if aggregation == "none" else _split(first.label, names)[1]
        if label != OUTSIDE:
            score = float(np.mean([part.score for part in group]))
            text = text_of(first.start, last.end)
            entities.append(Entity(text, first.start, last.end, label, score))
    return entities


def _parts(
    names: Sequence[str],
    share_NC: np.ndarray,
    spans_N2: np.ndarray,
    aggregation: Aggregation,
    continues_word: Sequence[bool],
) -> list[_Part]:
    by_word = aggregation in ("first", "average", "max")
    parts: list[_Part] = []
    for index_W in _words(len(share_NC), continues_word if by_word else [False] * len(share_NC)):
        share_WC = share_NC[index_W]
        share_C = _word_probabilities(share_WC, aggregation)
        start, end = int(spans_N2[index_W[0], 0]), int(spans_N2[index_W[-1], 1])
        if np.isnan(share_C).any():
            parts.append(_Part(OUTSIDE, 0.0, start, end))
        else:
            best = int(share_C.argmax())
            parts.append(_Part(names[best], float(share_C[best]), start, end))
    return parts


def _words(count: int, continues_word: Sequence[bool]) -> Iterator[list[int]]:
    """The indices of the tokens of each word."""
    word: list[int] = []
    for index in range(count):
        if word and not continues_word[index]:
            yield word
            word = []
        word.append(index)
    if word:
        yield word


def _word_probabilities(share_WC: np.ndarray, aggregation: Aggregation) -> np.ndarray:
    """The probabilities of a word, (C,), from those of its tokens, (W, C)."""
    share_C: np.ndarray
    match aggregation:
        case "none" | "simple" | "first":
            share_C = share_WC[0]
        case "average":
            share_C = share_WC.mean(axis=0)
        case "max":
            share_C = share_WC[int(share_WC.max(axis=1).argmax())]
        case unknown:
            assert_never(unknown)
    return share_C


def _groups(parts: Iterable[_Part], names: Sequence[str]) -> Iterator[list[_Part]]:
    """Neighbors of one label, each group from a beginning on."""
    group: list[_Part] = []
    for part in parts:
        place, kind = _split(part.label, names)
        if group:
            last_place, last_kind = _split(group[-1].label, names)
            if kind != last_kind or place in ("B", "S", "U") or last_place in ("E", "L", "S", "U"):
                yield group
                group = []
        group.append(part)
    if group:
        yield group


def _split(label: str, names: Sequence[str]) -> tuple[str, str]:
    """The place in an entity and its kind; "I" and the whole label where it has no prefix.

    A label such as `E-mail` has none: the others of its scheme, `B-mail` or `I-mail`, are missing.
    """
    match = _PREFIX.fullmatch(label)
    if match is None:
        return "I", label
    place, kind = match[1], match[2]
    if place not in "BI" and not {f"B-{kind}", f"I-{kind}"} & {*names}:
        return "I", label
    return place, kind
