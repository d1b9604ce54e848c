"""Reading the lines of compressed and plain files and of standard input."""

import bz2
import functools
import gzip
import io
import lzma
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bothways.errors import DataFileError
from bothways.files import FileOptions, ReadProgress, read_rows

LINES = [f"line {i} of many, each a little different: {i * i}" for i in range(20_000)]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


def zstd(content: bytes) -> bytes:
    compressed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return compressed


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": functools.partial(lzma.compress, preset=0),
    "zst": zstd,
}


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.txt", b"a\nb\n"),
        ("x.csv", b"text\na\nb\n"),
        ("x.tsv", b"text\na\nb\n"),
        ("x.jsonl", b'{"text": "a"}\n{"text": "b"}\n'),
        ("x.json", b'["a",\n {"text": "b"}]'),
        ("x.fasta", b">1\na\n>2\nb\n"),
    ],
)
def test_every_text_format_may_be_compressed(
    read: Callable[..., list[Any]], name: str, content: bytes, suffix: str
) -> None:
    assert read(f"{name}.{suffix}", COMPRESS[suffix](content)) == ["a", "b"]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_concatenated_compressed_files_are_read_to_the_end(
    read: Callable[..., list[Any]], suffix: str
) -> None:
    compress = COMPRESS[suffix]
    assert read(f"x.txt.{suffix}", compress(TEXT) + compress(b"last\n")) == [*LINES, "last"]


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("kept", [5, 1000, -1])
def test_a_truncated_compressed_file_is_an_error(
    read: Callable[..., list[Any]], suffix: str, kept: int
) -> None:
    with pytest.raises(DataFileError, match=rf"x\.txt\.{suffix}: the compressed file is truncated"):
        read(f"x.txt.{suffix}", COMPRESS[suffix](TEXT)[:kept])


@pytest.mark.parametrize("suffix", COMPRESS)
def test_content_that_contradicts_the_suffix_is_an_error(
    read: Callable[..., list[Any]], suffix: str
) -> None:
    with pytest.raises(DataFileError, match=rf"not a valid \.{suffix} file"):
        read(f"x.txt.{suffix}", b"just text, uncompressed\n" * 100)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_damaged_compressed_file_is_an_error(read: Callable[..., list[Any]], suffix: str) -> None:
    damaged = bytearray(COMPRESS[suffix](TEXT))
    damaged[len(damaged) // 2] ^= 0xFF
    damaged[-6] ^= 0xFF
    with pytest.raises(DataFileError, match=rf"x\.txt\.{suffix}"):
        read(f"x.txt.{suffix}", bytes(damaged))


def test_standard_input_is_read_as_text_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\nb\n\n")))
    rows = list(read_rows(["-"], on_missing="empty"))
    assert [row.value for row in rows] == ["a", "", "b"]
    assert str(rows[2].place) == "standard input, row 3"


def test_the_format_of_standard_input_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "a"}\n')))
    assert [row.value for row in read_rows(["-"], options=FileOptions("jsonl"))] == ["a"]


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst"])
def test_read_progress_goes_from_0_to_1(tmp_path: Path, suffix: str) -> None:
    compress = COMPRESS.get(suffix[1:], bytes)
    paths = [tmp_path / f"a.txt{suffix}", tmp_path / f"b.txt{suffix}"]
    for path in paths:
        path.write_bytes(compress(TEXT))
    sources = [str(path) for path in paths]
    read_progress = ReadProgress(sources)
    shares = [read_progress.fraction for _ in read_rows(sources, read_progress=read_progress)]
    known = [share for share in shares if share is not None]
    assert known == sorted(known)
    assert len(known) == 2 * len(LINES)
    assert known[0] < 0.5 <= known[-1]
    assert read_progress.fraction == 1


def test_read_progress_of_standard_input_is_unknown() -> None:
    assert ReadProgress(["-"]).fraction is None


def test_zstd_is_read_without_pyarrow(read: Callable[..., list[Any]], request: Any) -> None:
    content = zstd(b"a\nb\n")
    request.getfixturevalue("no_pyarrow")
    assert read("x.txt.zst", content) == ["a", "b"]
