"""Output files appear under their names only when they are complete."""

import os
import stat
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bothways.errors import DataFileError
from bothways.files.output import Output, OutputFormat, open_output


class BinaryOutput(Output):
    FORMATS = ("jsonl", "npy")


def open_binary(path: Path, *, overwrite: bool) -> AbstractContextManager[BinaryOutput]:
    return open_output(BinaryOutput, str(path), output_format="jsonl", overwrite=overwrite)


def write_half(path: Path, error: type[BaseException]) -> None:
    with open_binary(path, overwrite=True) as output:
        output.sink.write(b"half")
        raise error


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with open_binary(path, overwrite=False) as output:
        output.sink.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_nothing_is_left_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_half(tmp_path / "out.bin", error)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with (
        pytest.raises(DataFileError, match=r"out\.bin: already exists; .*--overwrite"),
        open_binary(path, overwrite=False),
    ):
        pytest.fail("the block must not be entered")
    assert path.read_bytes() == b"old"


def test_an_existing_file_is_replaced_only_by_a_complete_one(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt)
    assert path.read_bytes() == b"old"
    with open_binary(path, overwrite=True) as output:
        output.sink.write(b"new")
    assert path.read_bytes() == b"new"


def _write_while_another_does(path: Path) -> None:
    with open_binary(path, overwrite=False) as output:
        output.sink.write(b"ours")
        path.write_bytes(b"theirs")


def test_a_file_created_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with pytest.raises(DataFileError, match="exists"):
        _write_while_another_does(path)
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.bin", tmp_path / "link.bin"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with open_binary(link, overwrite=True) as output:
        output.sink.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    with open_binary(tmp_path / "out.bin", overwrite=False):
        pass
    (tmp_path / "plain").touch()
    mode = stat.S_IMODE((tmp_path / "out.bin").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_missing_directory_is_an_error_on_entering(tmp_path: Path) -> None:
    with (
        pytest.raises(DataFileError, match=r"no directory .*; create it first"),
        open_binary(tmp_path / "none" / "out.bin", overwrite=False),
    ):
        pytest.fail("the block must not be entered")


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(DataFileError, match="is a directory"),
        open_binary(tmp_path, overwrite=True),
    ):
        pytest.fail("the block must not be entered")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place that nobody can write")
def test_an_unwritable_path_is_an_error_on_entering() -> None:
    with (
        pytest.raises(DataFileError, match=r"/proc/out\.bin: writing failed"),
        open_binary(Path("/proc/out.bin"), overwrite=False),
    ):
        pytest.fail("the block must not be entered")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_directory_is_an_error_on_entering(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(DataFileError, match=r"writing failed: .*denied"),
        open_binary(tmp_path / "out.bin", overwrite=False),
    ):
        pytest.fail("the block must not be entered")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_device_is_an_error_that_names_it() -> None:
    with (
        pytest.raises(DataFileError, match="/dev/full: writing failed: No space left on device"),
        open_binary(Path("/dev/full"), overwrite=False) as output,
    ):
        output.sink.write(b"one")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_without_a_file_beside_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with open_output(BinaryOutput, str(pipe), overwrite=False) as output:
        assert output.format == "jsonl"
        output.sink.write(b"one")
    assert os.read(reader, 10) == b"one"
    os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe]


def test_the_format_is_the_suffix_unless_it_is_given(tmp_path: Path) -> None:
    cases: list[tuple[str, OutputFormat | None, OutputFormat]] = [
        ("a.npy", None, "npy"),
        ("a", "npy", "npy"),
        ("b", "jsonl", "jsonl"),
    ]
    for name, given, expected in cases:
        with open_output(
            BinaryOutput, str(tmp_path / name), output_format=given, overwrite=True
        ) as output:
            assert output.format == expected


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("a", None, r"a: unknown output format; .* --format gives the format"),
        ("a.npy", "csv", r"output format 'csv'; supported are jsonl, npy"),
        ("/dev/stdout", "npy", r"/dev/stdout: \.npy needs a file"),
    ],
)
def test_an_unsupported_format_is_an_error(
    tmp_path: Path, name: str, given: OutputFormat | None, message: str
) -> None:
    with (
        pytest.raises(DataFileError, match=message),
        open_output(BinaryOutput, str(tmp_path / name), output_format=given, overwrite=True),
    ):
        pytest.fail("the block must not be entered")
