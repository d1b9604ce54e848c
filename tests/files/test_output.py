"""Files that appear only when whole."""

import os
import stat
from pathlib import Path

import pytest

from bothways.errors import DataFileError
from bothways.files.output import PendingFile


def write_half(path: Path, error: type[BaseException]) -> None:
    with PendingFile(path, overwrite=True) as pending:
        pending.file.write(b"half")
        raise error


def test_the_name_appears_when_the_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with PendingFile(path, overwrite=False) as pending:
        pending.file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_nothing_is_left_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_half(tmp_path / "out.bin", error)
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with (
        pytest.raises(DataFileError, match=r"out\.bin: exists; .*--overwrite"),
        PendingFile(path, overwrite=False),
    ):
        pytest.fail("the block must not be entered")
    assert path.read_bytes() == b"old"


def test_what_exists_is_replaced_only_by_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt)
    assert path.read_bytes() == b"old"
    with PendingFile(path, overwrite=True) as pending:
        pending.file.write(b"new")
    assert path.read_bytes() == b"new"


def _write_while_another_does(path: Path) -> None:
    with PendingFile(path, overwrite=False) as pending:
        pending.file.write(b"ours")
        path.write_bytes(b"theirs")


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with pytest.raises(DataFileError, match="exists"):
        _write_while_another_does(path)
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.bin", tmp_path / "link.bin"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with PendingFile(link, overwrite=True) as pending:
        pending.file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    with PendingFile(tmp_path / "out.bin", overwrite=False):
        pass
    (tmp_path / "plain").touch()
    mode = stat.S_IMODE((tmp_path / "out.bin").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_missing_directory_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with (
        pytest.raises(DataFileError, match=r"there is no directory .*; create it first"),
        PendingFile(tmp_path / "none" / "out.bin", overwrite=False),
    ):
        pytest.fail("the block must not be entered")


def test_a_directory_of_that_name_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(DataFileError, match="is a directory"),
        PendingFile(tmp_path, overwrite=True),
    ):
        pytest.fail("the block must not be entered")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place that nobody can write")
def test_a_place_that_cannot_be_written_is_found_on_entering() -> None:
    with (
        pytest.raises(DataFileError, match=r"/proc/out\.bin: cannot be written"),
        PendingFile(Path("/proc/out.bin"), overwrite=False),
    ):
        pytest.fail("the block must not be entered")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_directory_is_found_on_entering(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(DataFileError, match=r"cannot be written: .*denied"),
        PendingFile(tmp_path / "out.bin", overwrite=False),
    ):
        pytest.fail("the block must not be entered")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_something_other_than_a_file_is_refused() -> None:
    with (
        pytest.raises(DataFileError, match="/dev/full: is not a regular file"),
        PendingFile(Path("/dev/full"), overwrite=True),
    ):
        pytest.fail("the block must not be entered")
