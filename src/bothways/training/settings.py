"""Every option of the training loop, with its unit and default, from Python or a TOML file."""

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

import numpy as np

from bothways.errors import ConfigError
from bothways.io.json_files import brief
from bothways.model.packing import DEFAULT_MAX_TOKENS
from bothways.training.engine.sampler import steps_per_epoch
from bothways.training.engine.schedule import Schedule

__all__ = [
    "ResolvedSettings",
    "Sharding",
    "TrainingPrecision",
    "TrainingSettings",
    "check_type",
    "read_toml",
]

TrainingPrecision = Literal["fp32", "bf16"]
Sharding = Literal["replicated", "sharded"]

DEFAULT_BATCH_TOKENS = 4096
MIN_STEPS_PER_EPOCH = 32
"""In an epoch, where the tokens of a step are left to be chosen."""
MIN_SEQUENCES_PER_STEP = 8
"""In a step, likewise: for a gradient that is more than noise."""

_AT_LEAST_ONE = (
    "max_steps", "batch_tokens", "micro_tokens", "threads", "validate_every", "patience",
    "checkpoint_every", "keep_checkpoints", "log_every",
)  # fmt: skip
_ABOVE_ZERO = ("epochs", "learning_rate", "epsilon", "checkpoint_minutes")
_SHARES = ("warmup", "beta1", "beta2")
_FREE = (
    "checkpoint_every", "checkpoint_minutes", "keep_checkpoints", "log_every", "tensorboard",
    "device", "threads", "sharding",
)  # fmt: skip
"""What changes no weight, but for rounding: a resumed run may have another."""
_FOLLOWING = ("epochs", "validate_every")
"""What may have been chosen to suit the others, which are therefore to be named before it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How to train. None, but for `patience` and `max_steps`, means "chosen for me".

    How long:
    epochs: times that every example is seen; may be a fraction. Chosen: 20 for fresh weights, 4
        from a checkpoint (Devlin et al. 2019, appendix A.3), as many as `max_steps` needs with it.
    max_steps: updates after which training ends, whatever `epochs` says.
    patience: validations without a new best after which training ends; None never ends it early.

    A step:
    batch_tokens: tokens of a step, of all processes together; it has few less or more. Chosen:
        4,096, or less where the data would make fewer than 32 steps an epoch of them; then at least
        8 sequences.
    micro_tokens: the most tokens that are computed at a time, which bounds memory. Chosen: 4,096
        on a CPU, 32,768 on a GPU.
    learning_rate: the highest. Chosen: 1e-3 for fresh weights, 5e-5 from a checkpoint.
    schedule: what follows the warm-up: `linear` and `cosine` fall to 0, `constant` stays.
    warmup: the share of all steps in which the learning rate grows to its highest.
    weight_decay, beta1, beta2, epsilon: of AdamW; matrices alone decay.
    clip_norm: the largest norm of the gradient of all weights together; 0 for no limit.
    seed: of the order of examples, of what is masked, and of dropout; from 0 on.

    Along the way, in steps but where it says otherwise:
    validate_every: Chosen: an epoch, or a tenth of the run where that is less.
    checkpoint_every: Chosen: as `validate_every`.
    checkpoint_minutes: the longest between two checkpoints, whatever `checkpoint_every` says.
    keep_checkpoints: the newest that are kept.
    log_every: a line in metrics.jsonl. Chosen: 1, or more where there would be over 10,000 lines.
    tensorboard: whether to write files for TensorBoard too.

    The machine:
    device: as torch names it; None for a GPU where there is one. Under torchrun, its kind.
    precision: `fp32`, or `bf16` for the products of matrices. Chosen: bf16 on a GPU that has it.
    threads: of a CPU; None for as many as torch is set to use.
    sharding: `replicated` keeps all weights on every process; `sharded` a share of them (FSDP).
    """

    epochs: float | None = None
    max_steps: int | None = None
    patience: int | None = None
    batch_tokens: int | None = None
    micro_tokens: int | None = None
    learning_rate: float | None = None
    schedule: Schedule = "linear"
    warmup: float = 0.1
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float = 1.0
    seed: int = 0
    validate_every: int | None = None
    checkpoint_every: int | None = None
    checkpoint_minutes: float = 15.0
    keep_checkpoints: int = 2
    log_every: int | None = None
    tensorboard: bool = False
    device: str | None = None
    precision: TrainingPrecision | None = None
    threads: int | None = None
    sharding: Sharding = "replicated"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_type(field.name, getattr(self, field.name), field.type)
        self._require(_AT_LEAST_ONE, lambda value: value >= 1, "at least 1")
        self._require(_ABOVE_ZERO, lambda value: value > 0, "more than 0")
        self._require(_SHARES, lambda value: 0 <= value < 1, "at least 0 and below 1")
        self._require(("weight_decay", "clip_norm", "seed"), lambda value: value >= 0, "at least 0")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str) -> Self:
        """Settings with these fields; `source` is what a message calls the place they are from.

        Raises:
            ConfigError: naming the source and the field that there is not, or has a wrong value.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise ConfigError(f"{source}: no setting {name!r}; there are {', '.join(names)}")
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None

    def resolved(
        self, lengths: np.ndarray, *, fresh: bool, gpu: bool, bf16: bool
    ) -> "ResolvedSettings":
        """These settings with all that was left to be chosen, for examples of these lengths.

        fresh: whether training starts from random weights. gpu: whether it runs on one; bf16:
        whether that has bf16.
        """
        batch_tokens = self.batch_tokens or _enough(lengths)
        steps = steps_per_epoch(lengths, batch_tokens)
        epochs = self.epochs
        if epochs is None:
            epochs = 20.0 if fresh else 4.0
            if self.max_steps is not None:
                epochs = self.max_steps / steps
        chosen: dict[str, Any] = {
            "epochs": epochs,
            "batch_tokens": batch_tokens,
            "micro_tokens": 32_768 if gpu else DEFAULT_MAX_TOKENS,
            "learning_rate": 1e-3 if fresh else 5e-5,
            "precision": "bf16" if gpu and bf16 else "fp32",
        }
        total = _total_steps(epochs, self.max_steps, steps)
        chosen["validate_every"] = min(steps, math.ceil(total / 10))
        chosen["checkpoint_every"] = self.validate_every or chosen["validate_every"]
        chosen["log_every"] = math.ceil(total / 10_000)
        given = {name: value for name, value in self.to_dict().items() if value is not None}
        return ResolvedSettings(**chosen | given)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return dataclasses.asdict(self)

    def difference(self, earlier: Mapping[str, Any]) -> str | None:
        """A field that changes weights and is not as in `earlier`, a `to_dict`; None if none is."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in _FREE]
        for name in sorted(names, key=_FOLLOWING.__contains__):
            if name not in earlier or earlier[name] != getattr(self, name):
                return name
        return None

    def _require(self, names: tuple[str, ...], holds: Any, expected: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and holds(value)):
                raise ConfigError(f"{name}={value!r}: expected {expected}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResolvedSettings(TrainingSettings):
    """Settings of which nothing is left to be chosen; see `TrainingSettings.resolved`."""

    epochs: float
    batch_tokens: int
    micro_tokens: int
    learning_rate: float
    validate_every: int
    checkpoint_every: int
    log_every: int
    precision: TrainingPrecision

    def total_steps(self, steps_per_epoch: int) -> int:
        """How many updates the run makes."""
        return _total_steps(self.epochs, self.max_steps, steps_per_epoch)


def read_toml(path: Path, tables: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The tables of a TOML file by name; those that it does not have are empty.

    Raises:
        ConfigError: if it cannot be read, is not TOML, or has a key that is none of these tables.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    for key, value in content.items():
        if key not in tables or not isinstance(value, dict):
            expected = ", ".join(f"[{name}]" for name in tables)
            raise ConfigError(f"{path}: {key}: expected one of the tables {expected}")
    return {name: content.get(name, {}) for name in tables}


def _enough(lengths: np.ndarray) -> int:
    """Tokens of a step where nothing is said of them.

    Of 270 short series, 20 epochs of 2, 5 and 17 steps gave 82, 96 and 97 % of right classes in
    cross-validation: many small steps learn more than a few large ones.
    """
    few = float(max(lengths.sum() / MIN_STEPS_PER_EPOCH, lengths.mean() * MIN_SEQUENCES_PER_STEP))
    return min(math.ceil(few), DEFAULT_BATCH_TOKENS)


def _total_steps(epochs: float, max_steps: int | None, steps_per_epoch: int) -> int:
    steps = max(round(epochs * steps_per_epoch), 1)
    return steps if max_steps is None else min(steps, max_steps)


def check_type(name: str, value: Any, kind: Any) -> None:
    """Raise unless `value` is of the annotated type; a whole number is a float too, no bool is."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for option in options:
        if get_origin(option) is Literal:
            if value in get_args(option):
                return
        elif option is float:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return
        elif type(value) is option:
            return
    words = [_in_words(option) for option in options]
    raise ConfigError(f"{name}={brief(value)}: expected {' or '.join(words)}")


def _in_words(option: Any) -> str:
    if get_origin(option) is Literal:
        return ", ".join(get_args(option))
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return "nothing" if option is NoneType else names[option]
