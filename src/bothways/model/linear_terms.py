"""Linear terms of heads: linear functions of a sequence itself, added to the outputs of a head.

A linear term is data, as a head is. `reference.linear_terms` computes it from the inputs of the
encoder, without special tokens, beside any backend.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from bothways.errors import ConfigError
from bothways.model.fields import check_field_names, check_field_types

__all__ = [
    "BIAS",
    "IDF",
    "NAMES",
    "WEIGHT",
    "LinearTerm",
    "NgramTerm",
    "SeriesTerm",
    "read_term",
    "term_to_dict",
]

WEIGHT, BIAS, IDF = (f"heads.linear_term.{name}" for name in ("weight", "bias", "idf"))
NAMES = (WEIGHT, BIAS, IDF)
"""The names of the weights of terms in a model file."""

MAX_NGRAM, MAX_BUCKETS, MAX_LENGTH = 16, 2**24, 2**24

NUM_MOMENTS, NUM_STATISTICS = 3, 15
"""Features of each channel of a series."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NgramTerm:
    """A linear function of the n-grams of a sequence of ids.

    features: counts, how often each n-gram occurs, or positions, which id each position has, for
        sequences whose positions correspond. longest: ids of the longest n-gram; 1 for positions.
    buckets: into which n-grams are hashed, a power of 2. normalized: whether the features of a
        sequence have length 1. layers_scale: factor of the outputs of the head's layers.

    Raises:
        ConfigError: naming the field, its value, and the accepted values.
    """

    kind: ClassVar[str] = "ngrams"

    features: Literal["counts", "positions"]
    longest: int
    buckets: int
    normalized: bool
    layers_scale: float

    def __post_init__(self) -> None:
        check_field_types(self, owner=" of an n-gram term")
        if not 1 <= self.longest <= MAX_NGRAM:
            raise ConfigError(f"longest={self.longest}: expected 1 to {MAX_NGRAM} ids")
        if self.features == "positions" and self.longest != 1:
            raise ConfigError(f"longest={self.longest}: expected 1 with features='positions'")
        if not 1 <= self.buckets <= MAX_BUCKETS or self.buckets & (self.buckets - 1):
            raise ConfigError(
                f"buckets={self.buckets}: expected a power of 2 up to {MAX_BUCKETS:,}"
            )
        _check_scale(self.layers_scale)

    def layout(self, num_outputs: int, width: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight. width: of the encoder's inputs, which is not needed."""
        return {
            WEIGHT: (num_outputs, self.buckets),
            BIAS: (num_outputs,),
            IDF: (self.buckets,),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesTerm:
    """A linear function of the vectors that an encoder of a series reads.

    features: moments (mean, standard deviation and maximum of each channel), summary (15 statistics
        of each channel, and the length), or positions, the values of the first `length` positions.
    length: 0 without positions. layers_scale: factor of the outputs of the head's layers.

    Raises:
        ConfigError: naming the field, its value, and the accepted values.
    """

    kind: ClassVar[str] = "series"

    features: Literal["moments", "summary", "positions"]
    length: int
    layers_scale: float

    def __post_init__(self) -> None:
        check_field_types(self, owner=" of a series term")
        expected = (1, MAX_LENGTH) if self.features == "positions" else (0, 0)
        if not expected[0] <= self.length <= expected[1]:
            raise ConfigError(
                f"length={self.length}: expected {expected[0]} to {expected[1]} with "
                f"features={self.features!r}"
            )
        _check_scale(self.layers_scale)

    def num_features(self, width: int) -> int:
        """The number of features of vectors of this width."""
        match self.features:
            case "moments":
                return NUM_MOMENTS * width
            case "summary":
                return NUM_STATISTICS * width + 1
            case "positions":
                return self.length * width

    def layout(self, num_outputs: int, width: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight. width: of the encoder's inputs."""
        return {WEIGHT: (num_outputs, self.num_features(width)), BIAS: (num_outputs,)}


LinearTerm = NgramTerm | SeriesTerm

_KINDS: Mapping[str, type[LinearTerm]] = {cls.kind: cls for cls in (NgramTerm, SeriesTerm)}


def term_to_dict(term: LinearTerm) -> dict[str, Any]:
    """The kind and the fields as JSON values."""
    return {"kind": term.kind, **dataclasses.asdict(term)}


def read_term(fields: Any) -> LinearTerm:
    """The inverse of `term_to_dict`.

    Raises:
        ConfigError: if a field is unknown, missing, or has a wrong value.
    """
    if not isinstance(fields, Mapping):
        raise ConfigError("linear_term of a head: expected an object")
    values = dict(fields)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ConfigError(f"kind={kind!r} of a linear term: expected {' or '.join(_KINDS)}")
    check_field_names(_KINDS[kind], values)
    return _KINDS[kind](**values)


def _check_scale(scale: float) -> None:
    if not 0 <= scale < float("inf"):
        raise ConfigError(f"layers_scale={scale}: expected at least 0")
