"""Numeric series: standardized, stored, or refused with position and channel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bothways.errors import CheckpointError, InputError
from bothways.sequences import Series, SeriesReader
from bothways.sequences.series import SERIES_FILE

FLOAT32 = 1e-6
"""Relative rounding of float32, with room for the few operations of standardizing."""

TWO = Series(mean=(1.0, -2.0), std=(2.0, 0.5))


def test_values_are_standardized_channel_by_channel() -> None:
    (tokenized,) = SeriesReader(TWO).read([np.array([[1.0, -2.0], [3.0, -1.0]])])
    assert tokenized.values.dtype == np.float32
    assert tokenized.values.tolist() == [[0.0, 0.0], [1.0, 2.0]]
    assert tokenized.tokens == ["0", "1"]
    assert tokenized.offsets is None
    assert (tokenized.prefix, tokenized.suffix) == (0, 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint64])
def test_numbers_of_any_type_are_read(dtype: type) -> None:
    (tokenized,) = SeriesReader(Series.as_is(2)).read([np.array([[1, 2], [3, 4]], dtype=dtype)])
    assert tokenized.values.tolist() == [[1, 2], [3, 4]]


def test_series_may_be_lists_of_arrays_lists_of_lists_or_one_array() -> None:
    cube = np.arange(12.0).reshape(2, 3, 2)
    reader = SeriesReader(TWO)
    forms: list[Any] = [cube, list(cube), cube.tolist(), tuple(cube)]
    for given_as in forms:
        values = np.stack([t.values for t in reader.read(given_as)])
        np.testing.assert_array_equal(values, (cube - TWO.mean) / TWO.std)


def test_reading_does_not_change_the_input() -> None:
    x = np.ones((3, 2), dtype=np.float32)
    SeriesReader(TWO).read([x])
    assert (x == 1).all()
    (as_is,) = SeriesReader(Series.as_is(2)).read([x])
    as_is.values[:] = 7
    assert (x == 1).all()


@pytest.mark.parametrize(
    ("sequence", "named"),
    [
        (np.zeros((0, 2)), "a series of length 0"),
        ([], "a series of length 0"),
        (np.zeros((3, 3)), r"shape \(3, 3\); expected \(length, 2\)"),
        (np.zeros((3, 0)), r"shape \(3, 0\); expected \(length, 2\)"),
        (np.zeros(3), r"shape \(3,\); expected \(length, 2\); write series\[:, None\]"),
        (np.zeros((1, 3, 2)), r"shape \(1, 3, 2\)"),
        (np.array(1.0), r"shape \(\); expected"),
        ([[1.0, 2.0], [3.0]], "rows of unequal length"),
        ([[1.0, None]], "got object array"),
        (np.array([["a", "b"]]), "got <U1 array"),
        (np.ones((2, 2), dtype=bool), "got bool array"),
        (np.ones((2, 2), dtype=complex), "got complex128 array"),
        (None, "got None; expected numbers"),
        ("abc", "got str"),
        (3.0, "got float"),
        (np.array([[0, 0], [0, np.nan]]), "position 1, channel 1: nan; expected a finite"),
        (np.array([[0, 0], [-np.inf, 0]]), "position 1, channel 0: -inf"),
        (np.array([[0.0, 1e300]]), "position 0, channel 1: 1e.300 is too large for float32"),
        (np.array([[0.0, 1.7e308]]), "position 0, channel 1: 1.7e.308 is too large"),
    ],
)
def test_a_value_that_is_not_a_series_is_refused_with_its_position(
    sequence: Any, named: str
) -> None:
    with pytest.raises(InputError, match=f"^sequence 1: {named}") as error:
        SeriesReader(TWO).read([np.zeros((1, 2)), sequence])
    assert error.value.sequence == 1


def test_a_prompt_is_refused() -> None:
    reader = SeriesReader(TWO)
    assert reader.prompt_length("") == 0
    with pytest.raises(InputError, match="a prompt is text"):
        reader.read([np.zeros((1, 2))], prompt="query: ")


@settings(deadline=None)
@given(
    st.lists(
        hnp.arrays(
            np.float64,
            st.tuples(st.integers(1, 20), st.just(3)),
            elements=st.floats(-1e3, 1e3),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_standardized_data_has_mean_0_and_standard_deviation_1(sequences: list[np.ndarray]) -> None:
    series = Series.from_sequences(sequences)
    together = np.concatenate(sequences)
    np.testing.assert_allclose(series.mean, together.mean(axis=0), atol=1e-9)  # float64 sums
    expected = together.std(axis=0)
    for value, target in zip(series.std, expected, strict=True):
        assert value == pytest.approx(target, abs=1e-6) or (target < 1e-6 and value > 0)


def test_a_constant_channel_is_only_shifted() -> None:
    series = Series.from_sequences([np.full((4, 1), 5.0), np.full((2, 1), 5.0)])
    assert (series.mean, series.std) == ((5.0,), (1.0,))


def test_one_pass_is_as_exact_as_two() -> None:
    generator = np.random.default_rng(0)
    chunks = [1e6 + generator.normal(size=(length, 1)) for length in (1, 500, 7, 2000)]
    series = Series.from_sequences(iter(chunks))
    together = np.concatenate(chunks)
    assert series.mean[0] == pytest.approx(together.mean(), rel=1e-12)  # float64
    assert series.std[0] == pytest.approx(together.std(), rel=FLOAT32)


def test_empty_data_and_unequal_channels_are_refused() -> None:
    with pytest.raises(InputError, match="no sequences"):
        Series.from_sequences([])
    with pytest.raises(InputError, match=r"^sequence 1: shape \(2, 3\); expected \(length, 2\)"):
        Series.from_sequences([np.ones((2, 2)), np.ones((2, 3))])
    with pytest.raises(InputError, match=r"^sequence 0: position 0, channel 0: nan"):
        Series.from_sequences([np.full((2, 2), np.nan)])
    with pytest.raises(InputError, match=r"^sequence 0: shape \(2, 0\); expected \(length, chann"):
        Series.from_sequences([np.ones((2, 0))])


@settings(deadline=None)
@given(
    channels=st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats(1e-300, 1e300)),
        min_size=1,
        max_size=5,
    )
)
def test_series_round_trip_through_their_file(
    channels: list[tuple[float, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    series = Series(tuple(mean for mean, _ in channels), tuple(std for _, std in channels))
    folder = tmp_path_factory.mktemp("series")
    SeriesReader(series).save(folder)
    assert Series.open(folder / SERIES_FILE) == series


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"format": "other"}, "format='other'"),
        ({"mean": None}, "mean is None; expected a list"),
        ({"std": [1.0]}, "2 means and 1 standard deviations"),
        ({"mean": [], "std": []}, "0 means"),
        ({"mean": [0, "1"]}, r"mean\[1\] is str; expected a number"),
        ({"mean": [0, True]}, r"mean\[1\] is bool"),
        ({"mean": [0, float("nan")]}, "NaN is not a JSON number"),
        ({"mean": [0, 10**400]}, r"mean\[1\]=1000"),
        ({"std": [1, 0]}, r"std\[1\]=0: expected a finite number above 0"),
        ({"std": [1, -1.0]}, r"std\[1\]=-1.0"),
        ({"std": [1, float("inf")]}, "Infinity is not a JSON number"),
        ({"names": ["a", "b"]}, "expected format, mean and std"),
    ],
)
def test_a_malformed_series_file_is_an_error_that_names_the_field(
    tmp_path: Path, fields: dict[str, Any], named: str
) -> None:
    TWO.save(tmp_path / SERIES_FILE)
    whole = json.loads((tmp_path / SERIES_FILE).read_text(encoding="utf-8"))
    (tmp_path / SERIES_FILE).write_text(json.dumps({**whole, **fields}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=rf"series\.json: .*{named}"):
        Series.open(tmp_path / SERIES_FILE)


def test_a_masked_value_is_refused_with_its_place() -> None:
    masked: Any = np.ma.array(np.zeros((3, 2)), mask=np.array([[0, 0], [0, 1], [0, 0]], dtype=bool))
    reader = SeriesReader(Series.as_is(2))
    with pytest.raises(InputError, match="sequence 1: position 1, channel 1: masked; expected a f"):
        reader.read([np.zeros((3, 2)), masked])
    with pytest.raises(InputError, match="sequence 0: position 1, channel 1: masked"):
        Series.from_sequences([masked])
    with pytest.raises(InputError, match="sequence 0: position 1, channel 1: masked"):
        reader.read([list(masked)])


def test_a_masked_array_without_masked_values_is_an_array() -> None:
    array = np.arange(6.0).reshape(3, 2)
    reader = SeriesReader(Series.as_is(2))
    (expected,), (read,) = reader.read([array]), reader.read([np.ma.array(array)])
    assert not np.ma.isMaskedArray(read.values)
    np.testing.assert_array_equal(read.values, expected.values)
