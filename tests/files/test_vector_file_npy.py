"""Reading vectors in .npy files with their origin file, and malformed ones."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.files import Origin, find_nearest, read_origin

Store = Callable[..., str]


@pytest.fixture
def path(tmp_path: Path, origin: Origin, store: Store) -> Path:
    store(tmp_path / "v.npy", origin, np.eye(4, dtype=np.float32))
    return tmp_path / "v.npy"


def test_rows_have_their_ids_and_no_text(path: Path, origin: Origin) -> None:
    (hit,) = find_nearest(str(path), np.eye(4, dtype=np.float32)[2], origin, 1)
    assert (hit.row, hit.id, hit.text) == (2, "id-2", None)


def test_a_name_needs_no_suffix(path: Path, origin: Origin) -> None:
    bare = path.with_name("vectors")
    path.rename(bare)
    for suffix in (".json", ".ids.jsonl"):
        Path(f"{path}{suffix}").rename(f"{bare}{suffix}")
    (hit,) = find_nearest(str(bare), np.eye(4, dtype=np.float32)[2], origin, 1)
    assert hit.id == "id-2"


def test_vectors_without_an_origin_file_are_refused(path: Path) -> None:
    Path(f"{path}.json").unlink()
    with pytest.raises(DataFileError, match=r"v\.npy\.json: no such file; .* keep it beside"):
        read_origin(str(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimensions": 0}, "dimensions is 0"),
        ({"dimensions": True}, "dimensions is True"),
        ({"model": 3}, "model is 3; expected a text"),
        ({"pooling": None}, "pooling is None; expected a text"),
    ],
)
def test_a_malformed_origin_is_an_error(
    path: Path, change: dict[str, object], message: str
) -> None:
    sidecar = Path(f"{path}.json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | change))
    with pytest.raises(DataFileError, match=rf"v\.npy\.json: {message}"):
        read_origin(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not valid JSON"), ("[]", "expected an object"), ("{}", "no key 'model'")],
)
def test_an_origin_file_without_an_origin_is_an_error(path: Path, text: str, message: str) -> None:
    Path(f"{path}.json").write_text(text)
    with pytest.raises(DataFileError, match=rf"v\.npy\.json: {message}"):
        read_origin(str(path))


@pytest.mark.parametrize("kept", [0, 3, 9, 100, -1])
def test_a_truncated_file_is_an_error(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataFileError, match=r"v\.npy: (not a \.npy|damaged or truncated)"):
        read_origin(str(path))


@pytest.mark.parametrize(
    "array",
    [np.eye(4), np.eye(3, dtype=np.float32), np.ones(4, np.float32), np.array([None] * 4)],
    ids=["float64", "another width", "one axis", "objects"],
)
def test_an_array_that_contradicts_its_origin_is_an_error(path: Path, array: np.ndarray) -> None:
    np.save(path, array, allow_pickle=True)
    with pytest.raises(DataFileError, match=r"expected float32 in rows of 4, as in v\.npy\.json"):
        read_origin(str(path))
