"""Settings of `bothways compare data`."""

import dataclasses
from collections.abc import Mapping
from typing import get_args

from bothways.errors import ConfigError
from bothways.lab.settings import (
    LEARNING_RATES,
    Scale,
    SupervisedTask,
    require_choices,
    require_distinct,
    require_positive,
    setting,
)
from bothways.model.baselines import BASELINES, EncoderName
from bothways.training.setup.sizes import SizeName

__all__ = ["PRESETS", "DataSettings"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The data, the encoders and the training budget.

    The held-out rows are split once for all seeds: one half chooses the learning rates, the other
    half gives the reported scores.

    Raises:
        ConfigError: naming the invalid field, its value and the valid values.
    """

    file: str = setting("", "File of labeled rows, in a format of `bothways train`")
    task: SupervisedTask = setting("classify", "What to learn from the rows")
    column: tuple[str, ...] = setting(
        (), "Column with the sequences (two columns for a pair of texts)"
    )
    label: tuple[str, ...] = setting(
        (), "Column with the labels, tags or numbers (several columns for regress)"
    )
    alphabet: str = setting("", "Read the sequences as symbols of this alphabet, not as text")
    encoders: tuple[str, ...] = setting(
        ("transformer", "rnn", "lstm", "gru", "convolution", "bag"), "Encoders to compare"
    )
    train_tokens: int = setting(150_000, "Training budget per run, in tokens")
    max_epochs: int = setting(20, "Maximum number of passes over the training rows")
    held_out: float = setting(0.2, "Fraction of the rows held out from training")
    max_eval_rows: int = setting(2000, "Maximum number of rows in each half of the held-out rows")
    size: SizeName = setting(
        "tiny", "Size of the Transformer and its vocabulary; the others have as many parameters"
    )
    seeds: tuple[int, ...] = setting(
        (0, 1, 2), "Seeds of weights and row order; the first one chooses the learning rate"
    )
    learning_rates: tuple[float, ...] = setting(LEARNING_RATES, "Peak learning rates to try")

    def __post_init__(self) -> None:
        require_choices("encoders", self.encoders, get_args(EncoderName))
        require_choices("task", [self.task], get_args(SupervisedTask))
        require_distinct(self, "encoders", "seeds", "learning_rates")
        require_positive(self, "train_tokens", "max_epochs", "max_eval_rows")
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out={self.held_out}: expected a fraction between 0 and 1")


PRESETS: Mapping[Scale, DataSettings] = {
    "quick": DataSettings(train_tokens=500, max_eval_rows=50, seeds=(0,), learning_rates=(1.5e-3,)),
    "default": DataSettings(),
    "full": DataSettings(
        encoders=("transformer", *BASELINES),
        train_tokens=1_500_000,
        max_eval_rows=10_000,
        seeds=tuple(range(5)),
    ),
}
