"""Settings of `bothways compare data`."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from bothways.io.options import Option, check_options
from bothways.lab.settings import (
    LEARNING_RATES,
    Scale,
    SupervisedTask,
    require_distinct,
)
from bothways.model.baselines import BASELINES, EncoderName
from bothways.training.options.new_model import SizeName

__all__ = ["PRESETS", "DataSettings"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The data, the encoders and the training budget.

    The held-out rows are split once for all seeds: one half chooses the learning rates, the other
    half gives the reported scores.

    Raises:
        ConfigError: naming the invalid field, its value and the valid values.
    """

    file: Annotated[
        str, Option("File of labeled rows, in a format of `bothways train`.", unit="FILE")
    ] = ""
    task: Annotated[SupervisedTask, Option("What to learn from the rows.")] = "classify"
    column: Annotated[
        tuple[str, ...],
        Option("Column with the sequences (two columns for a pair of texts).", unit="NAME"),
    ] = ()
    label: Annotated[
        tuple[str, ...],
        Option(
            "Column with the labels, tags or numbers (several columns for regress).",
            unit="NAME",
            flags=("--label", "--target"),
        ),
    ] = ()
    alphabet: Annotated[
        str,
        Option(
            "Read symbols instead of text: smiles, protein, dna, dna:6 (6-mers), characters, "
            "words, or an alphabet.json.",
            unit="NAME",
        ),
    ] = ""
    encoders: Annotated[tuple[EncoderName, ...], Option("Encoders to compare.")] = (
        "transformer",
        "rnn",
        "lstm",
        "gru",
        "convolution",
        "bag",
    )
    train_tokens: Annotated[int, Option("Training budget per run, in tokens.", minimum=1)] = 150_000
    max_epochs: Annotated[
        int, Option("Maximum number of passes over the training rows.", minimum=1)
    ] = 20
    held_out: Annotated[
        float, Option("Fraction of the rows held out from training.", above=0, below=1)
    ] = 0.2
    max_eval_rows: Annotated[
        int, Option("Maximum number of rows in each half of the held-out rows.", minimum=1)
    ] = 2000
    size: Annotated[
        SizeName,
        Option("Size of the Transformer and its vocabulary; the others have as many parameters."),
    ] = "tiny"
    seeds: Annotated[
        tuple[int, ...],
        Option(
            "Seeds of weights and row order; the first one chooses the learning rate.", minimum=0
        ),
    ] = (0, 1, 2)
    learning_rates: Annotated[tuple[float, ...], Option("Peak learning rates to try.", above=0)] = (
        LEARNING_RATES
    )

    def __post_init__(self) -> None:
        check_options(self)
        require_distinct(self, "encoders", "seeds", "learning_rates")


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
