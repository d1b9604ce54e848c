"""Late interaction: one vector per token of a query or of a document, as ColBERT makes them.

L positions of a text; D model width; d dimensions of a vector.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.inference.finite import check_states
from bothways.inference.inputs import as_inputs
from bothways.inference.maxsim import maxsim
from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.predict.vocabulary import mask_token_id
from bothways.inference.prompts import PromptRole
from bothways.inference.runner import truncated
from bothways.inference.session import Session
from bothways.io.progress import show_progress
from bothways.model.late_interaction import LateInteraction, QueryExpansion
from bothways.model.packing import PackedBatch, plan_batches
from bothways.sequences import FittedSequence, Tokenized
from bothways.sequences.text import TextReader

__all__ = ["multi_vector", "rank_by_maxsim"]


class _TokenIds(NamedTuple):
    """A text as an encoder reads it.

    ids: int64 (L,). num_keys: the first positions, which all attend to; the others are added by
    query expansion. has_vector: which positions get a vector, bool (L,).
    """

    ids: np.ndarray
    num_keys: int
    has_vector: np.ndarray


def multi_vector(
    session: Session, texts: Any, *, role: PromptRole, options: RunOptions
) -> np.ndarray | list[np.ndarray]:
    """The vectors of each text, float32 (tokens, d); of one alone for a single text.

    Raises:
        InputError: naming the text that is invalid; if the model is none of late interaction.
    """
    rows, single = as_inputs(texts, session.for_task(role).reader)
    vectors, _ = _vectors(session, rows, role, options)
    return vectors[0] if single else vectors


def rank_by_maxsim(
    session: Session, query: Any, documents: Any, options: RunOptions
) -> tuple[np.ndarray, np.ndarray]:
    """The score of each document for a query, float32 (n,), and whether it was cut, bool (n,).

    Raises:
        InputError: as `multi_vector`.
    """
    (query_vectors,), _ = _vectors(session, [query], "query", options)
    plain = dataclasses.replace(options, prompt=None, prompt_name=None)  # those are of the query
    document_vectors, cut = _vectors(session, documents, "document", plain)
    return maxsim(query_vectors, document_vectors), cut


def _vectors(
    session: Session, rows: Sequence[Any], role: PromptRole, options: RunOptions
) -> tuple[list[np.ndarray], np.ndarray]:
    """The vectors of each text, and whether it was cut, bool (n,)."""
    session = session.for_task(role)
    settings, reader = _settings(session)
    if role not in ("query", "document"):
        raise InputError(f"role={role!r}: expected 'query' or 'document'")
    for index, row in enumerate(rows):
        if not isinstance(row, str):
            raise InputError("expected a text", sequence=index)
    marker, prompt = _marker(reader, session.prompt(_with_role(options, role)).text, settings)
    max_length = _max_length(session, settings, role, options)
    tokenized = session.tokenize(rows, prompt)
    fitted = session.fit(tokenized, options.on_overflow, max_length - len(marker))
    session.warn(rows, fitted, dataclasses.replace(options, max_length=max_length))
    expansion = settings.expansion if role == "query" else None
    skipped = _skipped_ids(reader, settings) if role in settings.skipping_roles else None
    token = None if expansion is None else _expansion_token(session, reader, expansion)
    read = [_token_ids(f, marker, expansion, token, skipped) for f in fitted]
    vectors: dict[int, np.ndarray] = {}
    with show_progress(options.progress, sum(len(r.ids) for r in read)) as advance:
        for batch in plan_batches([len(r.ids) for r in read], options.batch_tokens):
            packed = _pack([read[i] for i in batch])
            (states,) = session.backend.hidden_states(packed, [session.spec.config.num_layers])
            for i, states_LD in zip(batch.tolist(), packed.split(states), strict=True):
                check_states(session.backend, fitted[i], states_LD, i)
                kept = states_LD[read[i].has_vector]
                vectors[i] = session.finish(kept, VectorOptions())
            advance(packed.num_tokens)
    return [vectors[i] for i in range(len(rows))], truncated(fitted)


def _settings(session: Session) -> tuple[LateInteraction, TextReader]:
    settings = session.spec.late_interaction
    if settings is None:
        raise InputError(
            "this model has one vector per sequence: use encode; multi_vector needs a model of "
            "late interaction"
        )
    if not isinstance(session.reader, TextReader):
        raise InputError("this model has no tokenizer, and multi_vector reads texts")
    return settings, session.reader


def _with_role(options: RunOptions, role: PromptRole) -> RunOptions:
    given = options.prompt is not None or options.prompt_name is not None
    return options if given else dataclasses.replace(options, role=role)


def _max_length(
    session: Session, settings: LateInteraction, role: PromptRole, options: RunOptions
) -> int:
    """The longest text of this role, in tokens, with special tokens and marker."""
    if options.max_length is not None:
        return session.max_length_of(options)
    length = settings.document_length
    if role == "query":
        expansion, length = settings.expansion, settings.query_length
        if expansion is not None:
            length = max(length or session.max_length, expansion.length)
            length = length if expansion.is_minimum else expansion.length
    return min(length or session.max_length, session.spec.config.max_length)


def _marker(reader: TextReader, prompt: str, settings: LateInteraction) -> tuple[list[int], str]:
    """The id of the marker that a prompt begins with, if it does, and the rest of the prompt.

    A marker is a token of the vocabulary: the whole prompt, or its first word.
    """
    if settings.has_markers and prompt.split():
        for marker in (prompt, prompt.split(None, 1)[0]):
            if (index := reader.vocabulary.get(marker)) is not None:
                return [index], prompt[prompt.index(marker) + len(marker) :]
    return [], prompt


def _skipped_ids(reader: TextReader, settings: LateInteraction) -> np.ndarray:
    """The ids of the tokens that get no vector; words that are no single token are ignored."""
    unknown = getattr(reader.tokenizer.model, "unk_token", None)
    ids = [reader.vocabulary.get(word) for word in settings.skipped_words if word != unknown]
    return np.array([index for index in ids if index is not None], dtype=np.int64)


def _expansion_token(session: Session, reader: TextReader, expansion: QueryExpansion) -> int:
    if expansion.token is None:
        return mask_token_id(session)
    token = reader.vocabulary.get(expansion.token)
    if token is None:
        raise InputError(
            f"the model expands queries with {expansion.token!r}, which its vocabulary lacks"
        )
    return token


def _token_ids(
    fitted: FittedSequence,
    marker: list[int],
    expansion: QueryExpansion | None,
    token: int | None,
    skipped: np.ndarray | None,
) -> _TokenIds:
    tokenized: Tokenized = fitted.tokenized
    values = fitted.windows[0]
    ids = np.concatenate(
        [values[: tokenized.prefix], np.array(marker, np.int64), values[tokenized.prefix :]]
    )
    num_keys = len(ids)
    has_vector = np.ones(num_keys, bool) if skipped is None else ~np.isin(ids, skipped)
    if expansion is None or token is None or expansion.length <= num_keys:
        return _TokenIds(ids, num_keys, has_vector)
    added = expansion.length - num_keys
    ids = np.concatenate([ids, np.full(added, token, np.int64)])
    is_skipped = skipped is not None and bool(np.isin(token, skipped))
    has_vector = np.concatenate([has_vector, np.full(added, not is_skipped)])
    return _TokenIds(ids, len(ids) if expansion.is_attended else num_keys, has_vector)


def _pack(read: Sequence[_TokenIds]) -> PackedBatch:
    packed = PackedBatch.of([r.ids for r in read])
    num_keys = np.array([r.num_keys for r in read], np.int64)
    return dataclasses.replace(
        packed, num_keys=None if (num_keys == packed.lengths).all() else num_keys
    )
