"""Settings of the training loop, which are options of `bothways train`."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from bothways.io.options import Option, check_options

__all__ = [
    "DeviceName",
    "Schedule",
    "Sharding",
    "ThreadCount",
    "TrainingPrecision",
    "TrainingSettings",
]

TrainingPrecision = Literal["fp32", "bf16"]
Sharding = Literal["replicated", "sharded"]
Schedule = Literal["linear", "cosine", "constant"]

_MAY_CHANGE_ON_RESUME = (
    "checkpoint_every", "checkpoint_minutes", "keep_checkpoints", "log_every", "tensorboard",
    "device", "threads", "sharding", "simple_models", "folds", "head_first",
)  # fmt: skip
"""Settings that affect no weight beyond rounding."""
_ADDED_LATER: Mapping[str, Any] = {
    "frozen": False,
    "simple_models": True,
    "folds": None,
    "head_first": False,
    "ema": 0.0,
    "layer_decay": 1.0,
    "linear_term": False,
}
"""Settings that runs of earlier versions lack, and what those did."""
_MAY_CHANGE_WITH_LENGTH = ("epochs", "max_steps", "validate_every")
"""Settings that a run which is lengthened may change too."""
_DERIVED_FROM_OTHERS = ("epochs", "validate_every")
"""Settings whose defaults depend on others: a changed setting is reported before these."""

_OPTIMIZATION, _RUN, _HARDWARE = "Optimization", "Validation and checkpoints", "Hardware"
_DATA = "Data"

DeviceName = Annotated[
    str | None,
    Option(
        "Device: cpu, cuda or cuda:N, without N under torchrun (default: a GPU if "
        "available).",
        group=_HARDWARE, advanced=True, unit="NAME",
    ),
]  # fmt: skip
ThreadCount = Annotated[
    int | None,
    Option(
        "Number of CPU threads (default: one per core, fewer for small steps).",
        group=_HARDWARE, advanced=True, unit="COUNT", minimum=1,
    ),
]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How to train. None means "choose for me", except for `patience`, `max_steps` and `folds`.

    `resolved_settings.resolve_settings` chooses the open values, but for `linear_term`, which
    depends on the data and, in the end, on the held-out rows.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    frozen: Annotated[
        bool,
        Option(
            "classify, tag, regress: train only the head, on vectors of --from that are computed "
            "once (a linear probe).",
            group=_OPTIMIZATION, advanced=True,
        ),
    ] = False  # fmt: skip
    head_first: Annotated[
        bool,
        Option(
            "classify, tag, regress: before fine-tuning, train a new head on the frozen encoder, "
            "so that its first gradients do not distort the encoder.",
            group=_OPTIMIZATION, advanced=True, flags=("--head-first/--no-head-first",),
        ),
    ] = True  # fmt: skip
    epochs: Annotated[
        float | None,
        # Devlin et al. 2019, appendix A.3, for fine-tuning
        Option(
            "Passes over the training data (default 20, more on few rows, fine-tuning 4; with "
            "--steps alone, as many as needed).",
            group=_OPTIMIZATION, unit="NUMBER", above=0,
        ),
    ] = None  # fmt: skip
    max_steps: Annotated[
        int | None,
        Option(
            "Maximum number of updates.",
            group=_OPTIMIZATION, unit="STEPS", minimum=1, flags=("--steps",),
        ),
    ] = None  # fmt: skip
    patience: Annotated[
        int | None,
        Option(
            "Stop early after this many validations without improvement (default: never).",
            group=_OPTIMIZATION, advanced=True, unit="COUNT", minimum=1,
        ),
    ] = None  # fmt: skip
    batch_tokens: Annotated[
        int | None,
        Option(
            "Approximate number of tokens per update, over all processes (default 4,096, fewer "
            "on small data).",
            group=_OPTIMIZATION, advanced=True, unit="TOKENS", minimum=1,
        ),
    ] = None  # fmt: skip
    micro_tokens: Annotated[
        int | None,
        Option(
            "Maximum number of tokens computed at a time, which bounds memory (default 4,096 on "
            "a CPU, 32,768 on a GPU).",
            group=_OPTIMIZATION, advanced=True, unit="TOKENS", minimum=1,
        ),
    ] = None  # fmt: skip
    learning_rate: Annotated[
        float | None,
        Option(
            "Peak learning rate (default 1e-3; fine-tuning 5e-5, a head alone 3e-3).",
            group=_OPTIMIZATION, unit="RATE", above=0,
        ),
    ] = None  # fmt: skip
    layer_decay: Annotated[
        float | None,
        Option(
            "Learning rate of a layer of a Transformer, relative to that of the layer above it "
            "(default 0.9 fine-tuning, 1 for a new model).",
            group=_OPTIMIZATION, unit="NUMBER", above=0, maximum=1, command_line=False,
        ),
    ] = None  # fmt: skip
    schedule: Annotated[
        Schedule,
        Option(
            "Learning rate after warm-up: decay to 0 (linear, cosine) or stay (constant).",
            group=_OPTIMIZATION, command_line=False,
        ),
    ] = "linear"  # fmt: skip
    warmup: Annotated[
        float,
        Option(
            "Fraction of all steps in which the learning rate rises to its peak.",
            group=_OPTIMIZATION, unit="FRACTION", minimum=0, below=1, command_line=False,
        ),
    ] = 0.1  # fmt: skip
    weight_decay: Annotated[
        float,
        Option(
            "Weight decay of AdamW, for matrices only.",
            group=_OPTIMIZATION, unit="NUMBER", minimum=0, command_line=False,
        ),
    ] = 0.01  # fmt: skip
    beta1: Annotated[
        float,
        Option(
            "Decay rate of AdamW's first moment.",
            group=_OPTIMIZATION, unit="NUMBER", minimum=0, below=1, command_line=False,
        ),
    ] = 0.9  # fmt: skip
    beta2: Annotated[
        float,
        Option(
            "Decay rate of AdamW's second moment.",
            group=_OPTIMIZATION, unit="NUMBER", minimum=0, below=1, command_line=False,
        ),
    ] = 0.999  # fmt: skip
    epsilon: Annotated[
        float,
        Option(
            "Constant that AdamW adds to its denominator.",
            group=_OPTIMIZATION, unit="NUMBER", above=0, command_line=False,
        ),
    ] = 1e-8  # fmt: skip
    ema: Annotated[
        float | None,
        Option(
            "Validate and keep a moving average of the weights, over about this fraction of all "
            "steps; 0 for the weights themselves (default 0.1 for a new model, else 0).",
            group=_OPTIMIZATION, unit="FRACTION", minimum=0, below=1, command_line=False,
        ),
    ] = None  # fmt: skip
    linear_term: Annotated[
        bool | None,
        Option(
            "classify, regress: add a linear model of the whole sequence to the outputs of the "
            "head, as far as held-out rows gain from it (default: up to 20,000 rows).",
            group=_OPTIMIZATION, advanced=True, flags=("--linear-term/--no-linear-term",),
        ),
    ] = None  # fmt: skip
    clip_norm: Annotated[
        float,
        Option(
            "Maximum norm of the gradient of all weights together; 0 disables clipping.",
            group=_OPTIMIZATION, unit="NORM", minimum=0, command_line=False,
        ),
    ] = 1.0  # fmt: skip
    seed: Annotated[
        int,
        Option(
            "Seed of everything random: split, new weights, example order, masking and dropout.",
            group=_OPTIMIZATION, advanced=True, unit="NUMBER", minimum=0,
        ),
    ] = 0  # fmt: skip
    validate_every: Annotated[
        int | None,
        Option(
            "Steps between validations (default: an epoch, or a tenth of a shorter run).",
            group=_RUN, advanced=True, unit="STEPS", minimum=1,
        ),
    ] = None  # fmt: skip
    checkpoint_every: Annotated[
        int | None,
        Option(
            "Steps between checkpoints (default: the same as --validate-every).",
            group=_RUN, advanced=True, unit="STEPS", minimum=1,
        ),
    ] = None  # fmt: skip
    checkpoint_minutes: Annotated[
        float,
        Option(
            "Maximum number of minutes between checkpoints.",
            group=_RUN, unit="MINUTES", above=0, command_line=False,
        ),
    ] = 15.0  # fmt: skip
    keep_checkpoints: Annotated[
        int,
        Option(
            "Number of newest checkpoints to keep.",
            group=_RUN, unit="COUNT", minimum=1, command_line=False,
        ),
    ] = 2  # fmt: skip
    log_every: Annotated[
        int | None,
        Option(
            "Steps between lines of metrics.jsonl (default 1, more in runs of over 10,000 steps).",
            group=_RUN, unit="STEPS", minimum=1, command_line=False,
        ),
    ] = None  # fmt: skip
    tensorboard: Annotated[
        bool, Option("Also write TensorBoard files.", group=_RUN, advanced=True)
    ] = False
    folds: Annotated[
        int | None,
        Option(
            "classify, regress: also cross-validate, for a score on all rows.",
            group=_DATA, unit="COUNT", minimum=2,
        ),
    ] = None  # fmt: skip
    simple_models: Annotated[
        bool,
        Option(
            "classify, regress, tag: fit simple models to the same rows, and compare (needs "
            "scikit-learn).",
            group=_RUN, advanced=True, flags=("--simple-models/--no-simple-models",),
        ),
    ] = True  # fmt: skip
    device: DeviceName = None
    precision: Annotated[
        TrainingPrecision | None,
        Option(
            "Precision of matrix products (default bf16 on a GPU that supports it, else fp32).",
            group=_HARDWARE, advanced=True,
        ),
    ] = None  # fmt: skip
    threads: ThreadCount = None
    sharding: Annotated[
        Sharding,
        Option(
            "Under torchrun, keep all weights on every process (replicated) or a shard on each "
            "(sharded, FSDP).",
            group=_HARDWARE, advanced=True,
        ),
    ] = "replicated"  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return dataclasses.asdict(self)

    def as_in_earlier_version(self, earlier: Mapping[str, Any]) -> Self:
        """These settings, with open values that a run of an earlier version lacks as it had them.

        earlier: the settings of the run.
        """
        added = {
            name: value
            for name, value in _ADDED_LATER.items()
            if name not in earlier and getattr(self, name) is None
        }
        return dataclasses.replace(self, **added)

    def first_change(self, earlier: Mapping[str, Any], *, is_longer: bool = False) -> str | None:
        """The first field that affects weights and differs from `earlier`, a `to_dict`, or None.

        is_longer: whether the number of steps may differ.
        """
        may_change = _MAY_CHANGE_ON_RESUME + (_MAY_CHANGE_WITH_LENGTH if is_longer else ())
        names = [field.name for field in dataclasses.fields(self) if field.name not in may_change]
        earlier = {**_ADDED_LATER, **earlier}
        for name in sorted(names, key=_DERIVED_FROM_OTHERS.__contains__):
            if name not in earlier or earlier[name] != getattr(self, name):
                return name
        return None
