"""Options of the objective: what a run learns, and how."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from bothways.errors import ConfigError
from bothways.io.options import Option, check_options
from bothways.model.config import HeadPooling

__all__ = ["ObjectiveOptions", "PairLoss", "Similarity", "TrainingTask"]

TrainingTask = Literal["mlm", "classify", "tag", "regress", "contrast"]
"""What a run learns, as the command line calls it."""

Similarity = Literal["cosine", "dot"]

PairLoss = Literal["in-batch", "cosine", "contrastive"]
"""The loss of contrast: in-batch negatives, scores of pairs, or pairs labeled 0 and 1."""

_OBJECTIVE = "Objective"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """How a task is learned. None means the objective's own default.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    head_pooling: Annotated[
        HeadPooling | None,
        Option(
            "classify, regress: pooling of positions into the head's input (default mean).",
            group=_OBJECTIVE, advanced=True,
        ),
    ] = None  # fmt: skip
    head_dropout: Annotated[
        float | None,
        Option(
            "classify, regress, tag: dropout rate of the head (default: the encoder's).",
            group=_OBJECTIVE, unit="RATE", minimum=0, below=1, command_line=False,
        ),
    ] = None  # fmt: skip
    class_weights: Annotated[
        Literal["balanced"] | None,
        Option(
            "classify, tag: give rare classes as much weight as frequent ones.",
            group=_OBJECTIVE, advanced=True, flags=("--balanced",), flag_value="balanced",
        ),
    ] = None  # fmt: skip
    label_smoothing: Annotated[
        float | None,
        Option(
            "classify, tag: fraction of each target spread evenly over all labels (default 0).",
            group=_OBJECTIVE, advanced=True, unit="FRACTION", minimum=0, below=1,
        ),
    ] = None  # fmt: skip
    huber: Annotated[
        float | None,
        Option(
            "regress: error, in standard deviations, above which the loss is linear (default: "
            "squared error).",
            group=_OBJECTIVE, unit="NUMBER", above=0, command_line=False,
        ),
    ] = None  # fmt: skip
    mask_rate: Annotated[
        float | None,
        Option(
            "mlm: fraction of tokens or positions to predict (default 0.15).",
            group=_OBJECTIVE, advanced=True, unit="FRACTION", above=0, maximum=1,
        ),
    ] = None  # fmt: skip
    masked: Annotated[
        float | None,
        Option(
            "mlm: fraction of selected tokens replaced by the mask token (default 0.8).",
            group=_OBJECTIVE, unit="FRACTION", minimum=0, maximum=1, command_line=False,
        ),
    ] = None  # fmt: skip
    random: Annotated[
        float | None,
        Option(
            "mlm: fraction of selected tokens replaced by random tokens (default 0.1).",
            group=_OBJECTIVE, unit="FRACTION", minimum=0, maximum=1, command_line=False,
        ),
    ] = None  # fmt: skip
    whole_words: Annotated[
        bool | None,
        Option("mlm: mask all tokens of a word together.", group=_OBJECTIVE, advanced=True),
    ] = None  # fmt: skip
    span: Annotated[
        int | None,
        Option(
            "mlm: number of adjacent positions of a series masked together (default 3).",
            group=_OBJECTIVE, unit="POSITIONS", minimum=1, command_line=False,
        ),
    ] = None  # fmt: skip
    loss: Annotated[
        PairLoss | None,
        Option(
            "contrast: in-batch (negatives of other pairs), cosine (scored pairs) or contrastive "
            "(pairs labeled 0 and 1) (default: chosen by the columns).",
            group=_OBJECTIVE, advanced=True,
        ),
    ] = None  # fmt: skip
    score_range: Annotated[
        tuple[float, ...],
        Option(
            "contrast on scored pairs: the lowest and the highest possible score, which become "
            "cosines 0 and 1 (default: those of the data, unless all lie within -1 and 1).",
            group=_OBJECTIVE, unit="NUMBER", command_line=False,
        ),
    ] = ()  # fmt: skip
    margin: Annotated[
        float | None,
        Option(
            "contrast on labeled pairs: cosine distance beyond which a dissimilar pair costs "
            "nothing (default 0.5).",
            group=_OBJECTIVE, unit="DISTANCE", above=0, maximum=2, command_line=False,
        ),
    ] = None  # fmt: skip
    temperature: Annotated[
        float | None,
        Option(
            "contrast: divisor of similarities in the loss (default 0.05).",
            group=_OBJECTIVE, advanced=True, unit="NUMBER", above=0,
        ),
    ] = None  # fmt: skip
    similarity: Annotated[
        Similarity | None,
        Option(
            "contrast: similarity of two vectors (default cosine).",
            group=_OBJECTIVE, command_line=False,
        ),
    ] = None  # fmt: skip
    symmetric: Annotated[
        bool | None,
        Option(
            "contrast: also find the anchor from its positive (default true).",
            group=_OBJECTIVE, command_line=False,
        ),
    ] = None  # fmt: skip
    dimensions: Annotated[
        tuple[int, ...],
        Option(
            "contrast: also train the first N dimensions as vectors of their own (Matryoshka); "
            "may be repeated.",
            group=_OBJECTIVE, advanced=True, unit="N", minimum=1,
        ),
    ] = ()  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)
        if self.score_range and (
            len(self.score_range) != 2 or self.score_range[0] >= self.score_range[1]
        ):
            raise ConfigError(
                f"score_range={list(self.score_range)}: expected two numbers, the lower one first"
            )

    def check(self, task: TrainingTask) -> None:
        """Check that every option given applies to the task.

        Raises:
            ConfigError: naming the option and the tasks that it applies to.
        """
        for name, tasks in _TASKS_OF_OPTION.items():
            if task not in tasks and getattr(self, name) not in (None, ()):
                raise ConfigError(f"{name} is for {' and '.join(tasks)}, not for {task}")

    def given(self, *names: str, **renamed: str) -> dict[str, Any]:
        """The options that the user gave, as keyword arguments of an objective.

        renamed: by keyword argument, the option of another name that it takes.
        """
        options = {name: name for name in names} | renamed
        values = {keyword: getattr(self, option) for keyword, option in options.items()}
        return {keyword: value for keyword, value in values.items() if value is not None}


_TASKS_OF_OPTION: Mapping[str, tuple[TrainingTask, ...]] = {
    "head_pooling": ("classify", "regress"),
    "head_dropout": ("classify", "regress", "tag"),
    "class_weights": ("classify", "tag"),
    "label_smoothing": ("classify", "tag"),
    "huber": ("regress",),
    "mask_rate": ("mlm",),
    "masked": ("mlm",),
    "random": ("mlm",),
    "whole_words": ("mlm",),
    "span": ("mlm",),
    "loss": ("contrast",),
    "score_range": ("contrast",),
    "margin": ("contrast",),
    "temperature": ("contrast",),
    "similarity": ("contrast",),
    "symmetric": ("contrast",),
    "dimensions": ("contrast",),
}
