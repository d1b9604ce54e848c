"""Rows are encoded in chunks: sizes of chunks, totals, and the rows that errors name."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from bothways import Encoder
from bothways.cli.models import EncodeSettings
from bothways.cli.streaming import Totals, encode_rows
from bothways.errors import InputError, SequenceTooLong
from bothways.files import Place, ReadProgress, Row, VectorBatch
from bothways.files.kept_cells import NO_CELLS, KeptCells
from bothways.inference.vectors import SequenceVectors
from bothways.streaming.chunks import split_into_chunks
from bothways.streaming.memory import ChunkPlan


def rows(*values: Any) -> list[Row]:
    return [Row(f"id-{i}", value, Place("x.csv", i + 1)) for i, value in enumerate(values)]


@dataclasses.dataclass
class CountingEncoder:
    """Gives each text the vector [its length], four tokens, and cuts those longer than 8."""

    calls: list[list[str]] = dataclasses.field(default_factory=list)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    reader: ClassVar[None] = None

    def prepare(self, texts: Sequence[str], **_: Any) -> Sequence[str]:
        return texts

    def encode_detailed(self, texts: Sequence[str], **options: Any) -> SequenceVectors:
        self.calls.append(list(texts))
        self.options = options
        for index, text in enumerate(texts):
            if text == "bad":
                raise SequenceTooLong("is bad", sequence=index)
            if text == "broken":
                raise InputError("all is broken")
            options["progress"](4 * (index + 1), 4 * len(texts))
        lengths = np.array([len(text) for text in texts])
        vectors = lengths[:, None].astype(np.float32)
        mostly_unknown = np.array(["?" in text for text in texts], dtype=bool)
        return SequenceVectors(
            vectors, np.full(len(texts), 4), lengths > 8, 2 * mostly_unknown, mostly_unknown
        )


@dataclasses.dataclass
class KeepingWriter:
    parts: list[VectorBatch] = dataclasses.field(default_factory=list)

    def write(self, batch: VectorBatch, kept: KeptCells = NO_CELLS) -> None:
        self.parts.append(batch)

    def finish(self) -> None:
        """Nothing to do."""


def encode(
    given: list[Row], plan: ChunkPlan, settings: EncodeSettings | None = None
) -> tuple[Totals, CountingEncoder, KeepingWriter, list[tuple[int, float | None]]]:
    encoder, writer = CountingEncoder(), KeepingWriter()
    reports: list[tuple[int, float | None]] = []
    totals = encode_rows(
        cast(Encoder, encoder),
        given,
        writer,
        settings=settings or EncodeSettings(),
        plan=plan,
        read_progress=ReadProgress([]),
        report=lambda tokens, share: reports.append((tokens, share)),
    )
    return totals, encoder, writer, reports


def test_chunks_are_full_by_rows_or_by_characters() -> None:
    plan = ChunkPlan(rows=3, characters=10)
    cut = split_into_chunks(rows("aa", "bb", "cc", "dd", "e" * 7, "f" * 3, "g"), plan)
    assert [[row.value for row in chunk] for chunk in cut] == [
        ["aa", "bb", "cc"],
        ["dd", "e" * 7],
        ["f" * 3, "g"],
    ]


def test_a_row_longer_than_a_chunk_is_a_chunk_of_its_own() -> None:
    cut = split_into_chunks(rows("a", "b" * 50, "c"), ChunkPlan(rows=3, characters=10))
    assert [len(chunk) for chunk in cut] == [1, 1, 1]


def test_symbols_and_numbers_are_counted() -> None:
    plan = ChunkPlan(rows=100, characters=10)
    assert [len(chunk) for chunk in split_into_chunks(rows(*[["buy", "sell"]] * 3), plan)] == [
        1,
        1,
        1,
    ]
    assert [len(chunk) for chunk in split_into_chunks(rows(*[np.zeros((20, 1))] * 3), plan)] == [
        2,
        1,
    ]


def test_a_row_above_the_memory_limit_is_an_error_with_its_place() -> None:
    plan = ChunkPlan(longest_row=10)
    with pytest.raises(
        InputError, match=r"x\.csv, row 2: 11 characters, .* leaves room for only 10"
    ):
        list(split_into_chunks(rows("a", "b" * 11), plan))


def test_a_query_counts_in_each_row() -> None:
    plan = ChunkPlan(rows=100, characters=10, characters_beside=4)
    assert [len(chunk) for chunk in split_into_chunks(rows("a", "b", "c"), plan)] == [2, 1]


def test_no_rows_give_no_chunks() -> None:
    assert list(split_into_chunks([], ChunkPlan())) == []
    totals, encoder, writer, _ = encode([], ChunkPlan())
    assert (totals, encoder.calls, writer.parts) == (Totals(), [], [])


def test_rows_are_written_in_order_with_their_names_and_counted() -> None:
    texts = [f"{'x' * i}" for i in range(10)]
    totals, encoder, writer, _ = encode(rows(*texts), ChunkPlan(rows=4))
    assert encoder.calls == [texts[:4], texts[4:8], texts[8:]]
    assert [row_id for part in writer.parts for row_id in part.ids] == [
        f"id-{i}" for i in range(10)
    ]
    assert [text for part in writer.parts for text in part.texts] == texts
    assert np.concatenate([part.vectors for part in writer.parts])[:, 0].tolist() == list(range(10))
    assert totals == Totals(rows=10, tokens=40, truncated=1)


def test_the_settings_reach_the_encoder() -> None:
    settings = EncodeSettings("cls", False, 3, "query: ", "window")
    _, encoder, _, _ = encode(rows("a"), ChunkPlan(batch_tokens=77), settings)
    del encoder.options["progress"]
    assert encoder.options == {
        "pooling": "cls",
        "normalize": False,
        "dimensions": 3,
        "prompt": "query: ",
        "prompt_name": None,
        "role": None,
        "on_overflow": "window",
        "on_unknown": "warn",
        "max_tokens": 77,
    }


def test_rows_of_unknown_tokens_are_counted_and_the_first_is_named() -> None:
    totals, _, writer, _ = encode(rows("known", "?", "a ?"), ChunkPlan(rows=2))
    assert totals.unknown == 2
    assert totals.first_unknown.startswith("x.csv, row 2; ")
    assert np.concatenate([part.num_unknown for part in writer.parts]).tolist() == [0, 2, 2]


def test_rows_that_are_not_text_are_written_without_text() -> None:
    part = VectorBatch(
        ["a"], [None], np.zeros((1, 1), np.float32), np.ones(1), np.ones(1), np.zeros(1, bool)
    )
    _, _, writer, _ = encode(rows("text"), ChunkPlan())
    assert writer.parts[0].texts == ["text"]
    assert part.texts == [None]


@pytest.mark.parametrize("place", [0, 5])
def test_an_invalid_sequence_is_named_by_its_place_in_the_file(place: int) -> None:
    texts = ["fine"] * 6
    texts[place] = "bad"
    with pytest.raises(InputError, match=rf"^x\.csv, row {place + 1}: is bad$"):
        encode(rows(*texts), ChunkPlan(rows=2))


def test_an_error_without_a_sequence_is_unchanged() -> None:
    with pytest.raises(InputError, match=r"^all is broken$"):
        encode(rows("broken"), ChunkPlan())


def test_tokens_are_reported_over_all_chunks_and_the_fraction_is_unknown_without_files() -> None:
    _, _, _, reports = encode(rows(*"abcde"), ChunkPlan(rows=2))
    assert reports == [(4, None), (8, None), (12, None), (16, None), (20, None)]


def test_the_fraction_grows_from_0_to_1_within_and_between_chunks() -> None:
    class Halves:
        """Progress of reading: 1/2 after the first chunk and 1 after the second."""

        shares = iter([0.5, 1.0])

        @property
        def fraction(self) -> float:
            return next(self.shares)

    reported: list[float | None] = []
    encode_rows(
        cast(Encoder, CountingEncoder()),
        rows(*"abcd"),
        KeepingWriter(),
        settings=EncodeSettings(),
        plan=ChunkPlan(rows=2),
        read_progress=cast(ReadProgress, Halves()),
        report=lambda _, share: reported.append(share),
    )
    assert reported == [0.25, 0.5, 0.75, 1.0]
