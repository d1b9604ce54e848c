"""The config of a baseline: an encoder that mixes positions in another way than attention."""

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
"""Recurrent encoders read in both directions, unless their name ends in `-forward`."""

KERNEL_SIZE = 3
"""Positions per kernel of the dilated convolution (Kalchbrenner et al. 2016, section 3)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """An encoder without attention: embeddings, layers that mix positions differently, a last norm.

    The embeddings are those of the Transformers that `bothways train` creates: a table, or a linear
    map of vectors, then layer norm and dropout. There are no position embeddings: the order of
    computation distinguishes positions, except in a bag.

    kind: `rnn`, plain and with tanh (Elman 1990); `lstm` (Hochreiter and Schmidhuber 1997, with the
        forget gate of Gers et al. 2000); `gru` (Cho et al. 2014); each in both directions (Schuster
        and Paliwal 1997) or `-forward` only. `convolution`: residual blocks of dilated convolution
        (Kalchbrenner et al. 2016, section 3.3; Bai et al. 2018, section 3.4). `bag`: the same
        blocks with a kernel of one position; only pooling, or attention from outside, mixes
        positions.
    width: width of the hidden state of one direction, or of the hidden layer of a block.
    embedding_width: width of the embeddings, and of all vectors of a convolution or bag.
    max_length: the longest sequence, in positions, special tokens included.
    input, vocab_size, num_channels: as in `EncoderConfig`.
    dropout: on the embeddings and the output of each layer; never between the time steps of a
        recurrent layer (Zaremba et al. 2014, section 3).

    Raises:
        ConfigError: naming the field, its value, and the accepted values.
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

    # Fields of a Transformer's config that have one value for all baselines.
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
        """Number of directions in which a recurrent encoder reads."""
        return 1 if self.kind.endswith("-forward") else 2

    @property
    def d_model(self) -> int:
        """Width of the output vectors."""
        return self.embedding_width if self.cell is None else self.directions * self.width

    @property
    def kernel_size(self) -> int:
        """Number of positions in the kernel of a block; 1 for a bag."""
        return KERNEL_SIZE if self.kind == "convolution" else 1

    def dilation(self, layer: int) -> int:
        """Distance between neighboring positions in the kernel of a layer.

        It doubles from layer to layer, and starts again from 1 once the receptive field covers all
        positions, as in Kalchbrenner et al. 2016, section 3.3.
        """
        return 1 << layer % layers_to_see(self.max_length)

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
    """Number of layers of doubling dilation until the receptive field covers `length` positions.

    >>> [layers_to_see(length) for length in (1, 2, 4, 5, 512)]
    [1, 1, 2, 3, 9]
    """
    return max(1, (length - 1).bit_length())
