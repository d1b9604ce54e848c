"""Settings of `bothways compare distance`."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from bothways.io.options import Option, check_options
from bothways.lab.settings import (
    ALL_LEARNING_RATES,
    TINY_MODEL_LEARNING_RATES,
    Scale,
    require_distinct,
)
from bothways.lab.tasks.associative_recall import AssociativeRecallTask
from bothways.model.baselines import AnyConfig, EncoderName, matched_config
from bothways.model.config import EncoderConfig
from bothways.training.setup.sizes import new_config

__all__ = ["PRESETS", "DistanceSettings"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistanceSettings:
    """The encoders, the task, the training budget and the size of the models.

    Raises:
        ConfigError: naming the invalid field, its value and the valid values.
    """

    encoders: Annotated[tuple[EncoderName, ...], Option("Encoders to compare.")] = (
        "transformer",
        "convolution",
        "lstm",
        "gru",
        "rnn",
    )
    length: Annotated[int, Option("Sequence length, in positions.")] = 66
    num_pairs: Annotated[int, Option("Key-value pairs per sequence.")] = 2
    num_keys: Annotated[int, Option("Number of different keys.")] = 8
    num_values: Annotated[int, Option("Number of different values.")] = 8
    steps: Annotated[int, Option("Training steps per run.", minimum=1)] = 600
    batch_size: Annotated[int, Option("Sequences per training step.", minimum=1)] = 32
    eval_sequences: Annotated[int, Option("Sequences to evaluate per distance.", minimum=1)] = 200
    seeds: Annotated[
        tuple[int, ...],
        Option(
            "Seeds of weights and sequences; the first one chooses the learning rate.", minimum=0
        ),
    ] = (0, 1, 2)
    learning_rates: Annotated[tuple[float, ...], Option("Peak learning rates to try.", above=0)] = (
        TINY_MODEL_LEARNING_RATES
    )
    d_model: Annotated[
        int, Option("Width of the Transformer; the others have as many parameters.")
    ] = 32
    num_layers: Annotated[int, Option("Layers of the Transformer.", minimum=1)] = 2
    num_heads: Annotated[int, Option("Attention heads of the Transformer.")] = 4

    def __post_init__(self) -> None:
        check_options(self)
        require_distinct(self, "encoders", "seeds", "learning_rates")

    @property
    def task(self) -> AssociativeRecallTask:
        """The generator of the task's examples."""
        return AssociativeRecallTask(self.length, self.num_pairs, self.num_keys, self.num_values)

    @property
    def evaluated_distances(self) -> tuple[int, ...]:
        """The smallest distance times powers of two, up to the largest, in positions."""
        task = self.task
        count = (task.max_distance // task.min_distance).bit_length()
        return tuple(task.min_distance * 2**i for i in range(count))

    def encoder_config(self, name: EncoderName) -> AnyConfig:
        """The Transformer that `bothways train` builds for series, or a baseline of equal size.

        Without dropout, because no sequence is seen twice.
        """
        transformer: EncoderConfig = new_config(
            "tiny",
            num_channels=self.task.num_channels,
            max_length=self.length,
            fields={
                "num_layers": self.num_layers,
                "d_model": self.d_model,
                "num_heads": self.num_heads,
                "dropout": 0.0,
            },
        )
        return transformer if name == "transformer" else matched_config(name, transformer)


PRESETS: Mapping[Scale, DistanceSettings] = {
    "quick": DistanceSettings(
        encoders=("transformer", "lstm", "rnn"),
        length=10,
        steps=4,
        batch_size=8,
        eval_sequences=8,
        seeds=(0, 1),
        learning_rates=(5e-3,),
        num_layers=1,
    ),
    "default": DistanceSettings(),
    "full": DistanceSettings(
        encoders=("transformer", "convolution", "lstm", "gru", "rnn", "lstm-forward"),
        length=130,
        steps=1500,
        eval_sequences=500,
        seeds=(0, 1, 2, 3, 4),
        learning_rates=ALL_LEARNING_RATES,
    ),
}
