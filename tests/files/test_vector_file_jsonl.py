"""Reading vectors in .jsonl files, also joined and compressed, and malformed ones."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.files import Origin, find_nearest, read_origin

Store = Callable[..., str]
EYE = np.eye(4, dtype=np.float32)


@pytest.fixture
def path(tmp_path: Path, origin: Origin, store: Store) -> Path:
    store(tmp_path / "v.jsonl", origin, EYE)
    return tmp_path / "v.jsonl"


def change(path: Path, row: int, **fields: Any) -> None:
    lines = path.read_text().splitlines()
    lines[row] = json.dumps(json.loads(lines[row]) | fields)
    path.write_text("\n".join(lines) + "\n")


def test_a_compressed_file_is_searched(path: Path, origin: Origin) -> None:
    compressed = path.with_name("v.jsonl.gz")
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    assert find_nearest(str(compressed), EYE[2], origin, 1)[0].id == "id-2"


def test_concatenated_files_are_searched_as_one(path: Path, origin: Origin) -> None:
    path.write_text(path.read_text() * 2)
    assert [hit.row for hit in find_nearest(str(path), EYE[2], origin, 2)] == [2, 6]


def test_joined_rows_of_different_origin_are_refused(path: Path, origin: Origin) -> None:
    other = {**json.loads(path.read_text().splitlines()[0])["origin"], "pooling": "cls"}
    change(path, 2, origin=other)
    with pytest.raises(DataFileError, match=r"v\.jsonl, row 3: its vectors have pooling cls"):
        find_nearest(str(path), EYE[0], origin, 1)


@pytest.mark.parametrize("text", [3, None, ["a"]])
def test_a_text_that_is_not_a_string_is_treated_as_missing(
    path: Path, origin: Origin, text: object
) -> None:
    change(path, 2, text=text)
    assert find_nearest(str(path), EYE[2], origin, 1)[0].text is None


@pytest.mark.parametrize(
    "vector",
    [
        None,
        "1234",
        {},
        [1, 2, 3],
        [1, 2, 3, None],
        ["1", "2", "3", "4"],
        [[1], [2], [3], [4]],
        [1, [2], 3, 4],
        [1, 2, 3, 1e39],
        [1, 2, 3, 10**400],
        [1, 2, 3, float("nan")],
        [True] * 4,
    ],
    ids=str,
)
def test_a_malformed_vector_is_an_error_that_names_the_row(
    path: Path, origin: Origin, vector: object
) -> None:
    change(path, 1, vector=vector)
    with pytest.raises(DataFileError, match=r"v\.jsonl, row 2"):
        find_nearest(str(path), EYE[0], origin, 1)


@pytest.mark.parametrize("origin_given", [None, "minilm", {}, {"model": "minilm"}])
def test_a_row_without_an_origin_is_an_error(
    path: Path, origin: Origin, origin_given: object
) -> None:
    change(path, 1, origin=origin_given)
    with pytest.raises(
        DataFileError,
        match=r"v\.jsonl, row 2, column 'origin': (expected an object|no key '[a-z]+')",
    ):
        find_nearest(str(path), EYE[0], origin, 1)


def test_a_file_that_bothways_did_not_write_is_refused(path: Path) -> None:
    path.write_text("{}\n")
    with pytest.raises(DataFileError, match=r"row 1: no column 'origin'"):
        read_origin(str(path))


def test_a_file_without_rows_has_no_origin(path: Path) -> None:
    path.write_text("")
    with pytest.raises(
        DataFileError, match=r"v\.jsonl: no rows, so the model and settings are unknown"
    ):
        read_origin(str(path))


def test_a_truncated_file_is_an_error(path: Path, origin: Origin) -> None:
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataFileError, match=r"v\.jsonl, row 4: not JSON"):
        find_nearest(str(path), EYE[0], origin, 1)
