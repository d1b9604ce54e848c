"""Input formats by name, and checks before reading."""

import os
from pathlib import Path

import pytest

from bothways.errors import DataFileError, MissingExtra
from bothways.files import FileOptions, check_inputs


@pytest.mark.parametrize(
    ("name", "format_", "compression"),
    [
        ("a.txt", "txt", None),
        ("a.b.CSV", "csv", None),
        ("a.tsv.gz", "tsv", "gz"),
        ("a.jsonl.zst", "jsonl", "zst"),
        ("a.fa.gz", "fasta", "gz"),
        ("a.fasta", "fasta", None),
        ("a.parquet", "parquet", None),
        ("a.feather", "arrow", None),
        ("a.arrow", "arrow", None),
        ("a.json.bz2", "json", "bz2"),
        ("a.fas.xz", "fasta", "xz"),
        *((f"a.{suffix}", "fasta", None) for suffix in ("faa", "fna", "ffn", "pep")),
        ("a.npy", "npy", None),
        ("a.npz", "npz", None),
    ],
)
def test_the_suffix_determines_the_format(
    tmp_path: Path, name: str, format_: str, compression: str | None
) -> None:
    path = tmp_path / name
    path.touch()
    (file,) = check_inputs([str(path)])
    assert (file.format, file.compression) == (format_, compression)


@pytest.mark.parametrize("name", ["a.docx", "a.docx.gz", "a.parquet.gz", "a.npy.xz"])
def test_an_unknown_format_is_an_error_that_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(DataFileError, match=r"unknown format; .*\.jsonl.*\.parquet"):
        check_inputs([str(path)])


def test_the_format_of_an_unknown_suffix_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    path.touch()
    (file,) = check_inputs([str(path)], FileOptions("txt"))
    assert (file.format, file.compression) == ("txt", "gz")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"none\.txt: no such file"):
        check_inputs([str(tmp_path / "none.txt")])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.touch(mode=0o000)
    with pytest.raises(DataFileError, match=r"a\.txt: cannot be read: .*denied"):
        check_inputs([str(path)])


def test_a_name_with_nul_is_an_error() -> None:
    with pytest.raises(DataFileError, match="cannot be read"):
        check_inputs(["a\0.txt"])


def test_standard_input_is_read_once() -> None:
    with pytest.raises(DataFileError, match="only once"):
        check_inputs(["-", "-"])


def test_a_missing_pyarrow_is_an_error_that_names_the_extra(
    tmp_path: Path, no_pyarrow: None
) -> None:
    path = tmp_path / "a.parquet"
    path.touch()
    with pytest.raises(MissingExtra, match=r"a\.parquet needs an extra: .*\[parquet\]"):
        check_inputs([str(path)])
