"""How long encoders take, by the length of the sequence, and why: `bothways compare speed`."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, assert_never

import torch
from torch import Tensor

from bothways.errors import ConfigError
from bothways.lab.comparison import Progress, part
from bothways.lab.comparisons.speed.operations import Work, count_work
from bothways.lab.report.environment import usable_cores
from bothways.lab.timing import take_turns, torch_threads
from bothways.model.baselines import BASELINES, AnyConfig, matched_config
from bothways.nn.baselines import count_parameters, make_encoder
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import PackedEncoder
from bothways.training.setup.sizes import new_config

__all__ = [
    "ENCODERS",
    "WINDOWED",
    "Case",
    "Load",
    "Pass",
    "SpeedResult",
    "SpeedSettings",
    "run_speed",
]

Load = Literal["batch", "single"]
"""As many sequences side by side as the batch's tokens allow; or one at a time."""
Pass = Literal["forward", "training"]
"""Encoding; or that, and the gradients of all weights."""

WINDOWED = "transformer-window"
"""The Transformer whose attention reaches `SpeedSettings.window` positions to each side."""
ENCODERS: tuple[str, ...] = ("transformer", WINDOWED, *BASELINES)

COUNTED_UP_TO = 1024
"""Tokens: in longer sequences operations are not counted, as each takes its time to count."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedSettings:
    """What is measured.

    encoders: of `ENCODERS`. lengths: of sequences, in tokens, rising. threads: of the CPU; those
        beyond its cores are left out. batch_tokens: of the sequences that are taken together.
    repeats: how often each time is taken.
    num_layers, d_model: of the Transformer, which is built as `bothways train` builds a new one;
        the others have as many layers and weights. vocab_size: small, as tables take no time.
    window: how far the attention of `transformer-window` reaches, in positions.
    seed: of weights and tokens.

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    encoders: tuple[str, ...] = ENCODERS
    lengths: tuple[int, ...] = tuple(2**i for i in range(4, 13))
    threads: tuple[int, ...] = (1, 2)
    batch_tokens: int = 4096
    repeats: int = 5
    num_layers: int = 2
    d_model: int = 128
    vocab_size: int = 256
    window: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.encoders:
            if name not in ENCODERS:
                raise ConfigError(f"encoder {name!r}: expected one of {', '.join(ENCODERS)}")
        for name in ("lengths", "threads"):
            values = getattr(self, name)
            if not values or list(values) != sorted(set(values)) or values[0] < 1:
                raise ConfigError(f"{name}={values}: expected numbers from 1 on, rising")
        if self.batch_tokens < self.lengths[-1]:
            raise ConfigError(
                f"batch_tokens={self.batch_tokens}: expected at least the longest of the lengths, "
                f"{self.lengths[-1]}"
            )

    @property
    def counted_lengths(self) -> tuple[int, int]:
        """Of `lengths`, those at which operations are counted."""
        short = [length for length in self.lengths if length <= COUNTED_UP_TO]
        return self.lengths[0], (short or self.lengths)[-1]

    @property
    def usable_threads(self) -> tuple[int, ...]:
        """Of `threads`, those for which there are cores; at least one."""
        return tuple(count for count in self.threads if count <= usable_cores()) or (1,)

    def config(self, encoder: str) -> AnyConfig:
        """What is built by that name."""
        windows = (self.window,) * self.num_layers if encoder == WINDOWED else ()
        transformer = new_config(
            "tiny",
            vocab_size=self.vocab_size,
            max_length=self.lengths[-1],
            fields={"num_layers": self.num_layers, "d_model": self.d_model, "windows": windows},
        )
        for name in BASELINES:
            if name == encoder:
                return matched_config(name, transformer)
        return transformer


class Case(NamedTuple):
    """What one time is of."""

    encoder: str
    length: int
    sequences: int
    work: Pass
    threads: int


