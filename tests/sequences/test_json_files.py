"""JSON files that are malformed, huge or hostile are refused by name."""

from pathlib import Path

import pytest

from bothways.errors import CheckpointError
from bothways.sequences import json_files
from bothways.sequences.json_files import read_object, read_object_if_there


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "not JSON: .*line 1, column 1"),
        (b'{"a": 1', "not JSON"),
        (b"[1]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "not JSON: "),
    ],
)
def test_what_is_no_object_is_refused_by_name(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=named) as error:
        read_object(path)
    assert str(error.value).startswith(str(path))


def test_a_giant_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "LARGEST_FILE", 10)
    path = tmp_path / "config.json"
    path.write_text('{"a": "0123456789"}')
    with pytest.raises(CheckpointError, match="19 bytes; expected at most 10"):
        read_object(path)


def test_a_missing_file_is_an_error_or_nothing(tmp_path: Path) -> None:
    assert read_object_if_there(tmp_path / "none.json") == {}
    with pytest.raises(CheckpointError, match=r"none\.json: cannot be read: No such file"):
        read_object(tmp_path / "none.json")
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        read_object(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_object(tmp_path / "config.json") == {"a": 1}
