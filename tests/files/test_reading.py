"""Reading rows of several files as one stream."""

import itertools
import tracemalloc
from pathlib import Path

import pytest

from bothways.errors import DataFileError
from bothways.files import read_rows


def test_ids_count_from_0_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.csv").write_text("text\nthree\n")
    (tmp_path / "c.fa").write_text(">P1\nMK\n")
    (tmp_path / "d.jsonl").write_text('{"text": "four"}\n')
    rows = list(read_rows([str(tmp_path / name) for name in ("a.txt", "b.csv", "c.fa", "d.jsonl")]))
    assert [row.id for row in rows] == ["0", "1", "2", "P1", "4"]
    assert [row.place.row for row in rows] == [1, 2, 1, 1, 1]


def test_all_files_are_checked_before_the_first_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    rows = read_rows([str(tmp_path / "a.txt"), str(tmp_path / "none.txt")])
    with pytest.raises(DataFileError, match="no such file"):
        next(rows)


@pytest.mark.parametrize("name", ["x.txt", "x.csv", "x.fasta"])
def test_series_are_refused_in_text_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    with pytest.raises(DataFileError, match=r"reads series; use \.npy or .*\.parquet"):
        next(read_rows([str(path)], kind="series"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("".join(f"a line of text, number {i}\n" for i in range(100_000)))
    rows = read_rows([str(path)])
    tracemalloc.start()
    try:
        assert sum(1 for _ in itertools.islice(rows, 10_000)) == 10_000
        _, early = tracemalloc.get_traced_memory()
        assert sum(1 for _ in rows) == 90_000
        _, late = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert late < early + 100_000  # bytes; the file has 3 million