@dataclasses.dataclass(frozen=True)
class SpeedResult:
    """What was measured.

    parameters, layers: how many each encoder has. seconds: of each case, once a repeat, for all of
    its sequences. work: of one forward pass over one sequence, by encoder and length.
    """

    settings: SpeedSettings
    parameters: Mapping[str, int]
    layers: Mapping[str, int]
    seconds: Mapping[Case, tuple[float, ...]]
    work: Mapping[str, Mapping[int, Work]]

    def times(self, encoder: str, load: Load, work: Pass, threads: int) -> list[list[float]]:
        """Seconds a sequence, by repeat and length."""
        by_length = [
            self.seconds[Case(encoder, n, sequences(load, n, self.settings), work, threads)]
            for n in self.settings.lengths
        ]
        counts = [sequences(load, n, self.settings) for n in self.settings.lengths]
        return [
            [times[repeat] / count for times, count in zip(by_length, counts, strict=True)]
            for repeat in range(self.settings.repeats)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "parameters": dict(self.parameters),
            "layers": dict(self.layers),
            "times": [
                {**case._asdict(), "seconds": list(seconds)}
                for case, seconds in self.seconds.items()
            ],
            "work": [
                {"encoder": encoder, "length": length, **work._asdict()}
                for encoder, by_length in self.work.items()
                for length, work in by_length.items()
            ],
        }


def sequences(load: Load, length: int, settings: SpeedSettings) -> int:
    """How many sequences of a length are taken together."""
    match load:
        case "batch":
            return settings.batch_tokens // length
        case "single":
            return 1
        case unknown:
            assert_never(unknown)


def run_speed(settings: SpeedSettings, progress: Progress) -> SpeedResult:
    """Measure each encoder at each length: forward and training in a batch, forward by itself."""
    encoders = {
        name: make_encoder(settings.config(name), seed=settings.seed) for name in settings.encoders
    }
    work = {}
    for number, (name, encoder) in enumerate(encoders.items()):
        progress(f"counting the operations of {name}", COUNTING * number / len(encoders))
        work[name] = {
            length: count_work(encoder, _tokens(length, 1, settings), Lengths([length]))
            for length in settings.counted_lengths
        }
    seconds: dict[Case, tuple[float, ...]] = {}
    for turn, threads in enumerate(settings.usable_threads):
        calls = dict(_calls(encoders, threads, settings))
        told = f"taking times on {threads} {'thread' if threads == 1 else 'threads'}"
        size = (1 - COUNTING) / len(settings.usable_threads)
        with torch_threads(threads):
            found = take_turns(
                calls, settings.repeats, part(progress, told, COUNTING + turn * size, size)
            )
        seconds |= {case: tuple(times) for case, times in found.items()}
    return SpeedResult(
        settings,
        {name: count_parameters(encoder) for name, encoder in encoders.items()},
        {name: encoder.config.num_layers for name, encoder in encoders.items()},
        seconds,
        work,
    )


COUNTING = 0.05
"""About the share of all the time that the counting of operations takes."""


def _calls(
    encoders: Mapping[str, PackedEncoder], threads: int, settings: SpeedSettings
) -> Iterator[tuple[Case, Callable[[], object]]]:
    """What is timed, under what it is a time of; the encoders of a length follow each other."""
    kinds: tuple[tuple[Pass, Load], ...] = (
        ("forward", "batch"),
        ("training", "batch"),
        ("forward", "single"),
    )
    for (work, load), length in itertools.product(kinds, settings.lengths):
        count = sequences(load, length, settings)
        make = _forward if work == "forward" else _training
        for name, encoder in encoders.items():
            yield (
                Case(name, length, count, work, threads),
                make(encoder, length, count, settings),
            )


def _forward(
    encoder: PackedEncoder, length: int, count: int, settings: SpeedSettings
) -> Callable[[], object]:
    tokens = _tokens(length, count, settings)

    def call() -> None:
        with torch.inference_mode():
            encoder.eval()(tokens, Lengths([length] * count))

    return call


def _training(
    encoder: PackedEncoder, length: int, count: int, settings: SpeedSettings
) -> Callable[[], object]:
    tokens = _tokens(length, count, settings)

    def call() -> None:
        (x_TD,) = encoder.train()(tokens, Lengths([length] * count))
        x_TD.square().mean().backward()
        encoder.zero_grad()

    return call


def _tokens(length: int, count: int, settings: SpeedSettings) -> Tensor:
    chance = torch.Generator().manual_seed(settings.seed)
    return torch.randint(settings.vocab_size, (length * count,), generator=chance)
