"""Settings of `bothways compare distance`."""

import dataclasses
from collections.abc import Mapping
from typing import get_args

from bothways.lab.settings import (
    ALL_LEARNING_RATES,
    TINY_MODEL_LEARNING_RATES,
    Scale,
    require_choices,
    require_distinct,
    require_positive,
    setting,
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

    encoders: tuple[str, ...] = setting(
        ("transformer", "convolution", "lstm", "gru", "rnn"), "Encoders to compare"
    )
    length: int = setting(66, "Sequence length, in positions")
    num_pairs: int = setting(2, "Key-value pairs per sequence")
    num_keys: int = setting(8, "Number of different keys")
    num_values: int = setting(8, "Number of different values")
    steps: int = setting(600, "Training steps per run")
    batch_size: int = setting(32, "Sequences per training step")
    eval_sequences: int = setting(200, "Sequences to evaluate per distance")
    seeds: tuple[int, ...] = setting(
        (0, 1, 2), "Seeds of weights and sequences; the first one chooses the learning rate"
    )
    learning_rates: tuple[float, ...] = setting(
        TINY_MODEL_LEARNING_RATES, "Peak learning rates to try"
    )
    d_model: int = setting(32, "Width of the Transformer; the others have as many parameters")
    num_layers: int = setting(2, "Layers of the Transformer")
    num_heads: int = setting(4, "Attention heads of the Transformer")

    def __post_init__(self) -> None:
        require_choices("encoders", self.encoders, get_args(EncoderName))
        require_distinct(self, "encoders", "seeds", "learning_rates")
        require_positive(self, "steps", "batch_size", "eval_sequences", "num_layers")

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
