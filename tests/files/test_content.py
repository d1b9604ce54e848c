"""The format of files without a suffix, by their content."""

import bz2
import gzip
import io
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import check_inputs, read_rows


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["a", "b"]}), file)
    return file.getvalue()


def feather() -> bytes:
    file = io.BytesIO()
    table = pa.table({"text": ["a", "b"]})
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((2, 3, 1)))
    return file.getvalue()


def length(value: Any) -> str:
    """The name of a case; compressed bytes hold the time."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize(
    ("content", "format_", "compression"),
    [
        (b"a\nb\n", "txt", None),
        (b"[SEP] is no JSON\n{b}\n", "txt", None),
        (b"a > b\n{}", "txt", None),
        (b">p\nMK\n>q\nLA\n", "fasta", None),
        (b'{"text": "a"}\n{"text": "b"}\n', "jsonl", None),
        (b' ["a", "b"]', "json", None),
        ('\ufeff["a", "b"]'.encode("utf-16-le"), "json", None),
        (gzip.compress(b'{"text": "a"}\n{"text": "b"}\n'), "jsonl", "gz"),
        (bz2.compress(b"a\nb\n"), "txt", "bz2"),
        (lzma.compress(b"a\nb\n"), "txt", "xz"),
        (pa.compress(b"a\nb\n", codec="zstd", asbytes=True), "txt", "zst"),
        (parquet(), "parquet", None),
        (feather(), "arrow", None),
    ],
    ids=length,
)
def test_the_content_shows_the_format(
    tmp_path: Path, content: bytes, format_: str, compression: str | None
) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    notes: list[str] = []
    (file,) = check_inputs([str(path)], note=notes.append)
    assert (file.format, file.compression) == (format_, compression)
    assert notes == [f"{path}: read as {format_}, by its content"]
    assert len(list(read_rows([str(path)]))) == 2


def test_arrays_are_series(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(npy())
    assert len(list(read_rows([str(tmp_path / "data")], kind="series"))) == 2


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\x00\x00", b"PK\x03\x04\x00", gzip.compress(parquet())],
    ids=length,
)
def test_other_binary_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").write_bytes(content)
    with pytest.raises(DataFileError, match="unknown format"):
        check_inputs([str(tmp_path / "data")])


@pytest.mark.parametrize("content", [b"\x1f\x8bnot gzip", b"\x28\xb5\x2f\xfdnot zstd"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: Any) -> None:
    (tmp_path / "data").write_bytes(content)
    with pytest.raises(DataFileError, match="data: cannot be read"):
        check_inputs([str(tmp_path / "data")])
