"""Settings of `bothways compare ablation`, and the block variants it compares."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from bothways.io.options import Option, check_options
from bothways.lab.settings import (
    LEARNING_RATES,
    Scale,
    require_distinct,
)
from bothways.model.config import EncoderConfig

if TYPE_CHECKING:  # it imports torch
    from bothways.lab.models.ablated_block import AblatedPart

__all__ = ["PRESETS", "VARIANTS", "AblationSettings", "BlockVariant"]


@dataclasses.dataclass(frozen=True)
class BlockVariant:
    """An encoder block without some parts.

    without: parts that the config cannot switch off. config: fields of `EncoderConfig` to change.
    """

    without: "tuple[AblatedPart, ...]" = ()
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)


VARIANTS: Mapping[str, BlockVariant] = {
    "full block": BlockVariant(),
    "no skip connections": BlockVariant(("skip",)),
    "no normalization": BlockVariant(("norm",)),
    "no skip or normalization": BlockVariant(("skip", "norm")),
    "no positions": BlockVariant(config={"position_embedding": "none"}),
    "one head": BlockVariant(config={"num_heads": 1}),
    "no feed-forward": BlockVariant(("feed-forward",)),
}
"""The compared variants, in the order of the report."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblationSettings:
    """The architecture, the task and the training budget.

    Raises:
        ConfigError: naming the invalid field, its value and the valid values.
    """

    depths: Annotated[tuple[int, ...], Option("Numbers of layers to compare.")] = (2, 6, 12)
    d_model: Annotated[int, Option("Model width of the full block.")] = 64
    num_heads: Annotated[int, Option("Attention heads of the full block.")] = 4
    d_ff: Annotated[int, Option("Feed-forward width of the full block.")] = 256
    num_symbols: Annotated[int, Option("Number of different symbols in a sequence.")] = 8
    length: Annotated[int, Option("Sequence length, in symbols.")] = 8
    batch_size: Annotated[int, Option("Sequences per training step.", minimum=1)] = 32
    steps: Annotated[int, Option("Training steps per run.", minimum=1)] = 250
    eval_sequences: Annotated[
        int, Option("Sequences for validation, and as many for the test.", minimum=1)
    ] = 256
    seeds: Annotated[
        tuple[int, ...],
        Option(
            "Seeds of weights and examples; the first one chooses the learning rate.", minimum=0
        ),
    ] = (0, 1)
    learning_rates: Annotated[tuple[float, ...], Option("Peak learning rates to try.", above=0)] = (
        LEARNING_RATES
    )

    def __post_init__(self) -> None:
        check_options(self)
        require_distinct(self, "depths", "seeds", "learning_rates")
        self.config(VARIANTS["full block"], self.depths[0])

    def config(self, variant: BlockVariant, depth: int) -> EncoderConfig:
        """The pre-norm config of a variant, with learned positions: the task ignores distance."""
        fields: dict[str, Any] = {
            "num_layers": depth,
            "num_heads": self.num_heads,
            "d_model": self.d_model,
            "d_ff": self.d_ff,
            "max_length": self.length,
            "vocab_size": self.num_symbols,
            "position_embedding": "learned",
            "norm_placement": "pre",
            "final_norm": True,
            "norm_eps": 1e-5,
            "activation": "relu",
            "dropout": 0.0,
            "attention_dropout": 0.0,
        }
        return EncoderConfig.from_dict(fields | dict(variant.config))


PRESETS: Mapping[Scale, AblationSettings] = {
    "quick": AblationSettings(
        depths=(1, 2),
        d_model=8,
        num_heads=2,
        d_ff=8,
        length=4,
        num_symbols=3,
        batch_size=4,
        steps=4,
        eval_sequences=8,
        seeds=(0,),
        learning_rates=(1.5e-3,),
    ),
    "default": AblationSettings(),
    "full": AblationSettings(length=12, steps=600, seeds=(0, 1, 2)),
}
