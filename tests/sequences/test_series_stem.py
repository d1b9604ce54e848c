"""The stem of a series: patches with values, differences and random convolutions."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import CheckpointError, InputError
from bothways.sequences import Series, SeriesReader
from bothways.sequences.series import SERIES_FILE
from bothways.sequences.series_stem import Kernel

RNG = np.random.default_rng(0)
WALKS = [RNG.standard_normal((length, 2)).cumsum(axis=0) for length in (100, 90, 120)]
SERIES = Series.with_stem(lambda: WALKS)
STEM = SERIES.stem


def test_a_series_is_read_as_patches() -> None:
    assert STEM is not None
    (tokenized,) = SeriesReader(SERIES).read([WALKS[0]])
    assert STEM.patch == SERIES.patch == 3
    assert tokenized.values.shape == (34, SERIES.width) == (34, 3 * 3 * 2 + 1 + 256)
    assert tokenized.values.dtype == np.float32
    assert tokenized.tokens[:2] + tokenized.tokens[-1:] == ["0-2", "3-5", "99-99"]


def test_vectors_are_standardized() -> None:
    x = np.concatenate([each.values for each in SeriesReader(SERIES).read(WALKS)])
    assert np.allclose(x.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(x.std(axis=0)[x.std(axis=0) > 0], 1, atol=1e-4)


def test_a_kernel_is_a_dilated_convolution_with_continued_ends() -> None:
    kernel = Kernel(taps=(0, 3, 8), dilation=2, channels=(1,), bias=0.0)
    weights = np.full(9, -1.0)
    weights[[0, 3, 8]] = 2
    spread = np.zeros(17)
    spread[::2] = weights
    x = WALKS[0][:, 1]
    padded = np.concatenate([np.repeat(x[0], 8), x, np.repeat(x[-1], 8)])
    expected = np.correlate(padded, spread, mode="valid")
    assert np.allclose(kernel.output(WALKS[0]), expected)


def test_kernels_give_the_share_of_a_patch_above_their_bias() -> None:
    assert STEM is not None
    z = SERIES.standardize(WALKS[0])
    above = STEM.kernels[5].output(z) > STEM.kernels[5].bias
    share = STEM.features(z)[:, -256 + 5]
    assert np.allclose(share[:33], above[:99].reshape(33, 3).mean(axis=1))
    assert share[33] == above[99]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 100])
def test_the_series_can_be_recovered_from_its_vectors(length: int) -> None:
    assert STEM is not None
    z = SERIES.standardize(WALKS[0][:length])
    (tokenized,) = SeriesReader(SERIES).read([WALKS[0][:length]])
    recovered = STEM.values(tokenized.values)
    assert recovered.shape == z.shape
    assert np.allclose(recovered, z, atol=1e-5)


def test_short_series_have_a_vector_for_each_position() -> None:
    series = Series.with_stem(lambda: [walk[:20] for walk in WALKS])
    (tokenized,) = SeriesReader(series).read([WALKS[1][:20]])
    assert series.patch == 1
    assert tokenized.tokens == [str(position) for position in range(20)]


def test_a_stem_is_saved_with_its_series(tmp_path: Path) -> None:
    SeriesReader(SERIES).save(tmp_path)
    assert Series.open(tmp_path / SERIES_FILE) == SERIES
    plain = dataclasses.replace(SERIES, stem=None)
    plain.save(tmp_path / SERIES_FILE)
    assert json.loads((tmp_path / SERIES_FILE).read_text())["format"] == "bothways series 1"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"patch": 0}, "stem: patch: expected an integer"),
        ({"kernels": []}, "stem: kernels: expected a list"),
        ({"kernels": [[[0, 1, 9], 1, [0], 0.0]]}, "stem: kernels: expected taps"),
        ({"kernels": [[[0, 1, 2], 0, [0], 0.0]]}, "stem: kernels: expected taps"),
        ({"kernels": [[[0, 1, 2], 1, [2], 0.0]]}, "stem: kernels: expected taps"),
        ({"kernels": [[[0, 1], 1, [1], 0.0]]}, "stem: kernels: expected taps"),
        ({"mean": [1.0]}, "stem: mean: expected 275 numbers"),
        ({"std": [0.0] * 275}, "stem: std: expected finite numbers"),
        ({"more": 1}, "stem: expected patch, kernels, mean and std"),
    ],
)
def test_a_damaged_stem_is_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    file = tmp_path / SERIES_FILE
    SERIES.save(file)
    fields = json.loads(file.read_text())
    fields["stem"] |= changed
    file.write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=message):
        Series.open(file)


def test_differences_that_are_too_large_name_their_patch() -> None:
    assert STEM is not None
    stem = dataclasses.replace(STEM, std=(1e-30,) * STEM.width)
    reader = SeriesReader(dataclasses.replace(SERIES, stem=stem))
    x = np.full((6, 2), SERIES.mean)
    x[4] = 3e35
    with pytest.raises(InputError, match="differences are too large for float32") as error:
        reader.read([x])
    assert error.value.sequence == 0
