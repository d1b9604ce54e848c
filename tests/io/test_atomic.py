"""Atomic writes of files and folders."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from safetensors import SafetensorError

from bothways.errors import DataFileError
from bothways.io.atomic import (
    atomic_file,
    atomic_files,
    atomic_folder,
    remove_partial,
    wrap_write_errors,
)


class Killed(BaseException):
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_and_die(folder: Path) -> None:
    with atomic_folder(folder) as temporary:
        (temporary / "one").write_text("1")
        raise Killed


def replace_and_die(path: Path) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        raise Killed


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a") as temporary:
        (temporary / "one").write_text("1")
        assert not (tmp_path / "a").exists()
        (temporary / "two").write_text("2")
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["one", "two"]


def test_a_failed_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fill_and_die(tmp_path / "a")
    assert names(tmp_path) == []


def test_a_file_has_its_old_content_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(Killed):
        replace_and_die(path)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.json"]


def test_files_are_replaced_together_and_the_last_one_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []
    replace = os.replace

    def record_and_replace(source: Path, target: Path) -> None:
        moved.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", record_and_replace)
    (tmp_path / "other").write_text("stays")
    with atomic_files(tmp_path, last="a.json") as temporary:
        for name in ("a.json", "b", "c"):
            (temporary / name).write_text(name)
        assert names(tmp_path)[1:] == ["other"]
    assert names(tmp_path) == ["a.json", "b", "c", "other"]
    assert moved[-1] == "a.json"
    assert len(moved) == 3


def test_content_is_flushed_to_disk_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    rename = os.rename

    def record_and_rename(source: Path, target: Path) -> None:
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", lambda _: done.append("sync"))
    monkeypatch.setattr(os, "rename", record_and_rename)
    with atomic_folder(tmp_path / "a") as temporary:
        (temporary / "one").write_text("1")
        (temporary / "two").write_text("2")
    assert done == ["sync", "sync", "sync", "rename", "sync"]  # two files, their folder; its parent


def test_files_in_subfolders_are_flushed_to_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    fsync = os.fsync

    def record_and_sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record_and_sync)
    with atomic_folder(tmp_path / "a") as temporary:
        (temporary / "1_Pooling").mkdir()
        (temporary / "1_Pooling" / "config.json").write_text("{}")
    paths = (tmp_path / "a" / "1_Pooling" / "config.json", tmp_path / "a" / "1_Pooling")
    assert [path.stat().st_ino for path in (*paths, tmp_path / "a", tmp_path)] == synced


def test_a_folder_is_replaced_when_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")

    def write() -> None:
        with atomic_folder(tmp_path / "a", replace=True) as temporary:
            (temporary / "new").write_text("new")
            assert names(tmp_path / "a") == ["old"]

    rename, sources = Path.rename, []

    def fail_once(self: Path, target: Path) -> Path:
        sources.append(self)
        if len(sources) == 2:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail_once)
        with pytest.raises(DataFileError, match="a: writing failed: Input/output error"):
            write()
    assert sources[0] == tmp_path / "a"
    assert names(tmp_path / "a") == ["old"]
    write()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["new"]


def test_an_empty_folder_is_replaced_and_another_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old").write_text("old")
    with atomic_folder(tmp_path / "empty") as temporary:
        (temporary / "one").write_text("1")
    assert names(tmp_path / "empty") == ["one"]
    with (
        pytest.raises(DataFileError, match="full: writing failed"),
        atomic_folder(tmp_path / "full") as temporary,
    ):
        (temporary / "one").write_text("1")
    assert names(tmp_path / "full") == ["old"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_permissions_follow_the_umask_whatever_a_library_sets(tmp_path: Path, umask: int) -> None:
    def save(path: Path) -> None:  # as a library that writes a private temporary file and renames
        handle, name = tempfile.mkstemp(dir=path.parent)
        os.close(handle)
        Path(name).replace(path)

    previous = os.umask(umask)
    try:
        with atomic_file(tmp_path / "file") as temporary:
            save(temporary)
        with atomic_folder(tmp_path / "folder") as temporary:
            (temporary / "onnx").mkdir()
            save(temporary / "onnx" / "model.onnx.data")
        with atomic_files(tmp_path, last="two") as temporary:
            save(temporary / "one")
            save(temporary / "two")
    finally:
        os.umask(previous)
    for name in ("file", "folder/onnx/model.onnx.data", "one", "two"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask
    for name in ("folder", "folder/onnx"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o777 & ~umask


def test_files_of_killed_writers_are_removed_and_no_others(
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


WRITER = """
import sys
from pathlib import Path
from bothways.io.atomic import atomic_file, atomic_folder
with atomic_file(Path("a.json")) as file, atomic_folder(Path("model")) as folder:
    file.write_text("half")
    (folder / "one").write_text("1")
    print("writing", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.skipif(os.name != "posix", reason="no locks on open folders")
def test_the_next_writer_removes_what_a_killed_one_left_and_nothing_of_a_live_one(
    tmp_path: Path,
) -> None:
    (tmp_path / ".a.json.bak.12345678.partial").write_text("of another name")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"

    def write_both() -> None:
        with atomic_file(tmp_path / "a.json") as file, atomic_folder(tmp_path / "model"):
            file.write_text("complete")

    write_both()
    assert len(names(tmp_path)) == 5
    remove_partial(tmp_path)
    assert len(names(tmp_path)) == 4
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    write_both()
    assert names(tmp_path) == ["a.json", "model"]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    message = r"a\.json: writing failed: No space left on device"
    with pytest.raises(DataFileError, match=message), wrap_write_errors(tmp_path / "a.json"):
        raise OSError(28, "No space left on device")
    message = "a: writing failed: I/O error: No space left on device"
    with pytest.raises(DataFileError, match=message), atomic_folder(tmp_path / "a"):
        raise SafetensorError("I/O error: No space left on device")
    assert names(tmp_path) == []


def test_a_missing_parent_folder_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="none/a: writing failed: No such file or directory"):
        replace_and_die(tmp_path / "none" / "a")
