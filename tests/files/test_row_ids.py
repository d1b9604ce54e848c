"""The ids of rows in a file beside .npy: written with the vectors, and never read with others."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.files import Origin, VectorBatch, find_nearest, open_vector_output

FILES = ("v.npy.ids.jsonl", "v.npy.json", "v.npy")


class Killed(BaseException):
    pass


def write(
    path: Path, origin: Origin, ids: Sequence[str], *, seed: int = 0, overwrite: bool = False
) -> None:
    count = len(ids)
    vectors = np.random.default_rng(seed).standard_normal((count, 4), dtype=np.float32)
    zeros, never = np.zeros(1, np.int64), np.zeros(1, bool)
    with open_vector_output(str(path), overwrite=overwrite) as output:
        writer = output.start(origin)
        for row_id, vector in zip(ids, vectors, strict=True):
            writer.write(VectorBatch([row_id], [None], vector[None], zeros, zeros, never))


def nearest_id(path: Path, origin: Origin, row: int = 0) -> str:
    (hit,) = find_nearest(str(path), np.load(path)[row], origin, 1)
    assert hit.row == row
    return hit.id


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("memory_bytes", [1, 1 << 20])
def test_ids_are_objects_on_the_lines_of_a_file_beside_the_vectors(
    tmp_path: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch, memory_bytes: int
) -> None:
    monkeypatch.setattr("bothways.files.row_ids._MEMORY_BYTES", memory_bytes)
    path = tmp_path / "v.npy"
    write(path, origin, ["a", "\N{GREEK SMALL LETTER BETA}\n", "0"])
    lines = (tmp_path / "v.npy.ids.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "a"}, {"id": "β\n"}, {"id": "0"}]
    assert [nearest_id(path, origin, row) for row in range(3)] == ["a", "β\n", "0"]
    assert names(tmp_path) == sorted(FILES)


def test_row_numbers_need_no_file_and_remove_that_of_earlier_vectors(
    tmp_path: Path, origin: Origin
) -> None:
    path = tmp_path / "v.npy"
    write(path, origin, ["a"])
    write(path, origin, ["0", "1"], overwrite=True)
    assert names(tmp_path) == ["v.npy", "v.npy.json"]
    assert nearest_id(path, origin, 1) == "1"


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("exists", [False, True])
def test_a_killed_writer_leaves_old_files_new_ones_or_some_that_are_refused(
    tmp_path: Path,
    origin: Origin,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    after: bool,
    exists: bool,
) -> None:
    path = tmp_path / "v.npy"
    if exists:
        write(path, origin, ["old"])
    replace = os.replace

    def replace_or_die(source: Any, target: Any) -> None:
        if Path(target).name != name:
            return replace(source, target)
        if after:
            replace(source, target)
        raise Killed

    monkeypatch.setattr(os, "replace", replace_or_die)
    with pytest.raises(Killed):
        write(path, origin, ["new"], seed=1, overwrite=exists)
    monkeypatch.undo()
    if name == "v.npy" and after:
        assert nearest_id(path, origin) == "new"
        return
    if exists:
        try:
            assert nearest_id(path, origin) == "old"
        except DataFileError as error:
            assert "killed" in str(error)  # noqa: PT017
        else:
            assert (name, after) == (FILES[0], False)
    write(path, origin, ["new"], seed=1, overwrite=exists)
    assert nearest_id(path, origin) == "new"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), ('{"id": "b"}\n', "not the ids of the vectors beside it")],
)
def test_ids_that_are_missing_or_changed_are_an_error(
    tmp_path: Path, origin: Origin, content: str | None, message: str
) -> None:
    path, ids = tmp_path / "v.npy", tmp_path / "v.npy.ids.jsonl"
    write(path, origin, ["a"])
    ids.unlink()
    if content is not None:
        ids.write_text(content)
    with pytest.raises(DataFileError, match=rf"v\.npy\.ids\.jsonl: {message}"):
        nearest_id(path, origin)


def test_a_file_of_another_program_is_not_replaced(tmp_path: Path, origin: Origin) -> None:
    ids = tmp_path / "v.npy.ids.jsonl"
    ids.write_text('{"id": "a", "text": "mine"}\n')
    with pytest.raises(DataFileError, match=r"ids\.jsonl: already exists"):
        write(tmp_path / "v.npy", origin, ["a"])
    assert names(tmp_path) == ["v.npy.ids.jsonl"]
