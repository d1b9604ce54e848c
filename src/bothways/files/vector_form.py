"""Forms in which files store vectors: float32, float16, a byte or a bit per dimension.

f32     float32 (d,)
f16     float16 (d,)
int8    int8 (d,): codes of `bothways.quantize`, with the ranges of each dimension beside them
binary  int8 (d / 8,): signs of `bothways.quantize`
"""

import dataclasses
import hashlib
import json
from functools import cached_property
from typing import Any, Literal, Self, assert_never, get_args

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.files.origin import Origin

__all__ = ["VectorCodec", "VectorForm", "hash_ranges", "ranges_from_json", "ranges_to_json"]

VectorForm = Literal["f32", "f16", "int8", "binary"]


@dataclasses.dataclass(frozen=True, eq=False)
class VectorCodec:
    """Converts vectors into the form in which a file stores them, and back.

    ranges: lowest and highest value of each dimension (2, d) for int8; None for other forms.
    """

    form: VectorForm
    dimensions: int
    ranges: np.ndarray | None = None

    @classmethod
    def of(cls, origin: Origin, ranges: np.ndarray | None, name: str) -> Self:
        """The codec of the vectors of an origin in the file `name`.

        Raises:
            DataFileError: if this version does not know the form, or the ranges are not those of
                the origin.
        """
        form = _form_of(origin, name)
        if form != "int8":
            return cls(form, origin.dimensions)
        if (
            ranges is None
            or ranges.shape != (2, origin.dimensions)
            or hash_ranges(ranges) != origin.ranges_sha256
        ):
            raise DataFileError(
                f"{name}: the ranges of its int8 vectors are missing, or not those that they were "
                "written with; was the file changed after encoding?"
            )
        return cls(form, origin.dimensions, ranges)

    @classmethod
    def row_bytes_of(cls, origin: Origin) -> int:
        """Bytes per stored vector of an origin."""
        return cls(_form_of(origin, origin.model), origin.dimensions).row_bytes

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The type of a stored number."""
        match self.form:
            case "f32":
                return np.dtype("<f4")
            case "f16":
                return np.dtype("<f2")
            case "int8" | "binary":
                return np.dtype("i1")
            case unknown:
                assert_never(unknown)

    @property
    def width(self) -> int:
        """Stored numbers per vector."""
        return -(-self.dimensions // 8) if self.form == "binary" else self.dimensions

    @property
    def row_bytes(self) -> int:
        """Bytes per vector."""
        return self.width * self.dtype.itemsize

    @property
    def is_float(self) -> bool:
        """Whether numbers are stored, and not codes."""
        return self.dtype.kind == "f"

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors float32 (n, d) as they are stored (n, width).

        Raises:
            InputError: if a number is too large for float16.
        """
        match self.form:
            case "f32":
                return np.ascontiguousarray(vectors, "<f4")
            case "f16":
                with np.errstate(over="ignore"):
                    halves = np.ascontiguousarray(vectors, "<f2")
                if np.isinf(halves).any() and np.isfinite(vectors).all():
                    raise InputError(
                        f"a vector has the value {np.abs(vectors).max():g}, too large for f16; "
                        "use --vectors-as f32, or --normalize"
                    )
                return halves
            case "int8" | "binary":
                from bothways.model.quantization import quantize  # slow to import, seldom needed

                return np.ascontiguousarray(quantize(vectors, self.form, self.ranges).codes)
            case unknown:
                assert_never(unknown)

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Stored vectors (n, width) as float32 (n, d); approximate for int8 and binary."""
        match self.form:
            case "f32" | "f16":
                with np.errstate(over="ignore"):  # search refuses infinity
                    return np.asarray(stored, np.float32)
            case "int8" | "binary":
                from bothways.model.quantization import QuantizedVectors

                return QuantizedVectors(stored, self.form, self.dimensions, self.ranges).restore()
            case unknown:
                assert_never(unknown)


def _form_of(origin: Origin, name: str) -> VectorForm:
    forms: tuple[VectorForm, ...] = get_args(VectorForm)
    form = next((form for form in forms if form == origin.vectors_as), None)
    if form is None:
        known = ", ".join(forms)
        raise DataFileError(
            f"{name}: its vectors are stored as {origin.vectors_as!r}; this version of bothways "
            f"reads {known}"
        )
    return form


def hash_ranges(ranges: np.ndarray) -> str:
    """SHA-256, in hex, of ranges (2, d) in float32."""
    return hashlib.sha256(np.ascontiguousarray(ranges, "<f4").tobytes()).hexdigest()


def ranges_to_json(ranges: np.ndarray) -> list[list[float]]:
    """Ranges (2, d) as lists of numbers with the fewest digits that give the same float32."""
    return [[float(str(value)) for value in np.asarray(row, np.float32)] for row in ranges]


def ranges_from_json(value: Any, where: str) -> np.ndarray:
    """Read what `ranges_to_json` returned, or the same as a JSON text.

    Raises:
        DataFileError: if it is something else.
    """
    try:
        ranges = np.array(
            json.loads(value) if isinstance(value, str | bytes) else value, np.float32
        )
    except (TypeError, ValueError) as error:
        raise DataFileError(f"{where}: the ranges of the vectors are damaged: {error}") from error
    if ranges.ndim != 2 or len(ranges) != 2 or not np.isfinite(ranges).all():
        raise DataFileError(
            f"{where}: the ranges of the vectors are damaged: expected the lowest and the highest "
            "value of each dimension"
        )
    return ranges
