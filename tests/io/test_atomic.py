import os
import shutil
from pathlib import Path

import pytest
from safetensors import SafetensorError

from bothways.errors import DataFileError
from bothways.io.atomic import (
    new_folder,
    remove_partial,
    replaced_file,
    replaced_files,
    writing,
)


class Killed(BaseException):
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_and_die(folder: Path) -> None:
    with new_folder(folder) as hidden:
        (hidden / "one").write_text("1")
        raise Killed


def replace_and_die(path: Path) -> None:
    with replaced_file(path) as hidden:
        hidden.write_text("half")
        raise Killed


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a") as hidden:
        (hidden / "one").write_text("1")
        assert not (tmp_path / "a").exists()
        (hidden / "two").write_text("2")
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["one", "two"]


def test_a_folder_that_failed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fill_and_die(tmp_path / "a")
    assert names(tmp_path) == []


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with replaced_file(path) as hidden:
        hidden.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(Killed):
        replace_and_die(path)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.json"]


def test_files_take_their_places_together_the_last_one_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []
    replace = os.replace

    def note_and_replace(source: Path, target: Path) -> None:
        moved.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", note_and_replace)
    (tmp_path / "other").write_text("stays")
    with replaced_files(tmp_path, last="a.json") as hidden:
        for name in ("a.json", "b", "c"):
            (hidden / name).write_text(name)
        assert names(tmp_path)[1:] == ["other"]
    assert names(tmp_path) == ["a.json", "b", "c", "other"]
    assert moved[-1] == "a.json"
    assert len(moved) == 3


def test_everything_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    rename = os.rename

    def note_and_rename(source: Path, target: Path) -> None:
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", lambda _: done.append("sync"))
    monkeypatch.setattr(os, "rename", note_and_rename)
    with new_folder(tmp_path / "a") as hidden:
        (hidden / "one").write_text("1")
        (hidden / "two").write_text("2")
    assert done == ["sync", "sync", "sync", "rename", "sync"]  # two files, their folder; its parent


def test_what_was_killed_is_cleared_away_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(Killed):
        fill_and_die(tmp_path / "a")
    monkeypatch.undo()
    (tmp_path / ".hidden").write_text("mine")
    (tmp_path / ".b.12345678.partial").write_text("half")
    assert len(names(tmp_path)) == 3
    remove_partial(tmp_path)
    assert names(tmp_path) == [".hidden"]


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    message = r"a\.json: writing failed: No space left on device"
    with pytest.raises(DataFileError, match=message), writing(tmp_path / "a.json"):
        raise OSError(28, "No space left on device")
    message = "a: writing failed: I/O error: No space left on device"
    with pytest.raises(DataFileError, match=message), new_folder(tmp_path / "a"):
        raise SafetensorError("I/O error: No space left on device")
    assert names(tmp_path) == []


def test_a_place_that_there_is_not_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="none/a: writing failed: No such file or directory"):
        replace_and_die(tmp_path / "none" / "a")
