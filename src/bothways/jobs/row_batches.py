"""Vectors for batches of rows in pipelines of other libraries: a bad row is marked, and does not
end the pipeline.

n rows; d dimensions of a vector.
"""

import sys
from typing import Any

import numpy as np

import bothways
from bothways.errors import InputError
from bothways.inference.backends import BackendName, Precision
from bothways.model.config import PoolingMode
from bothways.streaming.refusals import find_refusal
from bothways.streaming.settings import EncodeSettings

__all__ = ["Encode"]

_MISSING = "the value is missing"


class Encode:
    """A class for `map_batches` of Ray Data, which adds the vectors of a column to each batch.

        ds.map_batches(
            Encode, fn_constructor_kwargs={"model": "minilm", "column": "body"},
            batch_format="pyarrow", num_cpus=4, compute=ray.data.ActorPoolStrategy(max_size=8),
        )

    The new columns are `vector` (float32, of fixed length), `num_tokens`, `truncated` and `error`,
    which is null for a row with a vector, and else says why there is none. The vector of such a row
    is null in a batch of pyarrow, and NaN in one of NumPy or pandas.

    model, backend, precision, device, max_length, family, adapter, route: see `bothways.load`.
    threads: by default, the `num_cpus` of the actor. pooling, normalize, dimensions, prompt,
    prompt_name: see `Encoder.encode`. on_overflow: `error` marks rows that are too long.

    Raises:
        SourceError, CheckpointError, BackendError: as `bothways.load`.
    """

    def __init__(
        self,
        model: str = "minilm",
        column: str = "text",
        *,
        backend: BackendName = "auto",
        precision: Precision = "fp32",
        device: str | None = None,
        threads: int | None = None,
        max_length: int | None = None,
        family: str | None = None,
        adapter: str | None = None,
        route: str | None = None,
        pooling: PoolingMode | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_overflow: str = "truncate",
    ) -> None:
        self._column = column
        self._settings = EncodeSettings(
            pooling=pooling,
            normalize=normalize,
            dimensions=dimensions,
            prompt=prompt,
            prompt_name=prompt_name,
            on_overflow=on_overflow,  # type: ignore[arg-type]
        )
        self._encoder = bothways.load(
            model,
            backend=backend,
            precision=precision,
            device=device,
            threads=threads or _assigned_cpus(),
            max_length=max_length,
            family=family,
            adapter=adapter,
            route=route,
        )
        self._dimensions = self._encode([]).vectors.shape[1]

    def __call__(self, batch: Any) -> Any:
        """The batch with the new columns: a dict of arrays, or a table of pyarrow or pandas.

        Raises:
            InputError: if the batch lacks the column.
        """
        names = getattr(batch, "column_names", None) or list(batch)
        if self._column not in names:
            raise InputError(
                f"no column {self._column!r} in the batch; its columns are {', '.join(names)}"
            )
        column = batch[self._column]
        values = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
        return _with_columns(batch, *self._encode_rows(values))

    def _encode_rows(
        self, values: list[Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str | None]]:
        """Vectors (n, d), NaN for bad rows, numbers of tokens, truncations and errors."""
        errors: list[str | None] = [_MISSING if _is_missing(value) else None for value in values]
        good = [index for index, error in enumerate(errors) if error is None]
        try:
            encoded = self._encode([values[index] for index in good])
        except InputError:
            for index in good:
                refusal = find_refusal(self._encoder, values[index], self._settings)
                errors[index] = None if refusal is None else refusal.detail
            good = [index for index in good if errors[index] is None]
            encoded = self._encode([values[index] for index in good])
        vectors = np.full((len(values), self._dimensions), np.nan, np.float32)
        num_tokens = np.zeros(len(values), np.int64)
        truncated = np.zeros(len(values), bool)
        vectors[good] = encoded.vectors
        num_tokens[good] = encoded.num_tokens
        truncated[good] = encoded.truncated
        return vectors, num_tokens, truncated, errors

    def _encode(self, values: list[Any]) -> Any:
        settings = self._settings
        return self._encoder.encode_detailed(
            values,
            pooling=settings.pooling,
            normalize=settings.normalize,
            dimensions=settings.dimensions,
            prompt=settings.prompt,
            prompt_name=settings.prompt_name,
            on_overflow=settings.on_overflow,
            on_unknown="ignore",
        )


def _with_columns(
    batch: Any,
    vectors: np.ndarray,
    num_tokens: np.ndarray,
    truncated: np.ndarray,
    errors: list[str | None],
) -> Any:
    """The batch with the new columns, which replace columns of the same names."""
    if hasattr(batch, "column_names"):
        return _with_arrow_columns(batch, vectors, num_tokens, truncated, errors)
    new = {"num_tokens": num_tokens, "truncated": truncated}
    if hasattr(batch, "assign"):
        return batch.assign(vector=list(vectors), **new, error=errors)
    return {**batch, "vector": vectors, **new, "error": np.array(errors, object)}


def _with_arrow_columns(
    table: Any,
    vectors: np.ndarray,
    num_tokens: np.ndarray,
    truncated: np.ndarray,
    errors: list[str | None],
) -> Any:
    import pyarrow as pa

    bad = np.array([error is not None for error in errors], bool)
    flat = pa.array(vectors.reshape(-1))
    columns = {
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1], mask=pa.array(bad)),
        "num_tokens": pa.array(num_tokens),
        "truncated": pa.array(truncated),
        "error": pa.array(errors, pa.string()),
    }
    kept = [name for name in table.column_names if name not in columns]
    table = table.select(kept)
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def _is_missing(value: Any) -> bool:
    """Whether a value is None, or the NaN that pandas has in its place."""
    return value is None or (isinstance(value, float) and value != value)


def _assigned_cpus() -> int | None:
    """The CPUs of the Ray actor that this process is; None outside of one."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU")
    return max(1, int(cpus)) if cpus else None
