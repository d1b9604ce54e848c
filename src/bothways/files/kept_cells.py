"""Cells of other columns of the input, copied to the output.

A cell is a JSON value, or a scalar of pyarrow from .parquet and .arrow, which keeps its type in
.parquet. In other formats dates, times, decimals and UUIDs are texts, spelled as ids are.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bothways.errors import DataFileError
from bothways.files.rows import Place, Row

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NO_CELLS", "KeptCells", "KeptTypes"]


@dataclasses.dataclass(frozen=True)
class KeptCells:
    """The copied cells of n rows, by column.

    places: of the rows, for messages.
    """

    columns: Mapping[str, Sequence[Any]]
    places: Sequence[Place]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "KeptCells":
        """The cells of rows that have the same columns."""
        names = rows[0].cells if rows else ()
        columns = {name: [row.cells[name] for row in rows] for name in names}
        return cls(columns, [row.place for row in rows])

    def json_columns(self) -> dict[str, list[Any]]:
        """JSON values by column.

        Raises:
            DataFileError: for a value that JSON does not have, such as bytes; names its place.
        """
        return {
            name: [
                _json_value(cell, place._replace(field=name))
                for cell, place in zip(cells, self.places, strict=True)
            ]
            for name, cells in self.columns.items()
        }

    def json_lines(self, count: int) -> Iterator[str]:
        """The members of an object for each of `count` rows, each followed by a comma."""
        columns = self.json_columns()
        for i in range(count):
            yield "".join(
                f"{json.dumps(name)}: {json.dumps(cells[i])}, " for name, cells in columns.items()
            )


NO_CELLS = KeptCells({}, ())


class KeptTypes:
    """The types of copied columns in Parquet: those of the first rows.

    A column of JSON values has the type that pyarrow infers, and text if all of them are null.

    Raises:
        DataFileError: if the first values of a column have different types.
    """

    def __init__(self, first: KeptCells) -> None:
        self._types: dict[str, pa.DataType] = {}
        self._types = {name: array.type for name, array in self._arrays(first).items()}

    @property
    def fields(self) -> "list[pa.Field[Any]]":
        """The fields of the schema."""
        import pyarrow as pa

        return [pa.field(name, type_) for name, type_ in self._types.items()]

    def arrays(self, kept: KeptCells) -> "list[pa.Array[Any]]":
        """The columns, in the order of `fields`.

        Raises:
            DataFileError: if a cell is not of its column's type; names its place.
        """
        return list(self._arrays(kept).values())

    def _arrays(self, kept: KeptCells) -> "dict[str, pa.Array[Any]]":
        import pyarrow as pa

        arrays: dict[str, pa.Array[Any]] = {}
        for name, cells in kept.columns.items():
            type_ = self._types.get(name)
            try:
                arrays[name] = pa.array(cells, type_)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                self._refuse(name, cells, kept.places, str(error))
            if type_ is None and pa.types.is_null(arrays[name].type):
                arrays[name] = arrays[name].cast(pa.string())
        return arrays

    def _refuse(self, name: str, cells: Sequence[Any], places: Sequence[Place], why: str) -> None:
        import pyarrow as pa

        type_ = self._types.get(name)
        place = places[0]
        for end in range(1, len(cells) + 1):  # where the first cell is that does not fit
            try:
                array = pa.array(cells[:end] if type_ is None else cells[end - 1 : end], type_)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                place, why = places[end - 1], str(error)
                break
            if type_ is None and not pa.types.is_null(array.type):
                type_ = array.type
        expected = "" if type_ is None else f"expected {type_}, as in the rows before; "
        raise DataFileError(
            f"{place._replace(field=name)}: {expected}{why}; a column of .parquet has one type: "
            "write .jsonl, or leave the column out"
        )


def _json_value(cell: Any, place: Place) -> Any:
    if cell is None or isinstance(cell, str | bool | int):
        return cell
    value = cell
    if not isinstance(cell, float | list | dict):
        from bothways.files.columnar_values import plain_value

        value = plain_value(cell, place)
    try:
        # JSON has no NaN; what cannot be encoded is refused here, with its place.
        return json.loads(json.dumps(value), parse_constant=lambda _: None)
    except (TypeError, ValueError) as error:
        raise DataFileError(
            f"{place}: cannot be written as JSON: {error}; write .parquet, or leave the column out"
        ) from error
