"""Time encoders by sequence length, and count the operations that explain the times."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, assert_never

import torch
from torch import Tensor

from bothways.lab.comparison import ComparisonProgress, progress_within
from bothways.lab.comparisons.speed.operations import OperationCount, count_operations
from bothways.lab.comparisons.speed.settings import SpeedSettings
from bothways.lab.timing import time_interleaved
from bothways.nn.baselines import count_parameters, make_encoder
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import PackedEncoder
from bothways.nn.threads import torch_threads

__all__ = [
    "TIMED_WORK",
    "BatchMode",
    "SpeedResult",
    "TimedWork",
    "TimingCase",
    "num_sequences",
    "run_speed",
]

BatchMode = Literal["batch", "single"]
"""As many sequences as fit into the tokens of a batch, or one at a time."""

TimedWork = Literal["forward", "training"]
"""A forward pass, or a forward and backward pass."""

TIMED_WORK: tuple[tuple[TimedWork, BatchMode], ...] = (
    ("forward", "batch"),
    ("training", "batch"),
    ("forward", "single"),
)
"""The timed combinations."""

COUNTING_FRACTION = 0.05
"""Fraction of the run time that the counting of operations takes, approximately."""


class TimingCase(NamedTuple):
    """What was timed; `sequences` of equal `length` in tokens are processed together."""

    encoder: str
    length: int
    sequences: int
    work: TimedWork
    threads: int


@dataclasses.dataclass(frozen=True)
class SpeedResult:
    """Times and operation counts.

    encoder_parameters, layers: by encoder. seconds: of each case, for all of its sequences, once
    per repeat. operations: of a forward pass over one sequence, by encoder and length.
    """

    settings: SpeedSettings
    encoder_parameters: Mapping[str, int]
    layers: Mapping[str, int]
    seconds: Mapping[TimingCase, tuple[float, ...]]
    operations: Mapping[str, Mapping[int, OperationCount]]

    def times(
        self, encoder: str, mode: BatchMode, work: TimedWork, threads: int
    ) -> list[list[float]]:
        """Seconds per sequence, by repeat and length."""
        lengths = self.settings.lengths
        counts = [num_sequences(mode, length, self.settings) for length in lengths]
        by_length = [
            self.seconds[TimingCase(encoder, length, count, work, threads)]
            for length, count in zip(lengths, counts, strict=True)
        ]
        return [
            [times[repeat] / count for times, count in zip(by_length, counts, strict=True)]
            for repeat in range(self.settings.repeats)
        ]

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "encoder_parameters": dict(self.encoder_parameters),
            "layers": dict(self.layers),
            "times": [
                {**case._asdict(), "seconds": list(seconds)}
                for case, seconds in self.seconds.items()
            ],
            "operations": [
                {"encoder": encoder, "length": length, **count._asdict()}
                for encoder, by_length in self.operations.items()
                for length, count in by_length.items()
            ],
        }


def num_sequences(mode: BatchMode, length: int, settings: SpeedSettings) -> int:
    """The number of sequences of a length that are processed together."""
    match mode:
        case "batch":
            return settings.batch_tokens // length
        case "single":
            return 1
        case unknown:
            assert_never(unknown)


def run_speed(settings: SpeedSettings, progress: ComparisonProgress) -> SpeedResult:
    """Time each encoder at each length: `TIMED_WORK`, for each number of threads."""
    encoders: dict[str, PackedEncoder] = {
        name: make_encoder(settings.encoder_config(name), seed=settings.seed)
        for name in settings.encoders
    }
    operations: dict[str, dict[int, OperationCount]] = {}
    for number, (name, encoder) in enumerate(encoders.items()):
        progress(f"counting the operations of {name}", COUNTING_FRACTION * number / len(encoders))
        operations[name] = {
            length: count_operations(encoder, _tokens(length, 1, settings), Lengths([length]))
            for length in settings.counted_lengths
        }
    seconds: dict[TimingCase, tuple[float, ...]] = {}
    for number, threads in enumerate(settings.usable_threads):
        calls = dict(_timed_calls(encoders, threads, settings))
        activity = f"timing on {threads} {'thread' if threads == 1 else 'threads'}"
        size = (1 - COUNTING_FRACTION) / len(settings.usable_threads)
        start = COUNTING_FRACTION + number * size
        with torch_threads(threads):
            times = time_interleaved(
                calls, settings.repeats, progress_within(progress, activity, start, size)
            )
        seconds |= {case: tuple(repeats) for case, repeats in times.items()}
    return SpeedResult(
        settings,
        {name: count_parameters(encoder) for name, encoder in encoders.items()},
        {name: encoder.config.num_layers for name, encoder in encoders.items()},
        seconds,
        operations,
    )


def _timed_calls(
    encoders: Mapping[str, PackedEncoder], threads: int, settings: SpeedSettings
) -> Iterator[tuple[TimingCase, Callable[[], object]]]:
    """Every case with its call; all encoders at one length follow each other."""
    for (work, mode), length in itertools.product(TIMED_WORK, settings.lengths):
        count = num_sequences(mode, length, settings)
        make_call = _forward_call if work == "forward" else _training_call
        for name, encoder in encoders.items():
            yield (
                TimingCase(name, length, count, work, threads),
                make_call(encoder, length, count, settings),
            )


def _forward_call(
    encoder: PackedEncoder, length: int, count: int, settings: SpeedSettings
) -> Callable[[], object]:
    tokens = _tokens(length, count, settings)

    def call() -> None:
        with torch.inference_mode():
            encoder.eval()(tokens, Lengths([length] * count))

    return call


def _training_call(
    encoder: PackedEncoder, length: int, count: int, settings: SpeedSettings
) -> Callable[[], object]:
    tokens = _tokens(length, count, settings)

    def call() -> None:
        (x_TD,) = encoder.train()(tokens, Lengths([length] * count))
        x_TD.square().mean().backward()
        encoder.zero_grad()

    return call


def _tokens(length: int, count: int, settings: SpeedSettings) -> Tensor:
    rng = torch.Generator().manual_seed(settings.seed)
    return torch.randint(settings.vocab_size, (length * count,), generator=rng)
