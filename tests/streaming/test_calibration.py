"""Samples of rows, and the ranges of their vectors."""

from pathlib import Path

import numpy as np
import pytest

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.files import Place, Row
from bothways.sequences import SymbolReader
from bothways.streaming.calibration import measure_ranges, sample_rows
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.settings import EncodeSettings


def rows(*values: str) -> list[Row]:
    return [Row(str(i), value, Place("x.txt", i + 1)) for i, value in enumerate(values)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=len(alphabet), max_length=16
    )
    folder: Path = tmp_path_factory.mktemp("models") / "proteins"
    return bothways.load(bothways.create(folder, config, SymbolReader(alphabet)))


def test_a_sample_is_the_same_each_time_and_from_all_of_the_rows() -> None:
    every = rows(*map(str, range(2000)))
    sample = sample_rows(every, 100)
    assert sample == sample_rows(iter(every), 100)
    places = sorted(row.place.row for row in sample)
    assert len(set(places)) == 100
    assert 700 < np.mean(places) < 1300
    assert sample_rows(every[:50], 100) == every[:50]


def test_rows_that_cannot_be_encoded_do_not_count(encoder: Encoder) -> None:
    settings, plan = EncodeSettings(on_overflow="error"), ChunkPlan(rows=2, longest_row=30)
    expected = measure_ranges(encoder, rows("MKV", "LAT", "CC"), settings, plan)
    sample = rows("MKV", "M" * 20, "LAT", "M" * 40, "CC")
    assert np.array_equal(measure_ranges(encoder, sample, settings, plan), expected)


def test_few_rows_have_symmetric_ranges(encoder: Encoder) -> None:
    settings, plan = EncodeSettings(), ChunkPlan()
    vector = encoder.encode("MKV")
    ranges = measure_ranges(encoder, rows("MKV"), settings, plan)
    assert np.array_equal(ranges, np.stack([-np.abs(vector), np.abs(vector)]))
    assert np.array_equal(measure_ranges(encoder, [], settings, plan), [[-1] * 8, [1] * 8])
