"""A folder is held by one process at a time, and free when that process ends."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bothways.errors import DataFileError
from bothways.training.runs.lock import LOCK_FILE, run_lock

HOLD = """
import sys
from pathlib import Path
from bothways.training.runs.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(folder: Path) -> "subprocess.Popen[str]":
    """Another process that holds the folder until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(DataFileError, match="another process is training in this folder"):
            run_lock(tmp_path).__enter__()
        process.communicate("\n")
    with run_lock(tmp_path):
        assert (tmp_path / LOCK_FILE).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
    assert (tmp_path / LOCK_FILE).exists()
    with run_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_thread_that_holds_a_folder_may_hold_it_again_and_no_other(tmp_path: Path) -> None:
    errors: list[str] = []

    def other() -> None:
        try:
            with run_lock(tmp_path):
                pass
        except DataFileError as error:
            errors.append(str(error))

    with run_lock(tmp_path):
        with run_lock(tmp_path):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(errors) == 1


def test_folders_that_stay_empty_are_removed(tmp_path: Path) -> None:
    with run_lock(tmp_path / "runs" / "a"):
        assert (tmp_path / "runs" / "a").is_dir()
    assert list(tmp_path.iterdir()) == []
    with run_lock(tmp_path / "runs" / "a"):
        (tmp_path / "runs" / "a" / "training.json").touch()
    assert (tmp_path / "runs" / "a" / "training.json").exists()
