"""Directories, patterns and whole files as inputs."""

from pathlib import Path

import pytest

from bothways.errors import DataFileError
from bothways.files import FileOptions, check_inputs, read_rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in" / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / ".hidden").mkdir()
    for name, text in {
        "b.txt": "b1\nb2\n",
        "a.csv": "text\na\n",
        "notes.md": "# Title\n\nBody\n",
        ".secret.txt": "hidden",
        ".hidden/x.txt": "hidden",
        "deep/c.txt": "c\n",
        "deep/deeper/d.txt": "d\n",
    }.items():
        (tmp_path / "in" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


def test_a_directory_is_the_files_in_it_that_can_be_read(folder: Path) -> None:
    notes: list[str] = []
    files = check_inputs(["in"], note=notes.append)
    assert [file.source for file in files] == ["in/a.csv", "in/b.txt"]
    assert notes == ["in: left out files of other formats: notes.md"]
    rows = list(read_rows(["in"]))
    assert [(row.id, row.value) for row in rows] == [("0", "a"), ("1", "b1"), ("2", "b2")]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("in/*.txt", ["in/b.txt"]),
        ("in/**/*.txt", ["in/b.txt", "in/deep/c.txt", "in/deep/deeper/d.txt"]),
        ("in/[ab].*", ["in/a.csv", "in/b.txt"]),
        ("in/deep/?.txt", ["in/deep/c.txt"]),
    ],
)
def test_a_pattern_is_the_files_that_match_it(folder: Path, pattern: str, found: list[str]) -> None:
    assert [file.source for file in check_inputs([pattern])] == found


def test_a_file_whose_name_looks_like_a_pattern_is_read(folder: Path) -> None:
    (folder / "x[1].txt").write_text("x\n")
    assert [file.source for file in check_inputs(["in/x[1].txt"])] == ["in/x[1].txt"]


def test_a_directory_or_pattern_without_files_is_an_error(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "x.docx").touch()
    with pytest.raises(DataFileError, match=r"in/empty: the directory has no .*other format: x\.d"):
        check_inputs(["in/empty"])
    with pytest.raises(DataFileError, match=r"in/\*\.pdf: no file matches"):
        check_inputs(["in/*.pdf"])


def test_files_that_were_found_are_not_looked_for_again(folder: Path) -> None:
    files = check_inputs(["in"], FileOptions(encoding="latin-1"))
    assert check_inputs(files) == files


def test_each_file_can_be_one_text_with_its_path_as_id(folder: Path) -> None:
    rows = list(read_rows(["in", "in/deep/*"], options=FileOptions(per_file=True)))
    assert [(row.id, row.value) for row in rows] == [
        ("in/a.csv", "text\na"),
        ("in/b.txt", "b1\nb2"),
        ("in/notes.md", "# Title\n\nBody"),
        ("in/deep/c.txt", "c"),
    ]


def test_a_whole_text_beyond_the_limit_or_blank_is_an_error(folder: Path) -> None:
    (folder / "long.txt").write_text("line\n" * 100)
    (folder / "blank.txt").write_text("\n\n")
    options = FileOptions(per_file=True, max_row_size=100)
    with pytest.raises(DataFileError, match=r"long\.txt: a text of more than 100 bytes"):
        list(read_rows(["in/long.txt"], options=options))
    with pytest.raises(DataFileError, match=r"blank\.txt, row 1: the value is missing"):
        list(read_rows(["in/blank.txt"], options=options))
