"""Settings of `bothways compare speed`."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from bothways.errors import ConfigError
from bothways.io.cpus import available_cpus
from bothways.io.options import Option, check_options
from bothways.lab.settings import Scale
from bothways.model.baselines import BASELINES, AnyConfig, EncoderName, matched_config
from bothways.training.setup.sizes import new_config

__all__ = ["PRESETS", "SPEED_ENCODERS", "WINDOWED", "SpeedEncoderName", "SpeedSettings"]

WINDOWED: Final = "transformer-window"
"""The Transformer with local attention, `SpeedSettings.window` positions to each side."""

SpeedEncoderName = Literal[EncoderName, "transformer-window"]

SPEED_ENCODERS: tuple[SpeedEncoderName, ...] = ("transformer", WINDOWED, *BASELINES)

MAX_COUNTED_LENGTH = 1024
"""Longest sequence whose operations are counted, in tokens: counting is slow."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedSettings:
    """The encoders, the lengths and the timings.

    Raises:
        ConfigError: naming the invalid field, its value and the valid values.
    """

    encoders: Annotated[tuple[SpeedEncoderName, ...], Option("Encoders to compare.")] = (
        SPEED_ENCODERS
    )
    lengths: Annotated[
        tuple[int, ...], Option("Sequence lengths, in tokens, ascending.", minimum=1)
    ] = tuple(2**i for i in range(4, 13))
    threads: Annotated[
        tuple[int, ...],
        Option(
            "Numbers of CPU threads, ascending; those above the number of cores are skipped.",
            minimum=1,
        ),
    ] = (1, 2)
    batch_tokens: Annotated[int, Option("Tokens per batch.")] = 4096
    repeats: Annotated[int, Option("Number of timings of each case.")] = 5
    num_layers: Annotated[int, Option("Layers of the Transformer.", minimum=1)] = 2
    d_model: Annotated[
        int, Option("Width of the Transformer; the others have as many parameters.")
    ] = 128
    vocab_size: Annotated[
        int, Option("Vocabulary size; small, because embedding lookups are fast.")
    ] = 256
    window: Annotated[
        int, Option(f"Attention window of {WINDOWED}, in positions to each side.")
    ] = 64
    seed: Annotated[int, Option("Seed of weights and tokens.")] = 0

    def __post_init__(self) -> None:
        check_options(self)
        for name in ("lengths", "threads"):
            values = getattr(self, name)
            if not values or list(values) != sorted(set(values)) or values[0] < 1:
                raise ConfigError(f"{name}={values}: expected ascending numbers of at least 1")
        if self.batch_tokens < self.lengths[-1]:
            raise ConfigError(
                f"batch_tokens={self.batch_tokens}: expected at least the longest sequence, "
                f"{self.lengths[-1]}"
            )

    @property
    def counted_lengths(self) -> tuple[int, int]:
        """The two of `lengths` at which operations are counted."""
        short = [length for length in self.lengths if length <= MAX_COUNTED_LENGTH]
        return self.lengths[0], (short or self.lengths)[-1]

    @property
    def usable_threads(self) -> tuple[int, ...]:
        """Those of `threads` for which there are cores; at least one."""
        return tuple(count for count in self.threads if count <= available_cpus()) or (1,)

    def encoder_config(self, name: str) -> AnyConfig:
        """The config of the encoder with that name.

        The Transformer is the one that `bothways train` builds; the others have as many layers and
        parameters.
        """
        windows = (self.window,) * self.num_layers if name == WINDOWED else ()
        transformer = new_config(
            "tiny",
            vocab_size=self.vocab_size,
            max_length=self.lengths[-1],
            fields={"num_layers": self.num_layers, "d_model": self.d_model, "windows": windows},
        )
        for baseline in BASELINES:
            if baseline == name:
                return matched_config(baseline, transformer)
        return transformer


PRESETS: Mapping[Scale, SpeedSettings] = {
    "quick": SpeedSettings(
        lengths=(8, 32),
        threads=(1,),
        batch_tokens=64,
        repeats=1,
        num_layers=1,
        d_model=32,
        window=4,
    ),
    "default": SpeedSettings(),
    "full": SpeedSettings(
        lengths=tuple(2**i for i in range(4, 14)),
        batch_tokens=8192,
        repeats=9,
    ),
}
