"""A limit on memory, and how it is kept: by the size of chunks of rows and of batches of tokens."""

import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import numpy as np
import typer

from bothways.errors import InputError
from bothways.io.process_memory import limit_primitive_caches, return_freed_blocks
from bothways.model.costs import bytes_per_token
from bothways.model.packing import DEFAULT_MAX_TOKENS, PackedBatch

if TYPE_CHECKING:
    from bothways.encoder import Encoder

__all__ = ["ChunkPlan", "parse_bytes", "plan_chunks", "readable_bytes", "reduce_memory_retention"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

MAX_ROWS = 4096
MAX_CHARACTERS = 1 << 19
"""A chunk as large as this sorts into batches of like lengths, and shows progress often enough."""

_BYTES_PER_CHARACTER = 160
"""What a character of input takes while it is tokenized: its part of a token, and the tokenizer's
record of how it normalized the text. A text of 10 MB was seen to take 1.4 GB."""

_OVERHEAD = 2.0
"""How much more than its activations a batch may take: the backend's workspace, and memory that was
freed and not yet given back."""

_OUTPUT_BYTES = 64 << 20
"""The writer's row group, its copy in the file's encoding, and the tokenizer's threads."""


@dataclasses.dataclass(frozen=True)
class ChunkPlan:
    """How much is in hand at a time.

    rows, characters: of one chunk, whichever is reached first; a longer row is a chunk by itself.
    batch_tokens: tokens of one batch of the encoder.
    longest_row: characters beyond which a row is refused, for want of memory; None for no limit.
    """

    rows: int = MAX_ROWS
    characters: int = MAX_CHARACTERS
    batch_tokens: int = DEFAULT_MAX_TOKENS
    longest_row: int | None = None


def reduce_memory_retention() -> None:
    """Make libraries give memory back, so that what a process takes is what it uses.

    To be called before a model is loaded.
    """
    limit_primitive_caches()
    return_freed_blocks()


def parse_bytes(text: str) -> int:
    """`512MB`, `2 GB`, `1.5GiB` or a number of bytes.

    Raises:
        BadParameter: for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", text.strip().upper())
    if match is None or (match[3] and not match[2]):
        raise typer.BadParameter(f"{text!r}: expected a size such as 512MB, 2GB or 1.5GiB")
    unit = (_BINARY_UNITS if match[3] else _UNITS)[match[2]]
    return int(float(match[1]) * unit)


def readable_bytes(count: float) -> str:
    """A size for people: `91 MB`, `1.2 GB`."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    unit = units[0]
    return f"{count:.1f} {unit}" if count < 10 and unit != "bytes" else f"{count:.0f} {unit}"


def plan_chunks(
    limit: int | None, encoder: "Encoder", *, dimensions: int, windows: bool
) -> ChunkPlan:
    """Chunks and batches that keep the whole process below `limit` bytes; None for no limit.

    What is left of the limit by the loaded model is shared between activations (half), rows being
    tokenized (three eighths) and their vectors.

    windows: whether rows longer than the model are encoded whole, which holds a vector for every
        token of one row.

    Raises:
        InputError: if the limit cannot be kept, with the least one that can.
    """
    if limit is None:
        return ChunkPlan()
    _warm_up(encoder)
    config = encoder.config
    per_token = bytes_per_token(config) * _OVERHEAD
    least = int(encoder.max_length * per_token) + _OUTPUT_BYTES
    resident, peak = _resident_bytes(), _peak_bytes()
    needed = max(peak, resident + least)
    if limit < needed:
        raise InputError(
            f"--max-memory {readable_bytes(limit)} cannot be kept: loading the model took "
            f"{readable_bytes(peak)}, the model and the program keep {readable_bytes(resident)} "
            f"of it, and encoding takes {readable_bytes(least)} more; "
            f"give at least {_rounded_up(needed)}"
        )
    free = limit - resident - _OUTPUT_BYTES
    per_character = _BYTES_PER_CHARACTER + (8 * config.d_model if windows else 0)
    return ChunkPlan(
        rows=_between(1, free // 8 // (16 * dimensions + 1024), MAX_ROWS),
        characters=_between(1, free * 3 // 8 // _BYTES_PER_CHARACTER, MAX_CHARACTERS),
        batch_tokens=_between(1, int(free / 2 / per_token), DEFAULT_MAX_TOKENS),
        longest_row=free // per_character,
    )


def _warm_up(encoder: "Encoder") -> None:
    """Encode a little, so that the backend's own code and threads count as taken."""
    length = min(32, encoder.max_length)
    match encoder.config.input:
        case "tokens":
            values = np.zeros(length, np.int64)
        case "vectors":
            values = np.zeros((length, encoder.config.num_channels), np.float32)
        case unknown:
            assert_never(unknown)
    encoder.backend.pool(PackedBatch.of([values]), ["mean"])


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))


def _rounded_up(count: int) -> str:
    """Megabytes in steps of 10, as `--max-memory` takes them."""
    return f"{-(-count // 10**7) * 10}MB"


def _resident_bytes() -> int:
    """Memory that this process has now; where the system does not tell, the most it has had."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        import resource

        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return _peak_bytes()


def _peak_bytes() -> int:
    """The most memory that this process has had; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    # Where there is one: getrusage(2) would count what the parent process had when it forked.
    text = status.read_text() if status.exists() else ""
    if peak := re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE):
        return int(peak[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    # macOS counts in bytes, other systems in kibibytes (getrusage(2) of each).
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
