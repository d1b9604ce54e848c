"""Reading a model file of sentencepiece: pieces with scores, and the normalization of texts.

The numbers of fields are those of `sentencepiece_model.proto` (sentencepiece 0.2).
"""

import math
import struct
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from bothways.checkpoints.tokenizers.protobuf import MalformedMessage, fields
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import MAX_BYTES, read_bytes

__all__ = ["PieceKind", "ScoredPiece", "SentencePieceModel"]

PieceKind = Literal["normal", "unknown", "control", "user", "unused", "byte"]

_KINDS: dict[int, PieceKind] = {
    1: "normal", 2: "unknown", 3: "control", 4: "user", 5: "unused", 6: "byte",
}  # fmt: skip
_ALGORITHMS: dict[int, Literal["unigram", "byte_pair"]] = {1: "unigram", 2: "byte_pair"}
_OTHER_ALGORITHMS = {3: "words", 4: "characters"}
_MAX_PIECE_CHARACTERS = 128
"""Of a piece. Trained models have at most 16, and 48 where symbols are chosen by hand."""


class ScoredPiece(NamedTuple):
    """An entry of the vocabulary; score: the log-probability, or the rank of a merge."""

    text: str
    score: float
    kind: PieceKind


class SentencePieceModel(NamedTuple):
    """A model of sentencepiece (Kudo and Richardson 2018).

    pieces: by their ids. charsmap: the compiled table of replacements; empty if there is none.
    composes: whether the table composes characters, as those of the NFKC rules do.
    adds_prefix: whether a space is put before a text. removes_spaces: whether spaces at both ends
    of a text, and all but one between words, are removed. byte_fallback: whether characters
    outside the vocabulary become bytes.
    """

    pieces: tuple[ScoredPiece, ...]
    algorithm: Literal["unigram", "byte_pair"]
    charsmap: bytes
    composes: bool
    adds_prefix: bool
    removes_spaces: bool
    byte_fallback: bool

    @classmethod
    def read(cls, path: Path) -> "SentencePieceModel":
        """Read a model file.

        Raises:
            CheckpointError: if the file is missing, too large or malformed.
            UnsupportedModel: if the model is of words or characters, or puts spaces after words.
        """
        content = memoryview(read_bytes(path, max_bytes=MAX_BYTES))
        try:
            return _read(content)
        except (MalformedMessage, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path}: not a model of sentencepiece: {error}") from None
        except UnsupportedModel as error:
            raise UnsupportedModel(f"{path}: {error}") from None


def _read(content: memoryview) -> SentencePieceModel:
    pieces: list[ScoredPiece] = []
    trainer: dict[int, int | memoryview] = {}
    normalizer: dict[int, int | memoryview] = {}
    for number, value in fields(content):
        if number not in (1, 2, 3):
            continue
        message = _bytes(value)
        if number == 1:
            pieces.append(_piece(message))
        elif number == 2:
            trainer.update(fields(message))
        else:
            normalizer.update(fields(message))
    if not pieces:
        raise MalformedMessage("it has no pieces")
    if len({piece.text for piece in pieces}) < len(pieces):
        raise MalformedMessage("a piece appears twice")
    algorithm = _integer(trainer.get(3, 1))
    if algorithm in _OTHER_ALGORITHMS:
        raise UnsupportedModel(
            f"a sentencepiece model of {_OTHER_ALGORITHMS[algorithm]}; bothways reads unigram and "
            "byte-pair models"
        )
    if algorithm not in _ALGORITHMS:
        raise MalformedMessage(f"model_type={algorithm}")
    if _integer(trainer.get(24, 0)) or not _integer(normalizer.get(5, 1)):
        raise UnsupportedModel("a sentencepiece model that does not mark the beginnings of words")
    rules = bytes(_bytes(normalizer.get(1, memoryview(b""))))
    charsmap = bytes(_bytes(normalizer.get(2, memoryview(b""))))
    if charsmap:
        _check_charsmap(charsmap)
    return SentencePieceModel(
        pieces=tuple(pieces),
        algorithm=_ALGORITHMS[algorithm],
        charsmap=charsmap,
        composes=b"nfkc" in rules,
        adds_prefix=bool(_integer(normalizer.get(3, 1))),
        removes_spaces=bool(_integer(normalizer.get(4, 1))),
        byte_fallback=bool(_integer(trainer.get(35, 0))),
    )


def _piece(message: memoryview) -> ScoredPiece:
    values = dict(fields(message))
    text = bytes(_bytes(values.get(1, memoryview(b"")))).decode()
    packed = values.get(2, memoryview(bytes(4)))
    kind = _integer(values.get(3, 1))
    if isinstance(packed, int) or len(packed) != 4:
        raise MalformedMessage(f"the piece {text!r:.40} has no score")
    (score,) = struct.unpack("<f", packed)
    if not math.isfinite(score) or kind not in _KINDS:
        raise MalformedMessage(f"the piece {text!r:.40} has the score {score} and the type {kind}")
    if not 0 < len(text) <= _MAX_PIECE_CHARACTERS:
        raise MalformedMessage(
            f"a piece of {len(text):,} characters; expected 1 to {_MAX_PIECE_CHARACTERS}"
        )
    return ScoredPiece(text, score, _KINDS[kind])


def _check_charsmap(charsmap: bytes) -> None:
    """Check that no text leads out of the table: the library that uses it would panic.

    It holds the number of bytes of a trie, the trie, and replacements, each ended by a null byte.
    The trie is a double array (Darts-clone): a unit of 32 bits is a place among the replacements,
    with the highest bit, or else the offset of its children, in a block of 256 units.
    """
    size = int.from_bytes(charsmap[:4], "little")
    if not 0 < size <= len(charsmap) - 4 or size % 1024:
        raise MalformedMessage(f"its table of replacements has a trie of {size:,} bytes")
    units = np.frombuffer(charsmap, "<u4", count=size // 4, offset=4)
    replacements = charsmap[4 + size :]
    replacements.decode()
    is_leaf = units >> 31 == 1
    offsets = (units >> 10) << ((units & (1 << 9)) >> 6)
    children = (np.arange(len(units), dtype=np.uint32) ^ offsets) | 0xFF
    places = units[is_leaf] & 0x7FFFFFFF
    starts = np.frombuffer(replacements + b"\0", np.uint8)
    if (children[~is_leaf] >= len(units)).any() or (places >= len(starts)).any():
        raise MalformedMessage("its table of replacements points beyond its end")
    if (starts[places] & 0xC0 == 0x80).any():
        raise MalformedMessage("its table of replacements points into a character")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise MalformedMessage("a number in place of bytes")
    return value


def _integer(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise MalformedMessage("bytes in place of a number")
    return value
