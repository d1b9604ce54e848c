"""From sequences to their view: maps, occlusion, the split of a cosine, and predictions.

L positions of a sequence; d dimensions of a vector.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.inference.attention import require_layers
from bothways.inference.inputs import as_inputs
from bothways.inference.options import RunOptions
from bothways.inference.selection import Selection, select_indices
from bothways.inference.session import Session
from bothways.sequences import FittedSequence, SeriesReader
from bothways.views.attend.cosine import split_cosine
from bothways.views.attend.encoding import MAX_PAGE_BYTES, page_bytes
from bothways.views.attend.maps import MAX_TOKENS, MapSource
from bothways.views.attend.occlusion import of_head, of_vector, vectors_of
from bothways.views.attend.predictions import HeadResults, predict_heads
from bothways.views.attend.results import (
    AttendedSequence,
    AttentionView,
    Occlusion,
    SimilaritySplit,
)

__all__ = ["AttendOptions", "attend"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttendOptions:
    """What a view shows.

    to: a sequence whose similarity with each other is explained; None for none.
    layers: those whose maps are shown; None for all.
    occlude: whether to compute scores without each token.
    names: what the page calls each sequence; None for numbers.
    source: what the page calls the model; None for the source that it was loaded from.
    """

    to: Any = None
    layers: Selection | None = None
    occlude: bool = True
    names: Sequence[str] | None = None
    source: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class _Inputs:
    """The sequences of a view, with the vector of each if there is a similarity to explain."""

    rows: list[Any]
    fitted: list[FittedSequence]
    names: list[str]
    vectors: np.ndarray | None

    def other(self, index: int) -> int | None:
        """The sequence with which one is compared; None for none.

        `to`, the last, is compared with the first where there are two, and else only shown.
        """
        if self.vectors is None:
            return None
        last = len(self.rows) - 1
        if index < last:
            return last
        return 0 if last == 1 else None


def attend(
    session: Session, sequences: Any, *, view: AttendOptions, options: RunOptions
) -> AttentionView:
    """Compute the view of one or several sequences.

    Warns if sequences were cut, or consist mostly of unknown tokens.

    Raises:
        InputError: naming the sequence or argument that is invalid; if a sequence is too long, or
            all together are too large for a page.
        UnsupportedModel: if the encoder is not a Transformer.
    """
    if options.on_overflow == "window":
        raise InputError("on_overflow='window': attention is of one piece; choose 'truncate'")
    if view.to is None and session.heads.tasks and options.prompt_name is None:
        # Heads are trained without prompts.
        options = dataclasses.replace(options, prompt=options.prompt or "")
    num_layers = session.spec.config.num_layers
    require_layers(num_layers)
    layers = select_indices("all" if view.layers is None else view.layers, num_layers, "layer")
    if not layers:
        raise InputError("layers: got none; expected at least one")
    maps = MapSource(session, layers, chosen=view.layers is not None)
    inputs = _read(session, sequences, view, options)
    _check_size(inputs, maps)
    return AttentionView(
        tuple(_attend_one(maps, inputs, i, view, options) for i in range(len(inputs.rows))),
        _describe(session, view.source),
    )


def _read(session: Session, sequences: Any, view: AttendOptions, options: RunOptions) -> _Inputs:
    rows, _ = as_inputs(sequences, session.reader, pairs=True)
    names = _names(rows, view.names)
    if view.to is not None:
        others, is_single = as_inputs(view.to, session.reader)
        if not is_single:
            raise InputError("to: got several sequences; expected one")
        rows, names = [*rows, *others], [*names, "the other"]
    fitted = session.prepare(rows, options)
    session.warn(rows, fitted, options)
    vectors = None if view.to is None else vectors_of(session, fitted, options)
    return _Inputs(rows, fitted, names, vectors)


def _names(rows: list[Any], names: Sequence[str] | None) -> list[str]:
    if names is None:
        return [str(number + 1) for number in range(len(rows))]
    if len(names) != len(rows):
        raise InputError(f"names: got {len(names)} for {len(rows)} sequences")
    return list(names)


def _check_size(inputs: _Inputs, maps: MapSource) -> None:
    size = sum(
        page_bytes(fitted.num_tokens, len(maps.layers), maps.config.num_heads)
        for fitted in inputs.fitted
    )
    if size > MAX_PAGE_BYTES:
        raise InputError(
            f"the page would have {size / 1e6:.0f} MB, and {MAX_PAGE_BYTES / 1e6:.0f} MB is the "
            "most: choose fewer sequences (--rows) or layers (--layers, layers=)"
        )


def _attend_one(
    maps: MapSource, inputs: _Inputs, index: int, view: AttendOptions, options: RunOptions
) -> AttendedSequence:
    session, fitted, row = maps.session, inputs.fitted[index], inputs.rows[index]
    computed = maps.compute(fitted, index)
    heads = predict_heads(session, fitted, options)
    other = inputs.other(index)
    added = _added(fitted)
    occlusions: tuple[Occlusion, ...] = ()
    if view.occlude and fitted.num_tokens <= MAX_TOKENS:
        occlusions = _occlude(session, inputs, index, ~added, heads, options)
    return AttendedSequence(
        name=inputs.names[index],
        sequence=row,
        tokens=fitted.tokens,
        offsets=fitted.offsets,
        texts=_texts(fitted),
        added=added,
        layers=tuple(maps.layers),
        probabilities=computed.probabilities,
        value_norms=computed.value_norms,
        rollout=computed.rollout,
        occlusions=occlusions,
        predictions=heads.predictions,
        token_predictions=heads.token_predictions,
        similarity=None if other is None else _split(session, inputs, index, other, options),
        values=_values(session, row, fitted),
        truncated=fitted.truncated,
    )


def _occlude(
    session: Session,
    inputs: _Inputs,
    index: int,
    content: np.ndarray,
    heads: HeadResults,
    options: RunOptions,
) -> tuple[Occlusion, ...]:
    """Without `to`, of a head that pools; of the sequence's own vector if there is no such head."""
    fitted, other = inputs.fitted[index], inputs.other(index)
    positions = np.flatnonzero(content)
    if fitted.num_tokens < 2:
        return ()
    if inputs.vectors is None and heads.pooled_run is not None:
        return of_head(heads.pooled_run, positions)
    other_d = None if inputs.vectors is None or other is None else inputs.vectors[other]
    return (of_vector(session, fitted, positions, other_d, options),)


