"""Training of a head on a frozen encoder, whose vectors are computed once.

The head's input depends on no weight that is trained, so it is computed before the first step and
replaces the sequences: one vector per sequence for a head that pools, one per labeled position for
tags. T tokens of a batch; D model width.
"""

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, overload

import numpy as np
import torch
from torch import Tensor, nn

from bothways.errors import ConfigError
from bothways.io.atomic import wrap_write_errors
from bothways.model.packing import plan_batches
from bothways.nn.heads import HeadModule
from bothways.nn.lengths import Lengths
from bothways.nn.pooling import pool
from bothways.training.data.dataset import IGNORED, Dataset, Example, InputSequence
from bothways.training.data.windows import merge_windows
from bothways.training.engine.microbatches import to_device
from bothways.training.engine.step import autocast
from bothways.training.model import TrainedModel
from bothways.training.objectives.arrays import pack_windows, to_array
from bothways.training.objectives.objective import PreparedBatch
from bothways.training.resolved_settings import ResolvedSettings

__all__ = ["head_only", "precompute"]

MAX_BYTES_IN_MEMORY = 2**30
"""Vectors of more bytes are kept in a temporary file."""


class PrecomputedEncoder(nn.Module):
    """Takes the place of an encoder where the values of a batch are its vectors already."""

    def forward(self, values: Tensor, lengths: Lengths, segments: Tensor | None) -> tuple[Tensor]:
        """The values, (T, D)."""
        return (values,)


def head_only(model: TrainedModel) -> TrainedModel:
    """A model of precomputed vectors with the head of `model`; they share its weights.

    Raises:
        ConfigError: if the model has no head of classes, tags or values.
    """
    return TrainedModel(PrecomputedEncoder(), _head_of(model))


def precompute(
    model: TrainedModel,
    data: Dataset,
    settings: ResolvedSettings,
    device: torch.device,
    folder: Path,
    report: Callable[[int], None],
) -> Dataset:
    """The examples with the vectors of the head's input in place of their sequences.

    The encoder computes without dropout. Lengths stay those of the sequences, so that steps have
    the same examples as in training of all weights. folder: of the temporary file for vectors that
    do not fit into memory. report: called with the number of examples that are done.

    Raises:
        DataFileError: if the temporary file cannot be written.
        ConfigError: if the head pools its outputs.
    """
    head = _head_of(model).head
    if head.pools_outputs:
        raise ConfigError(
            "frozen: the head pools the outputs of all positions, which cannot be computed once; "
            "train without --frozen, or choose a pooling for a new head with --head-pooling"
        )
    pooling = head.pooling
    positions = None if pooling else [_labeled_positions(example) for example in data.examples]
    counts = [1] * len(data) if positions is None else [len(each) for each in positions]
    starts = np.cumsum([0, *counts])
    done = 0
    model.to(device).encoder.eval()
    with (
        contextlib.closing(_VectorWriter(starts, folder)) as writer,
        torch.no_grad(),
        autocast(device, settings),
    ):
        for batch in plan_batches(data.lengths, settings.micro_tokens):
            examples = [data[index] for index in batch.tolist()]
            packed, merge = pack_windows(examples), merge_windows(examples)
            prepared = to_device(PreparedBatch(packed, {}, 0.0, (), merge), device)
            (x_TD,) = model.encoder(prepared.values, prepared.lengths, prepared.segments)
            lengths = prepared.lengths
            if prepared.windows is not None:
                x_TD, lengths = prepared.windows.merge(x_TD), prepared.windows.lengths
            if pooling:
                x_TD = pool(x_TD, lengths, pooling)
            bounds = np.arange(1, len(batch)) if pooling else packed.starts[1:]
            parts = np.split(to_array(x_TD.float()), bounds)
            for index, part_LD in zip(batch.tolist(), parts, strict=True):
                writer.write(index, part_LD if positions is None else part_LD[positions[index]])
            done += len(batch)
            report(done)
        vectors = writer.finish()
    return Dataset(_VectorExamples(data, vectors, starts, positions), data.lengths)


def _head_of(model: TrainedModel) -> HeadModule:
    if model.head is None or not model.head.head.labels:
        raise ConfigError("frozen: only heads of classes, tags and values can be trained alone")
    return model.head


def _labeled_positions(example: Example) -> np.ndarray:
    """The positions of an example's tags, at least one."""
    if example.target is None:
        raise ValueError(f"{example.place}: expected one tag for each position")
    positions = np.flatnonzero(example.target != IGNORED)
    return positions if len(positions) else np.zeros(1, np.int64)


class _VectorWriter:
    """Collects the vectors of each example, float32, in memory or in a temporary file.

    starts: the first vector of each example, and the number of all vectors, int64 (n + 1,).
    """

    def __init__(self, starts: np.ndarray, folder: Path) -> None:
        self._starts, self._folder = starts, folder
        self._array: np.ndarray | None = None
        self._file: IO[bytes] | None = None

    def write(self, index: int, vectors: np.ndarray) -> None:
        """Store the vectors of an example."""
        start, end = self._starts[index : index + 2].tolist()
        if self._array is None and self._file is None:
            self._create(vectors.shape[1])
        if self._array is not None:
            self._array[start:end] = vectors
        elif self._file is not None:
            with wrap_write_errors(self._folder):
                self._file.seek(start * vectors[0].nbytes)
                self._file.write(np.ascontiguousarray(vectors).tobytes())

    def finish(self) -> np.ndarray:
        """All vectors, in the order of the examples."""
        if self._file is not None:
            with wrap_write_errors(self._folder):
                self._file.flush()
            # The mapping outlives the file's name and its handle.
            flat = np.memmap(self._file, np.float32, "r")
            self._array = flat.reshape(int(self._starts[-1]), -1)
        if self._array is None:
            raise ValueError("no vectors have been written")
        return self._array

    def close(self) -> None:
        """Close the temporary file."""
        if self._file is not None:
            self._file.close()

    def _create(self, width: int) -> None:
        if 4 * width * int(self._starts[-1]) <= MAX_BYTES_IN_MEMORY:
            self._array = np.empty((int(self._starts[-1]), width), np.float32)
            return
        with wrap_write_errors(self._folder):
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115


class _VectorExamples(Sequence[Example]):
    """Examples whose sequences are vectors.

    starts: as in `_VectorWriter`. positions: those of tags; None for pooled vectors.
    """

    def __init__(
        self,
        data: Dataset,
        vectors: np.ndarray,
        starts: np.ndarray,
        positions: Sequence[np.ndarray] | None,
    ) -> None:
        self._data, self._vectors = data, vectors
        self._starts, self._positions = starts, positions

    def __len__(self) -> int:
        """Number of examples."""
        return len(self._data)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        example = self._data[index]
        values = self._vectors[slice(*self._starts[index : index + 2].tolist())]
        target = example.target
        if self._positions is not None and target is not None:
            target = target[self._positions[index]]
        sequence = InputSequence(values, None, slice(0, len(values)))
        return Example((sequence,), target, example.place)
