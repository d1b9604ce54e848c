"""Texts of a call that are tokenized while others are computed."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.errors import InputError, SequenceTooLong, TruncationWarning, UnknownTokenWarning
from bothways.inference import reading_ahead
from bothways.inference.session import Session
from bothways.sequences import SymbolReader

TEXTS = [("MKVGAWLIKF" * 3)[i % 7 : i % 7 + 1 + i % 11] for i in range(50)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=len(alphabet), max_length=16
    )
    folder: Path = tmp_path_factory.mktemp("models") / "proteins"
    return bothways.load(bothways.create(folder, config, SymbolReader(alphabet)))


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the chunks that are read, of at least 4 texts and at most 8."""
    sizes: list[int] = []
    prepare = Session.prepare

    def record(session: Session, rows: Sequence[Any], options: Any) -> Any:
        sizes.append(len(rows))
        return prepare(session, rows, options)

    monkeypatch.setattr(reading_ahead, "FIRST_ROWS", 4)
    monkeypatch.setattr(reading_ahead, "MAX_ROWS", 8)
    monkeypatch.setattr(Session, "prepare", record)
    return sizes


def progress(done: int, total: int) -> None:
    """Reports nothing; with it, all texts are read first."""


def test_chunks_grow_and_change_no_bit(encoder: Encoder, chunks: list[int]) -> None:
    vectors = encoder.encode(TEXTS)
    assert chunks == [4, 8, 8, 8, 8, 8, 6]
    whole = encoder.encode(TEXTS, progress=progress)
    assert chunks[7:] == [50]
    assert np.array_equal(vectors, whole)


def test_the_last_chunk_is_not_small(encoder: Encoder, chunks: list[int]) -> None:
    encoder.encode(TEXTS[:14])
    assert chunks == [4, 10]


def test_facts_of_all_chunks_are_returned(encoder: Encoder, chunks: list[int]) -> None:
    texts = [*TEXTS, "M" * 40, "X" * 6]
    result = encoder.encode_detailed(texts)
    whole = encoder.encode_detailed(texts, progress=progress)
    assert len(chunks) > 2
    for name in ("vectors", "num_tokens", "truncated", "num_unknown", "mostly_unknown"):
        assert np.array_equal(getattr(result, name), getattr(whole, name)), name
    assert result.truncated[50]


def test_warnings_count_all_chunks(encoder: Encoder, chunks: list[int]) -> None:
    texts = [*TEXTS, "M" * 40, *TEXTS, "M" * 40]
    with pytest.warns(TruncationWarning, match="2 of 102 sequences") as caught:
        encoder.encode(texts)
    assert [Path(warning.filename) for warning in caught] == [Path(__file__)]


def test_unknown_tokens_are_counted_with_the_index_of_the_first(
    encoder: Encoder, chunks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder.session, "mostly_unknown", lambda fitted: [1])
    with pytest.warns(UnknownTokenWarning, match="2 of 14 .* the first is sequence 1:"):
        encoder.encode(TEXTS[:14])


class SlowBackend:
    """Computes only when the texts of the next chunk are read."""

    def __init__(self, backend: Any, next_is_read: threading.Event) -> None:
        self._backend, self._next_is_read = backend, next_is_read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def pool(self, *args: Any, **options: Any) -> Any:
        assert self._next_is_read.wait(10)
        return self._backend.pool(*args, **options)


def test_the_next_texts_are_read_while_the_last_ones_are_computed(
    encoder: Encoder, chunks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()
    prepare = Session.prepare

    def record(session: Session, rows: Sequence[Any], options: Any) -> Any:
        if len(chunks) == 1:
            second.set()
        return prepare(session, rows, options)

    monkeypatch.setattr(Session, "prepare", record)
    monkeypatch.setattr(encoder.session, "backend", SlowBackend(encoder.session.backend, second))
    assert encoder.encode(TEXTS).shape == (50, 8)


def test_no_more_than_two_chunks_are_in_memory(
    encoder: Encoder, chunks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = []
    pool = Session.pool

    def record(session: Session, fitted: Any, *args: Any) -> Any:
        vectors = pool(session, fitted, *args)
        ahead.append(len(chunks) - len(ahead) - 1)
        return vectors

    monkeypatch.setattr(Session, "pool", record)
    encoder.encode(TEXTS)
    assert max(ahead) <= 1


def test_errors_name_the_row_of_the_call(
    encoder: Encoder, chunks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(session: Session, rows: Sequence[Any], options: Any) -> Any:
        if TEXTS[20] in rows and len(rows) < 50:
            raise SequenceTooLong("refused", sequence=rows.index(TEXTS[20]))
        return prepare(session, rows, options)

    prepare = Session.prepare
    monkeypatch.setattr(Session, "prepare", refuse)
    texts = [*TEXTS[:20], "WWWWWWWW", *TEXTS[20:]]
    with pytest.raises(SequenceTooLong, match="sequence 21: refused") as caught:
        encoder.encode(texts)
    assert caught.value.sequence == 21
    assert threading.active_count() < 20


def test_an_error_of_a_vector_names_the_row_of_the_call(
    encoder: Encoder, chunks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Session.pool

    def fail(session: Session, fitted: Any, *args: Any) -> Any:
        if len(chunks) > 3:
            raise InputError("not finite", sequence=2)
        return pool(session, fitted, *args)

    monkeypatch.setattr(Session, "pool", fail)
    with pytest.raises(InputError, match=r"sequence (14|22|30|38): not finite"):
        encoder.encode(TEXTS)


@pytest.mark.parametrize(
    ("options", "bad"),
    [
        ({"on_overflow": "error"}, "M" * 40),
        ({}, "K\ud800"),
        ({}, 3.5),
    ],
)
def test_what_can_be_refused_is_read_before_anything_is_computed(
    encoder: Encoder, chunks: list[int], monkeypatch: pytest.MonkeyPatch, options: Any, bad: Any
) -> None:
    monkeypatch.setattr(Session, "pool", lambda *args: pytest.fail("computed"))
    with pytest.raises(InputError, match="sequence 50"):
        encoder.encode([*TEXTS, bad], **options)
    assert chunks == [51]
