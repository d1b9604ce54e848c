"""Settings of `bothways compare bottleneck`, and the systems it compares."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, assert_never

from bothways.errors import ConfigError
from bothways.io.options import Option, check_options
from bothways.lab.settings import (
    ALL_LEARNING_RATES,
    TINY_MODEL_LEARNING_RATES,
    Scale,
    SequenceTask,
    require_distinct,
)
from bothways.lab.tasks.base import Seq2SeqTask
from bothways.lab.tasks.copying import CopyTask
from bothways.lab.tasks.dates import DateTask
from bothways.model.baselines import AnyConfig, BaselineName, matched_config
from bothways.model.config import EncoderConfig
from bothways.training.setup.sizes import new_config

if TYPE_CHECKING:  # it imports torch
    from bothways.lab.models.decoder import ContextKind

__all__ = ["PRESETS", "SYSTEMS", "BottleneckSettings", "Seq2SeqSystem"]


@dataclasses.dataclass(frozen=True)
class Seq2SeqSystem:
    """An encoder, and the kind of context that its decoder reads.

    baseline: the recurrent encoder; None for the Transformer.
    """

    baseline: BaselineName | None
    context: "ContextKind"


SYSTEMS: Mapping[str, Seq2SeqSystem] = {
    "LSTM, one vector": Seq2SeqSystem("lstm", "fixed"),
    "LSTM, attention": Seq2SeqSystem("lstm", "attention"),
    "Transformer, attention": Seq2SeqSystem(None, "attention"),
}
"""Sutskever et al. 2014; Bahdanau et al. 2015; and attention over the encoder of Vaswani et al.
2017."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BottleneckSettings:
    """The task, the lengths, the training budget and the size of the models.

    Evaluated lengths lie inside the range of trained lengths, so that the results show the effect
    of length and not of the edge of the range.

    Raises:
        ConfigError: naming the invalid field, its value and the valid values.
    """

    task: Annotated[
        SequenceTask, Option("Copy or reverse a sequence, or rewrite a date in ISO 8601.")
    ] = "copy"
    num_symbols: Annotated[
        int, Option("Number of different symbols, for copy and reverse.", minimum=1)
    ] = 8
    min_length: Annotated[
        int, Option("Shortest sequence, in symbols (dates have at least 8 characters).")
    ] = 5
    max_length: Annotated[int, Option("Longest sequence in training, in symbols.")] = 45
    max_eval_length: Annotated[int, Option("Longest evaluated sequence, in symbols.")] = 40
    eval_length_step: Annotated[
        int, Option("Interval between evaluated lengths, in symbols.", minimum=1)
    ] = 5
    eval_sequences: Annotated[int, Option("Sequences to evaluate per length.", minimum=1)] = 200
    steps: Annotated[int, Option("Training steps per run.", minimum=1)] = 1000
    batch_symbols: Annotated[
        int, Option("Source symbols per training step, approximately.", minimum=1)
    ] = 1024
    seeds: Annotated[
        tuple[int, ...],
        Option(
            "Seeds of weights and sequences; the first one chooses the learning rate.", minimum=0
        ),
    ] = (0, 1, 2)
    learning_rates: Annotated[tuple[float, ...], Option("Peak learning rates to try.", above=0)] = (
        TINY_MODEL_LEARNING_RATES
    )
    d_model: Annotated[int, Option("Width of the Transformer and of the decoder.")] = 64
    num_layers: Annotated[int, Option("Layers of the Transformer.", minimum=1)] = 2
    num_heads: Annotated[int, Option("Attention heads of the Transformer and of the decoder.")] = 4

    def __post_init__(self) -> None:
        check_options(self)
        if not 1 <= self.min_length <= self.max_eval_length <= self.max_length:
            raise ConfigError(
                f"min_length={self.min_length}, max_eval_length={self.max_eval_length}, "
                f"max_length={self.max_length}: expected ascending values of at least 1"
            )
        require_distinct(self, "seeds", "learning_rates")

    @property
    def seq2seq_task(self) -> Seq2SeqTask:
        """The generator of the task's examples."""
        match self.task:
            case "copy" | "reverse":
                return CopyTask(self.task, self.num_symbols)
            case "dates":
                return DateTask()
            case unknown:
                assert_never(unknown)

    @property
    def trained_lengths(self) -> range:
        """Source lengths in training, each equally likely; only lengths that the task has."""
        nearest = self.seq2seq_task.nearest_length
        return range(nearest(self.min_length), nearest(self.max_length) + 1)

    @property
    def evaluated_lengths(self) -> tuple[int, ...]:
        """Source lengths in the evaluation."""
        count = self.max_eval_length - self.min_length + 1
        return tuple(self.trained_lengths[: count : self.eval_length_step])

    @property
    def transformer(self) -> EncoderConfig:
        """The Transformer that `bothways train` builds, with two changes.

        Positions are learned, because attention from the decoder has to find absolute positions,
        and rotary positions only encode distances. There is no dropout, because no sequence is seen
        twice.
        """
        return new_config(
            "tiny",
            vocab_size=len(self.seq2seq_task.source_alphabet),
            max_length=self.trained_lengths[-1],
            fields={
                "num_layers": self.num_layers,
                "d_model": self.d_model,
                "num_heads": self.num_heads,
                "position_embedding": "learned",
                "attention_positions": "none",
                "dropout": 0.0,
            },
        )

    def encoder_config(self, system: Seq2SeqSystem) -> AnyConfig:
        """The Transformer, or a recurrent encoder with as many parameters."""
        if system.baseline is None:
            return self.transformer
        return matched_config(system.baseline, self.transformer)


PRESETS: Mapping[Scale, BottleneckSettings] = {
    "quick": BottleneckSettings(
        min_length=2,
        max_length=7,
        max_eval_length=6,
        eval_length_step=2,
        eval_sequences=8,
        steps=4,
        batch_symbols=64,
        seeds=(0, 1),
        learning_rates=(5e-3,),
        d_model=32,
        num_layers=1,
    ),
    "default": BottleneckSettings(),
    "full": BottleneckSettings(
        max_length=66,
        max_eval_length=60,
        steps=2500,
        seeds=(0, 1, 2, 3, 4),
        learning_rates=ALL_LEARNING_RATES,
        eval_sequences=500,
    ),
}
