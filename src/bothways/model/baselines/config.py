"""What a baseline is: an encoder that stands where the Transformer stands, and mixes otherwise."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, assert_never, get_args

from bothways.errors import ConfigError
from bothways.model.fields import check_field_names, check_field_types
from bothways.model.variants import Activation, Input, NormPlacement

__all__ = ["BASELINES", "BaselineConfig", "BaselineName", "Cell"]

BaselineName = Literal[
    "rnn", "lstm", "gru", "rnn-forward", "lstm-forward", "gru-forward", "convolution", "bag"
]
Cell = Literal["rnn", "lstm", "gru"]

BASELINES: tuple[BaselineName, ...] = get_args(BaselineName)
"""Those with a cell's name alone read in both directions, as is usual for encoders."""

KERNEL_SIZE = 3
"""Positions that a layer of the dilated convolution sees (Kalchbrenner et al. 2016, section 3)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """An encoder that is no Transformer: embeddings, layers that mix in another way, a last norm.

    The embeddings are those of the Transformers that `bothways train` makes: a table, or a linear
    map of vectors, a layer norm and dropout. There are no positions: what tells them apart is the
    order of computation, and a bag does not.

    kind: `rnn`, plain and with tanh (Elman 1990); `lstm` (Hochreiter and Schmidhuber 1997, with the
        forget gate of Gers et al. 2000); `gru` (Cho et al. 2014); each in both directions (Schuster
        and Paliwal 1997) or `-forward` alone. `convolution`: residual blocks of dilated convolution
        (Kalchbrenner et al. 2016, section 3.3; Bai et al. 2018, section 3.4). `bag`: the same
        blocks, each position for itself; only pooling, or whoever attends to them, mixes positions.
    width: of the hidden state of one direction; of the hidden layer of a block.
    embedding_width: of the embeddings, and of all vectors of a convolution or bag.
    max_length: the longest sequence, in positions, special tokens included.
    input, vocab_size, num_channels: as in `EncoderConfig`.
    dropout: on the embeddings and on what each layer gives; never between the steps of a recurrent
        layer (Zaremba et al. 2014, section 3).

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    kind: BaselineName
    num_layers: int
    width: int
    embedding_width: int
    max_length: int = 512

    input: Input = "tokens"
    vocab_size: int = 0
    num_channels: int = 0

    dropout: float = 0.1

    # What a Transformer's config says in fields of the same names is the same for all baselines.
    num_segments: ClassVar[int] = 0
    activation: ClassVar[Activation] = "gelu"
    norm_placement: ClassVar[NormPlacement] = "pre"
    norm_eps: ClassVar[float] = 1e-5
    norm_bias: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_field_types(self)
        for name in ("num_layers", "width", "embedding_width", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected at least 1")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout}: expected at least 0, below 1")
        used, unused = ("vocab_size", "num_channels")[:: 1 if self.input == "tokens" else -1]
        if getattr(self, used) < 1 or getattr(self, unused):
            raise ConfigError(
                f"input={self.input!r} needs {used} >= 1 and {unused}=0; "
                f"got {used}={getattr(self, used)}, {unused}={getattr(self, unused)}"
            )

    # What follows from the fields.

    @property
    def cell(self) -> Cell | None:
        """The recurrent cell; None for a convolution or a bag."""
        match self.kind:
            case "rnn" | "rnn-forward":
                return "rnn"
            case "lstm" | "lstm-forward":
                return "lstm"
            case "gru" | "gru-forward":
                return "gru"
            case "convolution" | "bag":
                return None
            case unknown:
                assert_never(unknown)

    @property
    def directions(self) -> int:
        """In how many directions a recurrent encoder reads."""
        return 1 if self.kind.endswith("-forward") else 2

    @property
    def d_model(self) -> int:
        """Width of the vectors that come out."""
        return self.embedding_width if self.cell is None else self.directions * self.width

    @property
    def kernel_size(self) -> int:
        """How many positions a block of a convolution sees; of a bag, one."""
        return KERNEL_SIZE if self.kind == "convolution" else 1

    def dilation(self, layer: int) -> int:
        """The distance between the positions that a layer of the convolution sees.

        It doubles from layer to layer, and begins again when all positions have been seen, as in
        Kalchbrenner et al. 2016, section 3.3.
        """
        return 1 << layer % layers_to_see(self.max_length)

    # To and from JSON.

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: if a field is unknown, missing, or has a wrong value.
        """
        check_field_names(cls, fields)
        return cls(**fields)


def layers_to_see(length: int) -> int:
    """After how many layers of doubling dilation each of `length` positions has seen all others.

    >>> [layers_to_see(length) for length in (1, 2, 4, 5, 512)]
    [1, 1, 2, 3, 9]
    """
    return max(1, (length - 1).bit_length())
