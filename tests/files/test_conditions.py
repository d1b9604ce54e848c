"""Search among the rows that fulfil conditions, and among the rows like a row."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError, InputError
from bothways.files import Condition, Origin, find_like, find_nearest

COLUMNS: dict[str, list[Any]] = {
    "language": ["de", "en", None, "de"],
    "year": [1999, 2001, 2001, None],
    "price": [1.5, 2.0, None, 1e-7],
    "sold": [True, False, True, None],
    "tags": [["a"], [], None, ["b"]],
}
VECTORS = np.array([[4, 0, 0, 0], [3, 1, 0, 0], [2, 1, 0, 0], [1, 1, 0, 0]], np.float32)

Store = Callable[..., str]


@pytest.fixture(params=[".parquet", ".jsonl"])
def path(request: pytest.FixtureRequest, tmp_path: Path, origin: Origin, store: Store) -> str:
    """Four rows with further columns; row i is nearer to the first axis than row i + 1."""
    name = store(tmp_path / f"v{request.param}", origin, VECTORS)
    if request.param == ".parquet":
        table = pq.read_table(name)
        for column, values in COLUMNS.items():
            table = table.append_column(column, pa.array(values))
        dates = [date(2024, 1, day) for day in (1, 2, 3, 4)]
        pq.write_table(table.append_column("day", pa.array(dates)), name)
    else:
        rows = [json.loads(line) for line in Path(name).read_text().splitlines()]
        for i, row in enumerate(rows):
            row |= {column: values[i] for column, values in COLUMNS.items()}
            row["day"] = f"2024-01-0{i + 1}"
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


@pytest.mark.parametrize(
    ("conditions", "rows"),
    [
        ([], [0, 1, 2, 3]),
        (["language=de"], [0, 3]),
        (["language=DE"], []),
        (["language="], []),
        (["year=2001"], [1, 2]),
        (["year=2001.0"], [1, 2]),
        (["price=2"], [1]),
        (["price=0.0000001"], [3]),
        (["sold=true"], [0, 2]),
        (["sold=1"], []),
        (["day=2024-01-03"], [2]),
        (["id=id-2"], [2]),
        (["text=text 0"], [0]),
        (["language=de", "language=en"], [0, 1, 3]),
        (["language=de", "sold=true"], [0]),
        (["language=en", "sold=true"], []),
    ],
)
def test_only_rows_that_fulfil_all_conditions_are_searched(
    path: str, origin: Origin, conditions: list[str], rows: list[int]
) -> None:
    where = [Condition.parse(text) for text in conditions]
    hits = find_nearest(path, VECTORS[0], origin, 4, where=where)
    assert [hit.row for hit in hits] == rows


def test_an_unknown_column_is_an_error_that_lists_the_columns(path: str, origin: Origin) -> None:
    with pytest.raises(DataFileError, match=r"v\..*: no column 'lang'; it has 'id', 'text',.*'day"):
        find_nearest(path, VECTORS[0], origin, 1, where=[Condition("lang", "de")])


def test_a_column_of_lists_is_an_error(path: str, origin: Origin) -> None:
    with pytest.raises(DataFileError, match="column 'tags': holds lists"):
        find_nearest(path, VECTORS[0], origin, 1, where=[Condition("tags", "a")])


@pytest.mark.parametrize("text", ["language", "=de", ""])
def test_a_malformed_condition_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="expected COLUMN=VALUE"):
        Condition.parse(text)


def test_the_value_of_a_condition_may_hold_an_equals_sign() -> None:
    assert Condition.parse("a=b=c") == ("a", "b=c")


def test_rows_like_a_row_leave_it_out(path: str) -> None:
    hits = find_like(path, "id-1", 2)
    assert [(hit.rank, hit.row, hit.id) for hit in hits] == [(1, 2, "id-2"), (2, 0, "id-0")]
    where = [Condition("language", "de")]
    assert [hit.row for hit in find_like(path, "id-1", 9, where=where)] == [0, 3]


def test_the_ids_of_an_array_are_those_beside_it_or_row_numbers(
    tmp_path: Path, origin: Origin, store: Store
) -> None:
    path = store(tmp_path / "v.npy", origin, VECTORS)
    assert [hit.id for hit in find_like(path, "id-3", 1)] == ["id-2"]
    (hit,) = find_nearest(path, VECTORS[0], origin, 9, where=[Condition("id", "id-3")])
    assert hit.row == 3
    np.save(tmp_path / "bare.npy", VECTORS)
    assert [hit.id for hit in find_like(str(tmp_path / "bare.npy"), "3", 1, trust=True)] == ["2"]


def test_a_row_with_an_equal_vector_is_not_left_out(
    tmp_path: Path, origin: Origin, store: Store
) -> None:
    path = store(tmp_path / "v.npy", origin, VECTORS[[0, 1, 0]])
    assert [hit.row for hit in find_like(path, "id-0", 2)] == [2, 1]


def test_an_unknown_id_is_an_error(path: str) -> None:
    with pytest.raises(DataFileError, match="no row has the id 'nobody'"):
        find_like(path, "nobody", 1)


def test_an_id_of_several_rows_is_an_error(tmp_path: Path, origin: Origin, store: Store) -> None:
    path = Path(store(tmp_path / "v.jsonl", origin, VECTORS))
    path.write_text(path.read_text() * 2)
    with pytest.raises(DataFileError, match=r"2 rows have the id 'id-1', .* rows 2 and 6"):
        find_like(str(path), "id-1", 1)
