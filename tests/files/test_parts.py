"""Parts of files hold the rows of the whole file, and rows that cannot be read are bad rows."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import OnMissing, ReadProgress, Row, read_rows
from bothways.files.columns import ColumnSelection
from bothways.files.formats import InputFile, resolve_input
from bothways.files.parts import BadRow, divide_file, final_columns, read_part

TEXTS = [f"text {n} é" for n in range(7)]
LINES = "".join(f"{text}\n" for text in TEXTS)
TABLE = "sep=,\nname,text,more\n" + "".join(
    f'n{n},"{text}\n, ""x""",{n}\n' for n, text in enumerate(TEXTS)
)
OBJECTS = "".join(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(TEXTS))


def columnar(write: Callable[[pa.Table, Path], object]) -> Callable[[Path], object]:
    return lambda path: write(pa.table({"text": TEXTS, "n": range(7)}), path)


def write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


FILES: dict[str, Callable[[Path], object]] = {
    "x.txt": lambda path: path.write_text("\ufeff" + LINES + "\n\n"),
    "x.csv": lambda path: path.write_text(TABLE),
    "x.tsv": lambda path: path.write_text("name\ttext\n" + "".join(f"1\t{t}\n" for t in TEXTS)),
    "x.jsonl": lambda path: path.write_text(OBJECTS),
    "x.json": lambda path: path.write_text(json.dumps(TEXTS)),
    "x.fasta": lambda path: path.write_text("".join(f">{n}\nMK\nV\n" for n in range(7))),
    "x.txt.gz": lambda path: path.write_bytes(gzip.compress(LINES.encode())),
    "y.txt": lambda path: path.write_bytes(LINES.encode("utf-16")),
    "z.txt": lambda path: path.write_text(LINES.replace("\n", "\r")),
    "x.parquet": columnar(lambda table, path: pq.write_table(table, path, row_group_size=2)),
    "x.arrow": columnar(write_arrow),
}


def read_parts(
    path: Path, part_rows: int, column: str | None = None, on_missing: OnMissing = "error"
) -> list[Row | BadRow]:
    file = resolve_input(str(path))
    progress = ReadProgress([])
    selection = final_columns(file, "text", ColumnSelection(column), progress)
    divided = divide_file(file, part_rows, "text", selection)
    rows: list[Row | BadRow] = []
    for index, part in enumerate(divided.parts):
        end = divided.parts[index + 1].row if index + 1 < len(divided.parts) else divided.rows
        rows += read_part(
            file._replace(part=part), end - part.row, kind="text", selection=selection,
            on_missing=on_missing, number=0, read_progress=progress,
        )  # fmt: skip
    return rows


@pytest.mark.parametrize("part_rows", [1, 3, 100])
@pytest.mark.parametrize("name", FILES)
def test_the_parts_of_a_file_are_its_rows(tmp_path: Path, name: str, part_rows: int) -> None:
    path = tmp_path / name
    FILES[name](path)
    column = "text" if name[2:] in ("csv", "tsv", "jsonl") else None
    expected = list(read_rows([str(path)], column=column))
    assert len(expected) == 7
    assert read_parts(path, part_rows, column) == expected


BAD: dict[str, tuple[bytes, dict[int, str]]] = {
    "x.txt": (b"a\n\nb\n\xff\nc\n\n", {2: "missing", 4: "encoding"}),
    "x.csv": (
        b'id,text\n1,a\n2,\n3,b,c\n4,"x"y\n5,\xff\n,x\n\n7,z\n\n',
        {2: "missing", 3: "invalid", 4: "invalid", 5: "encoding", 6: "invalid", 7: "missing"},
    ),
    "y.csv": (b'id,text\n1,a\n2,"b\n3,c\n', {2: "invalid"}),
    "x.jsonl": (
        b'{"text": "a"}\n{"text": 3}\nx\n\n{}\n{"text": "\\ud800"}\n{"text": "b"}\n',
        {2: "invalid", 3: "invalid", 4: "invalid", 5: "missing", 6: "invalid"},
    ),
}


@pytest.mark.parametrize("part_rows", [1, 2, 100])
@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_named_and_the_others_read(tmp_path: Path, name: str, part_rows: int) -> None:
    content, expected = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    rows = read_parts(path, part_rows, None if name == "x.txt" else "text")
    bad = {row.place.row: row.code for row in rows if isinstance(row, BadRow)}
    assert bad == expected
    numbers = [row.place.row for row in rows]
    assert numbers == sorted(numbers)
    for row in rows:
        if isinstance(row, BadRow):
            assert row.message.startswith(f"{path}, row {row.place.row}")
    with pytest.raises(DataFileError, match=rf"row {min(expected)}\b|byte 0xff"):
        list(read_rows([str(path)], column=None if name == "x.txt" else "text"))


def test_missing_values_are_skipped_or_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a"}\n{}\n{"text": "b"}\n')
    assert [row.id for row in read_parts(path, 1, "text", "skip")] == ["0", "2"]
    assert [row.id for row in read_parts(path, 2, "text", "empty")] == ["0", "1", "2"]


def test_the_first_row_of_the_file_determines_the_columns_of_every_part(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a", "id": 7}\n{"id": 8, "text": "b", "title": "c"}\n')
    assert [row.id for row in read_parts(path, 1)] == ["7", "8"]


def test_a_part_is_read_from_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(TABLE)
    file: InputFile = resolve_input(str(path))
    selection = final_columns(file, "text", ColumnSelection("text"), ReadProgress([]))
    part = divide_file(file, 3, "text", selection).parts[1]
    assert path.read_bytes()[part.offset :].startswith(b"n3,")
    assert (part.row, part.line, part.header_lines) == (3, 8, 2)
