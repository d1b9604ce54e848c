"""Checkpoints: weights, optimizer state and progress, from which a run resumes.

A checkpoint is a folder such as `step-00000200` with two safetensors files and a JSON file. It gets
its name once it is completely on disk, so a folder of that name is always complete.
"""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from bothways.checkpoints.weight_files import read_safetensors, write_safetensors
from bothways.errors import CheckpointError
from bothways.io.atomic import atomic_files, atomic_folder, wrap_write_errors
from bothways.io.json_files import read_object, write_json

__all__ = [
    "Checkpoint",
    "RunState",
    "list_checkpoints",
    "load_checkpoint",
    "remove_old_checkpoints",
    "save_checkpoint",
    "step_of",
]

_N = TypeVar("_N", int, float)

_WEIGHTS, _MOMENTS, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclasses.dataclass(kw_only=True)
class RunState:
    """The progress of a run.

    step: number of updates. tokens: number of training tokens, over all processes. seconds: time
    spent training. best_step, best_value, best_loss: the best validation so far; None before the
    first. validations_since_best: number of validations since the best one. validation_is_due:
    whether the run was stopped before a validation of its weights. finished: whether it has ended.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_value: float | None = None
    best_loss: float | None = None
    validations_since_best: int = 0
    validation_is_due: bool = False
    finished: bool = False

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the state from a JSON file.

        Raises:
            CheckpointError: naming the file.
        """
        values = read_object(path)
        try:
            return cls(
                step=int(values["step"]),
                tokens=int(values["tokens"]),
                seconds=float(values["seconds"]),
                best_step=_optional(int, values["best_step"]),
                best_value=_optional(float, values["best_value"]),
                best_loss=_optional(float, values["best_loss"]),
                validations_since_best=int(values["validations_since_best"]),
                validation_is_due=bool(values["validation_is_due"]),
                finished=bool(values["finished"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"{path}: not a valid training state: {error}") from None


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint in memory.

    weights: float32, by their names in a model file. moments: as `optimizer.moments` returns them.
    """

    state: RunState
    weights: Mapping[str, np.ndarray]
    moments: Mapping[str, np.ndarray]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write a checkpoint into `folder`, then remove all but the newest `keep`.

    Raises:
        DataFileError: if it cannot be written; earlier checkpoints are left unchanged.
    """
    path = folder / f"step-{checkpoint.state.step:08d}"
    # A run that was resumed at its last step writes the same weights and moments with a new state:
    # the checkpoint stays valid while its files are replaced one by one.
    writing = atomic_files(path, last=_STATE) if path.exists() else atomic_folder(path)
    with writing as hidden:
        with wrap_write_errors(path / _WEIGHTS):
            write_safetensors(hidden / _WEIGHTS, checkpoint.weights)
        with wrap_write_errors(path / _MOMENTS):
            write_safetensors(hidden / _MOMENTS, checkpoint.moments)
        with wrap_write_errors(path / _STATE):
            write_json(hidden / _STATE, dataclasses.asdict(checkpoint.state))
    remove_old_checkpoints(folder, keep)
    return path


def remove_old_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints."""
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(folder.glob("step-" + "[0-9]" * 8))


def step_of(path: Path) -> int:
    """The number of steps that had been made at a checkpoint."""
    return int(path.name.removeprefix("step-"))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: if a file is missing or damaged.
    """
    return Checkpoint(
        RunState.read(path / _STATE),
        read_safetensors(path / _WEIGHTS),
        read_safetensors(path / _MOMENTS),
    )


def _optional(number_type: type[_N], value: Any) -> _N | None:
    return None if value is None else number_type(value)
