"""Settings of `bothways compare speed`."""

import dataclasses
from collections.abc import Mapping

from bothways.errors import ConfigError
from bothways.lab.report.environment import usable_cores
from bothways.lab.settings import Scale, require_choices, setting
from bothways.model.baselines import BASELINES, AnyConfig, matched_config
from bothways.training.setup.sizes import new_config

__all__ = ["PRESETS", "SPEED_ENCODERS", "WINDOWED", "SpeedSettings"]

WINDOWED = "transformer-window"
"""The Transformer with local attention, `SpeedSettings.window` positions to each side."""

SPEED_ENCODERS: tuple[str, ...] = ("transformer", WINDOWED, *BASELINES)

MAX_COUNTED_LENGTH = 1024
"""Longest sequence whose operations are counted, in tokens: counting is slow."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedSettings:
    """The encoders, the lengths and the timings.

    Raises:
        ConfigError: naming the invalid field, its value and the valid values.
    """

    encoders: tuple[str, ...] = setting(SPEED_ENCODERS, "Encoders to compare")
    lengths: tuple[int, ...] = setting(
        tuple(2**i for i in range(4, 13)), "Sequence lengths, in tokens, ascending"
    )
    threads: tuple[int, ...] = setting(
        (1, 2), "Numbers of CPU threads, ascending; those above the number of cores are skipped"
    )
    batch_tokens: int = setting(4096, "Tokens per batch")
    repeats: int = setting(5, "Number of timings of each case")
    num_layers: int = setting(2, "Layers of the Transformer")
    d_model: int = setting(128, "Width of the Transformer; the others have as many parameters")
    vocab_size: int = setting(256, "Vocabulary size; small, because embedding lookups are fast")
    window: int = setting(64, f"Attention window of {WINDOWED}, in positions to each side")
    seed: int = setting(0, "Seed of weights and tokens")

    def __post_init__(self) -> None:
        require_choices("encoders", self.encoders, SPEED_ENCODERS)
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
        return tuple(count for count in self.threads if count <= usable_cores()) or (1,)

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
