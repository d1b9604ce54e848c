"""`Encode`: vectors for batches of NumPy, pyarrow and pandas, whose bad rows are marked."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import bothways
from bothways import Encoder
from bothways.errors import InputError
from bothways.jobs.ray import Encode

ROWS = ["MKV", None, "LATCDE", "M" * 40, 7, "MKV\ud800", "CC"]


@pytest.fixture(scope="module")
def encode(model: str) -> Encode:
    return Encode(model, "seq", backend="native", threads=1, on_overflow="error")


def test_bad_rows_are_marked_and_the_others_have_their_vectors(
    encode: Encode, encoder: Encoder
) -> None:
    batch = {"seq": np.array(ROWS, object), "n": np.arange(7)}
    result = encode(batch)
    assert list(result) == ["seq", "n", "vector", "num_tokens", "truncated", "error"]
    good = [0, 2, 6]
    assert [index for index, error in enumerate(result["error"]) if error is None] == good
    assert "missing" in result["error"][1]
    assert "longest" in result["error"][3] or "32" in result["error"][3]
    expected = encoder.encode_detailed([ROWS[index] for index in good])
    assert np.array_equal(result["vector"][good], expected.vectors)
    assert result["num_tokens"][good].tolist() == expected.num_tokens.tolist()
    assert np.isnan(np.delete(result["vector"], good, axis=0)).all()
    assert np.array_equal(result["n"], batch["n"])


def test_a_table_of_pyarrow_stays_one(encode: Encode, encoder: Encoder) -> None:
    table = pa.table({"seq": ["MKV", None, "CC"], "error": [1, 2, 3]})
    result = encode(table)
    vectors = result["vector"]
    assert vectors.type == pa.list_(pa.float32(), 8)
    assert vectors.null_count == 1
    assert np.array_equal(
        np.array(vectors.filter(vectors.is_valid()).to_pylist(), np.float32),
        encoder.encode(["MKV", "CC"]),
    )
    assert result.column_names == ["seq", "vector", "num_tokens", "truncated", "error"]
    assert result["error"].to_pylist() == [None, "the value is missing", None]
    assert result["truncated"].to_pylist() == [False] * 3
    empty = encode(table.slice(0, 0))
    assert empty.schema == result.schema


def test_a_data_frame_of_pandas_stays_one(encode: Encode, encoder: Encoder) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"seq": ["MKV", float("nan")]})
    result = encode(frame)
    assert np.array_equal(result["vector"][0], encoder.encode("MKV"))
    assert result["num_tokens"].tolist()[1] == 0
    assert result["error"][1] == "the value is missing"


def test_long_rows_are_cut_and_marked(model: str) -> None:
    encode = Encode(model, "seq", backend="native", threads=1)
    result = encode({"seq": np.array(["M" * 40, "MK"])})
    assert result["truncated"].tolist() == [True, False]
    assert not result["error"].any()


def test_a_missing_column_is_an_error(encode: Encode) -> None:
    with pytest.raises(InputError, match="no column 'seq' in the batch; its columns are text"):
        encode({"text": np.array(["MKV"])})


def test_the_engine_has_as_many_threads_as_the_actor_has_cpus(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    load = bothways.load

    def watch(*args: Any, **options: Any) -> Any:
        threads.append(options["threads"])
        return load(*args, **options)

    monkeypatch.setattr(bothways, "load", watch)
    for resources in ({"CPU": 2.0}, {"CPU": 0.5}, {}):
        context = SimpleNamespace(get_assigned_resources=lambda resources=resources: resources)
        ray = SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)  # noqa: B023
        monkeypatch.setitem(sys.modules, "ray", ray)
        Encode(model, "seq", backend="native")
    assert threads == [2, 1, None]
