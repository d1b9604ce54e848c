"""Series in .npy and .npz files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.files import FileOptions, ReadProgress, read_rows

SERIES = np.arange(12.0).reshape(2, 3, 2)


def test_an_array_is_a_series_or_a_batch_of_series(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    for array, expected in [
        (SERIES[0].astype(np.float32), [SERIES[0]]),
        (SERIES.astype(np.int16), list(SERIES)),
        (SERIES[0, :, 0], [SERIES[0, :, :1]]),
        (np.asfortranarray(SERIES), list(SERIES)),
    ]:
        np.save(path, array)
        read_progress = ReadProgress([str(path)])
        rows = list(read_rows([str(path)], kind="series", read_progress=read_progress))
        assert [row.id for row in rows] == [str(i) for i in range(len(expected))]
        assert all(row.value.dtype == np.float64 for row in rows)
        np.testing.assert_array_equal([row.value for row in rows], expected)
        assert read_progress.fraction == 1


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_arrays_of_npz_may_differ_in_length_and_name_their_series(
    tmp_path: Path, save: Callable[..., None]
) -> None:
    path = tmp_path / "x.npz"
    save(path, long=SERIES[0], short=SERIES[0][:1], both=SERIES)
    rows = list(read_rows([str(path)], kind="series"))
    assert [row.id for row in rows] == ["long", "short", "both/0", "both/1"]
    assert [row.value.shape for row in rows] == [(3, 2), (1, 2), (3, 2), (3, 2)]
    assert str(rows[1].place).endswith("x.npz, row 2, column 'short'")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 2, 3, 4)), r"has shape \(1, 2, 3, 4\); expected \(length, channels\)"),
        (np.array(["a"]), "holds <U1; expected numbers"),
        (np.array([True]), "holds bool; expected numbers"),
        (np.zeros((40, 40)), "a series of more than 10,000 bytes"),
    ],
)
def test_another_array_is_an_error(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataFileError, match=rf"x\.npy, row 1: {message}"):
        list(
            read_rows(
                [str(tmp_path / "x.npy")], kind="series", options=FileOptions(max_row_size=10_000)
            )
        )


def test_pickled_and_damaged_files_are_errors(tmp_path: Path) -> None:
    objects, array = tmp_path / "o.npy", tmp_path / "x.npy"
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    np.save(array, SERIES)
    content = array.read_bytes()
    header = content.replace(b"'shape': (2, 3, 2)", b"'shape': ((((((2,3")
    paths = [objects]
    for name, damaged in {
        "a.npy": content[:-1],
        "b.npy": b"",
        "c.npy": b"text",
        "d.npy": header,
        "e.npz": content,
        "f.npz": b"PK\x03\x04",
    }.items():
        (tmp_path / name).write_bytes(damaged)
        paths.append(tmp_path / name)
    for path in paths:
        with pytest.raises(DataFileError, match=path.name):
            list(read_rows([str(path)], kind="series"))


def test_models_of_text_refuse_arrays_and_arrays_have_no_columns(tmp_path: Path) -> None:
    path = str(tmp_path / "x.npy")
    np.save(path, SERIES)
    with pytest.raises(DataFileError, match=r"\.npy files hold series, and this model reads text"):
        list(read_rows([path]))
    with pytest.raises(DataFileError, match="no column 'x'"):
        list(read_rows([path], kind="series", column="x"))