def _split(
    session: Session, inputs: _Inputs, index: int, other: int, options: RunOptions
) -> SimilaritySplit:
    if inputs.vectors is None:
        raise ValueError("there is no similarity")
    cosine = float(inputs.vectors[index] @ inputs.vectors[other])
    parts = split_cosine(session, inputs.fitted[index], inputs.fitted[other], options)
    return SimilaritySplit(cosine, parts)


def _added(fitted: FittedSequence) -> np.ndarray:
    """Whether each position holds a special token or belongs to the prompt, bool (L,)."""
    added = np.ones(fitted.num_tokens, dtype=bool)
    added[fitted.content_positions] = False
    tokenized = fitted.tokenized
    added[: tokenized.prefix + tokenized.prompt] = True
    return added


def _texts(fitted: FittedSequence) -> np.ndarray:
    """The text of a pair that each position belongs to: 0, or 1 for the second; int64 (L,)."""
    tokenized = fitted.tokenized
    if tokenized.first is None:
        return np.zeros(fitted.num_tokens, dtype=np.int64)
    second = tokenized.prefix + tokenized.first + tokenized.middle
    return (fitted.positions >= second).astype(np.int64)


def _values(session: Session, row: Any, fitted: FittedSequence) -> np.ndarray | None:
    """The values of a series as given, float32 (L, channels); None for other sequences.

    Of a patch, those of its first position.
    """
    if session.spec.config.input != "vectors":
        return None
    patch = session.reader.series.patch if isinstance(session.reader, SeriesReader) else 1
    values: np.ndarray = np.asarray(row, dtype=np.float32)[fitted.positions * patch]
    return values


def _describe(session: Session, source: str | None) -> str:
    config, backend = session.spec.config, session.backend
    if source is None:
        arguments = session.load_arguments
        source = os.fspath(session.path if arguments is None else arguments.source)
    return f"{source}: {config.num_layers} layers, {backend.name} backend in {backend.precision}"
