"""The folder of a run: a model folder with the run's description, metrics and checkpoints.

OUT/bothways.json, model.safetensors, ...   the model with the best weights, for `bothways.load`
OUT/training.json                           settings, data and versions of the run
OUT/metrics.jsonl                           an event for each step and validation
OUT/checkpoints/step-00000200/              a checkpoint to resume from
OUT/checkpoints/best.safetensors            the best weights, in the units of training
"""

import dataclasses
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bothways import __version__
from bothways.checkpoints import ModelBundle
from bothways.checkpoints.bothways_folder import SETTINGS_FILE, WEIGHTS_FILE, write_bothways
from bothways.checkpoints.reader_files import READER_FILES, copy_reader_files
from bothways.checkpoints.weight_files import read_safetensors, write_safetensors
from bothways.errors import CheckpointError, DataFileError
from bothways.io.atomic import (
    atomic_file,
    atomic_files,
    is_partial,
    remove_partial,
    wrap_write_errors,
)
from bothways.io.json_files import brief, read_object, write_json
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head
from bothways.model.old_fields import upgrade_encoder_fields
from bothways.training.objectives.objective import Objective
from bothways.training.resolved_settings import ResolvedSettings, count_steps
from bothways.training.runs.checkpoint import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
    step_of,
)
from bothways.training.runs.events import METRICS_FILE, discard_events_after
from bothways.training.runs.lock import LOCK_FILE
from bothways.training.runs.overwriting import remove_run
from bothways.training.settings import TrainingSettings

__all__ = ["RUN_FILE", "RunFolder"]

RUN_FILE = "training.json"
_CHECKPOINTS = "checkpoints"
_BEST = "best.safetensors"
_LENGTHENED_AT = "lengthened_at"
"""In training.json, the steps after which the run was lengthened."""


