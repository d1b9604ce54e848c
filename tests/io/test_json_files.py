"""Malformed, huge and hostile JSON files are errors that name the file."""

import json
import re
import time
from pathlib import Path

import pytest

from bothways.errors import CheckpointError
from bothways.io.json_files import (
    MAX_BYTES,
    MAX_DEPTH,
    read_json,
    read_object,
    read_optional_object,
    write_json,
)

SECONDS = 2.0
"""A refusal reads no more than the limit; the bound is generous, for a busy machine."""


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None, True], "a": {"ü": "\u2028"}}
    write_json(tmp_path / "x.json", value)
    assert read_object(tmp_path / "x.json") == value
    assert (tmp_path / "x.json").read_text(encoding="utf-8").startswith('{\n  "a"')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' appears twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "1e999"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'{"a": 1', "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[" * 100_000, "deeper than"),
        (b"[" * 500 + b"]" * 500, "deeper than"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deeper than"),
    ],
)
def test_malformed_json_is_an_error_that_names_the_file(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"x\.json.*{re.escape(message)}"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("value", [[1], "text", 3, None])
def test_a_value_that_is_not_an_object_is_refused(value: object, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(value))
    with pytest.raises(CheckpointError, match=f"holds a {type(value).__name__}"):
        read_object(tmp_path / "x.json")


def test_nesting_depth_is_limited(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[" * (MAX_DEPTH + 1) + "1" + "]" * (MAX_DEPTH + 1))
    with pytest.raises(CheckpointError, match="deeper than"):
        read_json(tmp_path / "x.json")


def test_a_file_beyond_the_size_limit_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("wb") as file:
        file.truncate(2**40)  # a sparse file: a terabyte that takes no room
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=f"larger than the limit of {MAX_BYTES:,} bytes"):
        read_json(tmp_path / "x.json")
    assert time.monotonic() - start < SECONDS


def test_a_missing_file_or_a_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"x\.json: no such file"):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").mkdir()
    with pytest.raises(CheckpointError, match=r"x\.json: not a regular file"):
        read_json(tmp_path / "x.json")


def test_an_optional_file_may_be_missing(tmp_path: Path) -> None:
    assert read_optional_object(tmp_path / "x.json") == {}


def test_a_byte_order_mark_is_removed(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_object(tmp_path / "x.json") == {"a": 1}
