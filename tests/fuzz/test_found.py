"""Inputs that fuzzing found: each ended in another exception than an error of bothways."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scripts.fuzz.targets import TARGETS

from bothways.errors import BothwaysError


def refused(target: str, folder: Path, change: Callable[[Path], object]) -> str:
    """The error from reading the target's valid files after a change."""
    TARGETS[target].make(folder)
    change(folder)
    with pytest.raises(BothwaysError) as raised:
        TARGETS[target].read(folder)
    return str(raised.value)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4",  # TokenError
        b"{'descr': '<f4', 'fortran_order': False, 3: 4, 'shape': (4, 4)}",  # TypeError
        b"{'descr': [('a', '<f4', -1)], 'fortran_order': False, 'shape': (4, 4)}",
        b"(" * 5_000,  # MemoryError or RecursionError
    ],
)
def test_a_broken_header_of_a_npy_file(tmp_path: Path, header: bytes) -> None:
    def change(folder: Path) -> None:
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        (folder / "v.npy").write_bytes(content + bytes(64))

    assert "not a .npy file" in refused("vectors-npy", tmp_path, change)


@pytest.mark.parametrize("column", ["id", "text", "vector"])
def test_a_column_that_a_parquet_file_has_twice(tmp_path: Path, column: str) -> None:
    def change(folder: Path) -> None:
        table = pq.read_table(folder / "v.parquet")
        pq.write_table(table.append_column(column, table[column]), folder / "v.parquet")

    message = refused("vectors-parquet", tmp_path, change)
    expected = (
        "expected one column 'vector'" if column == "vector" else f"several columns '{column}'"
    )
    assert expected in message


def test_dimensions_of_thousands_of_digits_in_the_metadata(tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        table = pq.read_table(folder / "v.parquet")
        metadata = {**table.schema.metadata, b"bothways.dimensions": b"9" * 5_000}
        pq.write_table(table.replace_schema_metadata(metadata), folder / "v.parquet")

    assert "dimensions is '999" in refused("vectors-parquet", tmp_path, change)


@pytest.mark.parametrize("value", ["9" * 5_000, "[" * 3_000 + "]" * 3_000, "{a=" * 3_000])
def test_numbers_and_nesting_without_end_in_toml(tmp_path: Path, value: str) -> None:
    def change(folder: Path) -> None:
        (folder / "s.toml").write_text(f"[training]\nmax_steps = {value}\n")

    assert "s.toml: not valid TOML" in refused("settings", tmp_path, change)


@pytest.mark.parametrize(
    ("target", "file", "value"),
    [
        ("model-bert-vocabulary", "added_tokens.json", {"\ud800": 12}),
        ("model-bert-vocabulary", "special_tokens_map.json", {"mask_token": "\udfff"}),
        ("model-bert-vocabulary", "tokenizer_config.json", {"unk_token": {"content": "\ud800"}}),
        ("model-roberta-vocabulary", "vocab.json", {"\ud800": 0}),
        ("model-symbols", "m/bothways.json", {"\ud800": 0}),
    ],
)
def test_half_of_a_surrogate_pair(tmp_path: Path, target: str, file: str, value: object) -> None:
    def change(folder: Path) -> None:
        (folder / file).write_text(json.dumps(value))

    assert "half of a surrogate pair" in refused(target, tmp_path, change)


@pytest.mark.parametrize(
    ("field", "value"), [("best_value", 10**400), ("step", "x"), ("seconds", 10**400)]
)
def test_a_state_of_numbers_without_end(tmp_path: Path, field: str, value: object) -> None:
    def change(folder: Path) -> None:
        (state,) = folder.rglob("state.json")
        state.write_text(json.dumps(json.loads(state.read_text()) | {field: value}))

    assert "state.json: not a valid training state" in refused("run", tmp_path, change)


def test_a_validation_without_an_epoch_in_the_metrics(tmp_path: Path) -> None:
    TARGETS["run"].make(tmp_path)
    event = {"kind": "validation", "step": 1, "metrics": {}, "best": True}
    (tmp_path / "run" / "metrics.jsonl").write_text(json.dumps(event) + "\n")
    with pytest.warns(UserWarning, match="removed 1 damaged lines"):
        TARGETS["run"].read(tmp_path)


def test_the_valid_vectors_of_the_targets_are_what_they_say(tmp_path: Path) -> None:
    TARGETS["vectors-npy"].make(tmp_path)
    assert np.array_equal(np.load(tmp_path / "v.npy"), np.eye(4, dtype=np.float32))
