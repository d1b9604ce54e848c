"""A .npy file and its sidecar are one result: old, new, or refused, whenever a writer is killed."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.files import Origin, find_nearest, open_vector_output, read_origin
from bothways.files.array_digest import ArrayDigest, hash_file, hash_samples

Store = Callable[..., str]
ADDED_KEYS = ("bytes", "sha256", "sample_sha256")
RENAMES = ("v.npy.json", "v.npy")


class Killed(BaseException):
    pass


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bool], None]:
    """Kill the writer when it renames a file to this name, before the rename or after it."""

    def patch(name: str, after: bool) -> None:
        replace = os.replace

        def replace_or_die(source: Any, target: Any) -> None:
            if Path(target).name != name:
                return replace(source, target)
            if after:
                replace(source, target)
            raise Killed

        monkeypatch.setattr(os, "replace", replace_or_die)

    return patch


def vectors(count: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 4), dtype=np.float32)


def edit_sidecar(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    sidecar = Path(f"{path}.json")
    fields = json.loads(sidecar.read_text())
    edit(fields)
    sidecar.write_text(json.dumps(fields))


def make_old(path: Path) -> None:
    """Turn the sidecar into one of an earlier version."""
    edit_sidecar(path, lambda fields: [fields.pop(key) for key in ADDED_KEYS])


@pytest.mark.parametrize("earlier_version", [False, True])
@pytest.mark.parametrize("full_digest_bytes", [0, 1 << 25])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", RENAMES)
def test_a_killed_overwrite_leaves_the_old_pair_the_new_pair_or_one_that_is_refused(
    tmp_path: Path,
    origin: Origin,
    store: Store,
    kill_at: Callable[[str, bool], None],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    after: bool,
    full_digest_bytes: int,
    earlier_version: bool,
) -> None:
    monkeypatch.setattr("bothways.files.vector_file_npy._FULL_DIGEST_BYTES", full_digest_bytes)
    path = tmp_path / "v.npy"
    store(path, origin, vectors(seed=0))
    if earlier_version:
        make_old(path)
    changed = dataclasses.replace(origin, pooling="cls")
    kill_at(name, after)
    with pytest.raises(Killed):
        store(path, changed, vectors(seed=1), overwrite=True)
    monkeypatch.undo()
    monkeypatch.setattr("bothways.files.vector_file_npy._FULL_DIGEST_BYTES", full_digest_bytes)

    found = np.load(path)
    if (name, after) == ("v.npy.json", False):
        np.testing.assert_array_equal(found, vectors(seed=0))
        assert read_origin(str(path)) == origin
    elif (name, after) == ("v.npy", True):
        np.testing.assert_array_equal(found, vectors(seed=1))
        assert read_origin(str(path)) == changed
    else:
        with pytest.raises(DataFileError, match=r"not the vectors .* killed .* --overwrite"):
            find_nearest(str(path), vectors()[0], changed, 1)
    store(path, changed, vectors(seed=1), overwrite=True)
    assert read_origin(str(path)) == changed


@pytest.mark.parametrize(("name", "after"), [("v.npy.json", False), ("v.npy.json", True)])
def test_after_a_killed_first_run_the_same_command_just_runs(
    tmp_path: Path,
    origin: Origin,
    store: Store,
    kill_at: Callable[[str, bool], None],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    after: bool,
) -> None:
    path = tmp_path / "v.npy"
    kill_at(name, after)
    with pytest.raises(Killed):
        store(path, origin, vectors())
    monkeypatch.undo()
    assert not path.exists()
    store(path, origin, vectors())
    assert read_origin(str(path)) == origin


def test_a_file_that_another_program_creates_meanwhile_keeps_its_sidecar(
    tmp_path: Path, origin: Origin, store: Store
) -> None:
    path = tmp_path / "v.npy"

    def write_late() -> None:
        with open_vector_output(str(path)) as output:
            output.start(dataclasses.replace(origin, pooling="cls"))
            store(path, origin, vectors())

    with pytest.raises(DataFileError, match=r"v\.npy: already exists"):
        write_late()
    assert read_origin(str(path)) == origin


def test_the_sidecar_has_rows_size_and_digest_of_the_array(
    tmp_path: Path, origin: Origin, store: Store
) -> None:
    path = tmp_path / "v.npy"
    store(path, origin, vectors(250))
    fields = json.loads(Path(f"{path}.json").read_text())
    assert fields["rows"] == 250
    assert fields["dimensions"] == 4
    assert fields["bytes"] == path.stat().st_size
    assert fields["sha256"] == hashlib.sha256(np.load(path).tobytes()).hexdigest()


@pytest.mark.parametrize("earlier_version", [False, True])
def test_vectors_that_were_cut_are_refused(
    tmp_path: Path, origin: Origin, store: Store, earlier_version: bool
) -> None:
    path = tmp_path / "v.npy"
    store(path, origin, vectors(250))
    if earlier_version:
        make_old(path)
    np.save(path, np.load(path)[:100])
    with pytest.raises(DataFileError, match=r"v\.npy: .* \(100 rows, but 250 were written\)"):
        read_origin(str(path))


def test_vectors_that_were_changed_are_refused(
    tmp_path: Path, origin: Origin, store: Store
) -> None:
    path = tmp_path / "v.npy"
    store(path, origin, vectors(250))
    array = np.load(path)
    array[200, 2] += 1
    np.save(path, array)
    with pytest.raises(DataFileError, match=r"v\.npy\.json describes \(another digest\)"):
        read_origin(str(path))


def test_a_header_of_another_size_is_refused(tmp_path: Path, origin: Origin, store: Store) -> None:
    path = tmp_path / "v.npy"
    store(path, origin, vectors(250))
    edit_sidecar(path, lambda fields: fields.update(bytes=fields["bytes"] + 64))
    with pytest.raises(DataFileError, match=r"bytes, but \d+ were written"):
        read_origin(str(path))


@pytest.mark.parametrize("keys", [ADDED_KEYS, ("rows", *ADDED_KEYS)])
def test_sidecars_of_earlier_versions_are_read(
    tmp_path: Path, origin: Origin, store: Store, keys: tuple[str, ...]
) -> None:
    path = tmp_path / "v.npy"
    store(path, origin, vectors())
    edit_sidecar(path, lambda fields: [fields.pop(key) for key in keys])
    assert find_nearest(str(path), vectors()[3], origin, 1)[0].row == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": "4"}, "rows is '4'; expected a whole number"),
        ({"bytes": 1.5}, "bytes is 1.5; expected a whole number"),
        ({"sha256": None}, "sha256 is None; expected a text"),
    ],
)
def test_a_malformed_sidecar_is_an_error(
    tmp_path: Path, origin: Origin, store: Store, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "v.npy"
    store(path, origin, vectors())
    edit_sidecar(path, lambda fields: fields.update(change))
    with pytest.raises(DataFileError, match=rf"v\.npy\.json: {message}"):
        read_origin(str(path))


@pytest.mark.parametrize("part", [1, 3, 7, 64, 1000])
def test_digests_do_not_depend_on_how_the_array_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr("bothways.files.array_digest._STRIDE", 100)
    monkeypatch.setattr("bothways.files.array_digest._SAMPLE", 24)
    array = np.arange(257 * 4, dtype=np.float32).reshape(257, 4)
    digest = ArrayDigest()
    for start in range(0, len(array), part):
        digest.update(array[start : start + part])
    digest.update(array[:0])
    (tmp_path / "array").write_bytes(b"header" + array.tobytes())
    with (tmp_path / "array").open("rb") as file:
        assert hash_file(file, 6) == digest.sha256
        assert hash_samples(file, 6) == digest.sample_sha256
    assert digest.sha256 != digest.sample_sha256