class RunFolder:
    """The folder of one run. Only one process writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = path / METRICS_FILE
        self.checkpoints = path / _CHECKPOINTS

    @property
    def latest_checkpoint(self) -> Path | None:
        """The path of the newest checkpoint, or None."""
        return next(reversed(list_checkpoints(self.checkpoints)), None)

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """The settings of the run in the folder; None if there is none yet.

        Raises:
            CheckpointError: if its file is damaged.
        """
        file = self.path / RUN_FILE
        if not file.is_file():
            return None
        settings = read_object(file).get("settings")
        return settings if isinstance(settings, dict) else {}

    def begin(
        self, description: Mapping[str, Any], reader: Path | None = None, *, overwrite: bool = False
    ) -> None:
        """Create the folder of a new run and write its description.

        reader: the folder with the files of the tokenizer, alphabet or series, which are copied.
        overwrite: remove the run that is in the folder.

        Raises:
            DataFileError: if the folder contains a run or model, or cannot be written.
        """
        if overwrite:
            remove_run(self.path)
        for name in (RUN_FILE, METRICS_FILE, SETTINGS_FILE, "config.json"):
            if (self.path / name).exists():
                raise DataFileError(
                    f"{self.path}: already contains {name}; resume that run with --resume "
                    "(resume=True), or choose another folder"
                )
        with wrap_write_errors(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._remove_partial_files()
        if reader is not None and reader.resolve() != self.path.resolve():
            self._copy_reader(reader)
        with atomic_file(self.path / RUN_FILE) as hidden:
            write_json(hidden, description)

    def resume(
        self,
        description: Mapping[str, Any],
        settings: ResolvedSettings,
        steps_per_epoch: int,
        reader: Path | None = None,
    ) -> int | None:
        """Check that the folder contains this run, and remove partially written files.

        A run that was killed before it wrote its description starts. A run with more steps than
        before is lengthened, and its description is replaced.

        Returns:
            The number of steps that had been made when the run was last lengthened, or None.

        Raises:
            CheckpointError: if there is no run, or naming a setting or other field that differs.
        """
        file = self.path / RUN_FILE
        if not file.is_file():
            if not self._has_no_run_yet():
                raise CheckpointError(f"{self.path}: no run to resume: {RUN_FILE} is missing")
            self.begin(description, reader)
            return None
        earlier = read_object(file)
        bound = json.loads(json.dumps(description["bound"]))
        difference = first_difference(upgrade_bound(earlier.get("bound"), bound), bound, "")
        if difference is not None:
            raise _changed(file, *difference)
        before = self.settings or {}
        is_longer = _is_longer(before, settings, steps_per_epoch)
        # After the data: some settings depend on it.
        name = settings.first_change(before, is_longer=is_longer)
        if name is not None:
            raise _changed(file, f"settings.{name}", before.get(name), settings.to_dict()[name])
        with wrap_write_errors(self.path):
            self.checkpoints.mkdir(exist_ok=True)
            self._remove_partial_files()
            remove_old_checkpoints(self.checkpoints, settings.keep_checkpoints)
        lengthened_at = _integers(earlier.get(_LENGTHENED_AT))
        if is_longer:
            newest = self.latest_checkpoint
            lengthened_at.append(0 if newest is None else step_of(newest))
            with atomic_file(file) as hidden:
                write_json(hidden, {**description, _LENGTHENED_AT: lengthened_at})
        return lengthened_at[-1] if lengthened_at else None

    def load_latest_checkpoint(self) -> Checkpoint | None:
        """Load the newest checkpoint; None if there is none.

        Raises:
            CheckpointError: if it is damaged.
        """
        newest = self.latest_checkpoint
        if newest is None:
            return None
        try:
            return load_checkpoint(newest)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}; remove {newest} to resume from the checkpoint before it"
            ) from error

    def discard_events_after(self, step: int) -> None:
        """Remove the events of later steps from metrics.jsonl."""
        discard_events_after(self.metrics, step)

    def save_checkpoint(self, checkpoint: Checkpoint, *, keep: int) -> Path:
        """Write a checkpoint, then remove all but the newest `keep`.

        Raises:
            DataFileError: if it cannot be written; earlier checkpoints are left unchanged.
        """
        return save_checkpoint(self.checkpoints, checkpoint, keep=keep)

    def save_best_weights(
        self, weights: Mapping[str, np.ndarray], objective: Objective, template: ModelBundle
    ) -> None:
        """Write these weights as the best so far, and as the model of the folder.

        Raises:
            DataFileError: if they cannot be written; the earlier model is left unchanged.
        """
        with atomic_file(self.checkpoints / _BEST) as hidden:
            write_safetensors(hidden, weights)
        self.save_model(weights, objective, template)

    def save_model(
        self, weights: Mapping[str, np.ndarray], objective: Objective, template: ModelBundle
    ) -> None:
        """Write these weights as the model of the folder, but not as those to resume with.

        Raises:
            DataFileError: if they cannot be written; the earlier model is left unchanged.
        """
        with atomic_files(self.path, last=SETTINGS_FILE) as hidden:
            with wrap_write_errors(self.path / WEIGHTS_FILE):
                write_bothways(hidden, trained_model(weights, objective, template))
            template.copy_reader_files(hidden)

    def _copy_reader(self, reader: Path) -> None:
        with atomic_files(self.path, last="tokenizer.json") as hidden:
            copy_reader_files(reader, hidden)

    def _has_no_run_yet(self) -> bool:
        """Whether the folder contains only files that a run writes before its training.json."""
        early_files = {*READER_FILES, _CHECKPOINTS, LOCK_FILE}
        return self.path.is_dir() and all(
            path.name in early_files or is_partial(path) for path in self.path.iterdir()
        )

    def _remove_partial_files(self) -> None:
        """Remove files that were only partially written when the run was killed."""
        remove_partial(self.path)
        remove_partial(self.checkpoints)

    def load_best_weights(self) -> dict[str, np.ndarray]:
        """Load the best weights so far, in the units of training."""
        return read_safetensors(self.checkpoints / _BEST)


def trained_model(
    weights: Mapping[str, np.ndarray], objective: Objective, template: ModelBundle
) -> ModelBundle:
    """The template with trained weights, and the objective's head instead of its own heads.

    weights: those that were trained; the others stay those of the template.
    """
    heads = () if objective.head is None else (objective.head,)
    arrays = {**template.weights, **objective.to_folder(weights), **template.module_weights}
    return template.with_weights(arrays, "the trained weights", heads=heads)


def run_description(
    settings: TrainingSettings, dependencies: Mapping[str, Any], processes: int
) -> dict[str, Any]:
    """The description of a run for its training.json.

    dependencies: what the run depends on besides its settings; it resumes only with the same.
    """
    import torch

    return {
        "settings": settings.to_dict(),
        "bound": dict(dependencies),
        "processes": processes,
        "versions": {
            "bothways": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def upgrade_bound(bound: Any, now: Mapping[str, Any]) -> Any:
    """The dependencies of a run of an earlier version with the fields of encoder and head of today.

    Fields that the earlier version lacked have their defaults, which are what it did.
    now: the dependencies of the run as it would begin today.
    """
    if not isinstance(bound, dict) or not isinstance(bound.get("encoder"), dict):
        return bound
    encoder = _defaults(EncoderConfig, now["encoder"]) | upgrade_encoder_fields(bound["encoder"])
    upgraded = bound | {"encoder": encoder}
    if isinstance(bound.get("head"), dict) and now["head"]:
        upgraded["head"] = _defaults(Head, now["head"]) | bound["head"]
    return upgraded


def _defaults(kind: type[EncoderConfig | Head], now: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, as in JSON, of those fields of a dataclass that `now` has."""
    return {
        field.name: list(field.default) if isinstance(field.default, tuple) else field.default
        for field in dataclasses.fields(kind)
        if field.default is not dataclasses.MISSING and field.name in now
    }


def first_difference(was: Any, now: Any, name: str) -> tuple[str, Any, Any] | None:
    """The first field that differs between two JSON values: its dotted name and both values."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            inner = f"{name}.{key}" if name else key
            difference = first_difference(was.get(key), now.get(key), inner)
            if difference is not None:
                return difference
        return None
    return None if was == now else (name, was, now)


def _is_longer(before: Mapping[str, Any], settings: ResolvedSettings, steps_per_epoch: int) -> bool:
    """Whether a run has more steps than with its settings before."""
    epochs, max_steps = before.get("epochs"), before.get("max_steps")
    if not isinstance(epochs, int | float) or not isinstance(max_steps, int | None):
        return False
    earlier = count_steps(epochs, max_steps, steps_per_epoch)
    return settings.total_steps(steps_per_epoch) > earlier


def _integers(value: Any) -> list[int]:
    return [item for item in value if type(item) is int] if isinstance(value, list) else []


def _changed(file: Path, name: str, was: Any, now: Any) -> CheckpointError:
    hint = "restore this value, or start a new run in another folder"
    if name in ("settings.epochs", "settings.max_steps"):
        hint = "with more epochs or steps it is lengthened, and it cannot be shortened"
    return CheckpointError(
        f"{file}: {name} was {brief(was)} and is now {brief(now)}; a run resumes "
        f"only with the values it started with: {hint}"
    )
