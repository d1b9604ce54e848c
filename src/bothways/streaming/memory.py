"""Keep a memory limit by choosing the sizes of chunks of rows and of batches of tokens."""

import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from bothways.errors import InputError
from bothways.io.process_memory import limit_primitive_caches, return_freed_blocks
from bothways.io.sizes import format_bytes
from bothways.model.costs import bytes_per_token
from bothways.model.packing import DEFAULT_MAX_TOKENS, PackedBatch

if TYPE_CHECKING:
    from bothways.encoder import Encoder

__all__ = ["ChunkPlan", "plan_chunks", "reduce_memory_retention"]

MAX_ROWS = 4096
MAX_CHARACTERS = 1 << 19
"""Large enough to form batches of similar lengths; small enough to report progress often."""

_BYTES_PER_CHARACTER = 160
"""Memory per input character during tokenization: its part of a token, and the tokenizer's record
of normalization. A text of 10 MB took 1.4 GB."""

_BYTES_PER_STR_CHARACTER = 8
"""Memory of a character of a str, and of the bytes or line from which it was decoded."""

_OVERHEAD = 2.0
"""Memory of a batch relative to its activations, with the backend's workspace, and freed memory
that has not been returned to the system."""

_OUTPUT_BYTES = 64 << 20
"""Memory of the writer's row group, its encoded copy, and the tokenizer's threads."""

_TOKEN_VECTOR_BYTES = 128 << 20
"""Memory of a chunk's token vectors without a limit, if each character is a token."""


@dataclasses.dataclass(frozen=True)
class ChunkPlan:
    """Maximum sizes of the data in memory.

    rows, characters: limits of a chunk, whichever is reached first; a longer row is a chunk of its
        own.
    batch_tokens: tokens per batch of the encoder.
    longest_row: maximum length of a row in characters; None for no limit.
    numbers_per_character: numbers of a series, or token ids, that count as one character.
    characters_read: characters of a text that count, as it is cut after them; None for all.
    characters_beside: characters that are read with each row, such as those of a query.
    ahead: whether the next chunk is read and tokenized, and the last one written, while a chunk is
        encoded.
    """

    rows: int = MAX_ROWS
    characters: int = MAX_CHARACTERS
    batch_tokens: int = DEFAULT_MAX_TOKENS
    longest_row: int | None = None
    numbers_per_character: int = 4
    characters_read: int | None = None
    characters_beside: int = 0
    ahead: bool = True

    def size_of(self, value: Any) -> int:
        """The size of a row in characters, as far as it takes memory.

        Of a text that is cut, the rest counts for as much as it takes as a str.
        """
        return self.characters_beside + self._count(value)

    def _count(self, value: Any) -> int:
        match value:
            case str():
                read = min(len(value), self.characters_read or len(value))
                rest = len(value) - read
                return read + rest * _BYTES_PER_STR_CHARACTER // _BYTES_PER_CHARACTER
            case np.ndarray():
                return value.size // self.numbers_per_character
            case _:
                return sum(self._count(part) + 1 for part in value)


def reduce_memory_retention() -> None:
    """Make libraries return freed memory to the system. Call this before loading a model."""
    limit_primitive_caches()
    return_freed_blocks()


def plan_chunks(
    limit: int | None,
    encoder: "Encoder",
    *,
    dimensions: int,
    windows: bool,
    token_vectors: bool = False,
    query: str | None = None,
) -> ChunkPlan:
    """Choose chunks and batches that keep the process below `limit` bytes; None for no limit.

    The memory that the loaded model leaves is divided between activations (1/2), rows during
    tokenization (3/8) and vectors (1/8).

    windows: whether rows longer than the model are encoded whole, which holds a vector for every
        token of a row.
    query: a text that is read with each row.
    token_vectors: whether the vectors of all tokens of a chunk are held until they are written.

    Raises:
        InputError: if the limit is too low, with the lowest possible one.
    """
    config = encoder.config
    held = 8 * config.d_model if token_vectors else 0  # the vectors, and as they are written
    plan = ChunkPlan(
        numbers_per_character=1 if token_vectors else ChunkPlan.numbers_per_character,
        characters_read=None if windows else _characters_read(encoder),
        characters_beside=len(query or ""),
    )
    if limit is None:
        most = _TOKEN_VECTOR_BYTES // held if held else MAX_CHARACTERS
        return dataclasses.replace(plan, characters=_clamp(most, 1, MAX_CHARACTERS))
    _warm_up(encoder)
    per_token = bytes_per_token(config) * _OVERHEAD
    least = int(encoder.max_length * per_token) + _OUTPUT_BYTES
    resident, peak = _resident_bytes(), _peak_bytes()
    needed = max(peak, resident + least)
    if limit < needed:
        raise InputError(
            f"--max-memory {format_bytes(limit)} is too low: loading the model took "
            f"{format_bytes(peak)}, of which the model and the program keep "
            f"{format_bytes(resident)}, and encoding needs {format_bytes(least)} more; "
            f"give at least {_round_up(needed)}"
        )
    free = limit - resident - _OUTPUT_BYTES
    per_character = _BYTES_PER_CHARACTER + held
    row_bytes = 16 * dimensions + 1024
    two_fit = (
        free * 3 // 8 >= 2 * MAX_CHARACTERS * per_character
        and free // 8 >= 2 * MAX_ROWS * row_bytes
    )
    per_long_row = _BYTES_PER_CHARACTER + (8 * config.d_model if windows or token_vectors else 0)
    return dataclasses.replace(
        plan,
        rows=_clamp(free // 8 // row_bytes, 1, MAX_ROWS),
        characters=_clamp(free * 3 // 8 // per_character, 1, MAX_CHARACTERS),
        batch_tokens=_clamp(int(free / 2 / per_token), 1, DEFAULT_MAX_TOKENS),
        longest_row=free // per_long_row,
        ahead=two_fit and plan.characters_read is not None,
    )


def _characters_read(encoder: "Encoder") -> int | None:
    """Characters of a text that the encoder's reader tokenizes at most; None for all."""
    reader = encoder.reader
    return None if reader is None else reader.characters_read(encoder.max_length)


def _warm_up(encoder: "Encoder") -> None:
    """Encode a short sequence, so that memory of the backend's code and threads is measured."""
    length = min(32, encoder.max_length)
    match encoder.config.input:
        case "tokens":
            values = np.zeros(length, np.int64)
        case "vectors":
            values = np.zeros((length, encoder.config.num_channels), np.float32)
        case unknown:
            assert_never(unknown)
    encoder.backend.pool(PackedBatch.of([values]), ["mean"])


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def _round_up(count: int) -> str:
    """Round up to a multiple of 10 MB, in the form that `--max-memory` accepts."""
    return f"{-(-count // 10**7) * 10}MB"


def _resident_bytes() -> int:
    """Current memory of this process; its peak on systems that do not report the current value."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        import resource

        return int(statm.read_text(encoding="utf-8").split()[1]) * resource.getpagesize()
    return _peak_bytes()


def _peak_bytes() -> int:
    """Peak memory of this process; 0 on systems that do not report it."""
    status = Path("/proc/self/status")
    # Preferred to getrusage(2), which includes the parent's memory at the time of the fork.
    text = status.read_text(encoding="utf-8", errors="replace") if status.exists() else ""
    if peak := re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE):
        return int(peak[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    # In bytes on macOS, in kibibytes on other systems (getrusage(2)).
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
