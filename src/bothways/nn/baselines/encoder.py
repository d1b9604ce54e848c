"""The base class of all baselines: embeddings, layers, and a last norm.

T tokens of all sequences end to end; C input channels; E embedding width; D width of the output
vectors. Attribute names are the names in `baselines.layout`.
"""

import abc
import itertools
from collections.abc import Iterator, Sequence
from typing import assert_never

from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from bothways.model.baselines import BaselineConfig
from bothways.nn.dropout import Dropout
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import PackedEncoder

__all__ = ["BaselineEncoder"]


class BaselineEncoder(PackedEncoder):
    """An encoder of embeddings, layers that a subclass defines, and a last norm."""

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        self.config: BaselineConfig = config
        self.embedding = InputEmbedding(config)
        self.final_norm = nn.LayerNorm(config.d_model, config.norm_eps)

    @abc.abstractmethod
    def outputs(self, x_TE: Tensor, lengths: Lengths) -> Iterator[Tensor]:
        """The output of each layer for these embeddings, computed lazily."""

    def forward(
        self,
        values: Num[Tensor, "T *C"],
        lengths: Lengths,
        segments_T: Int[Tensor, "T"] | None = None,
        keep_layers: Sequence[int] | None = None,
    ) -> tuple[Float[Tensor, "T _"], ...]:
        """Hidden states as in `PackedEncoder`; segments, which can only be 0, are ignored.

        Embeddings may have another width than the layers' outputs.
        """
        last = self.config.num_layers
        keep = (last,) if keep_layers is None else tuple(keep_layers)
        x_TE = self.embedding(values)
        states = itertools.chain([x_TE], self.outputs(x_TE, lengths))
        needed = itertools.islice(states, max(keep, default=0) + 1)
        kept = {layer: x_TD for layer, x_TD in enumerate(needed) if layer in keep}
        if last in kept:
            kept[last] = self.final_norm(kept[last])
        return tuple(kept[layer] for layer in keep)


class InputEmbedding(nn.Module):
    """A row of a table for each token id, or a linear map of each vector; normalized."""

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        self.kind = config.input
        match config.input:
            case "tokens":
                self.token = nn.Embedding(config.vocab_size, config.embedding_width)
            case "vectors":
                self.input = Linear(config.num_channels, config.embedding_width)
            case unknown:
                assert_never(unknown)
        self.norm = nn.LayerNorm(config.embedding_width, config.norm_eps)
        self.dropout = Dropout(config.dropout)

    def forward(self, values: Num[Tensor, "T *C"]) -> Float[Tensor, "T E"]:
        """Embed token ids (T,) or vectors (T, C)."""
        match self.kind:
            case "tokens":
                x_TE = self.token(values)
            case "vectors":
                x_TE = self.input(values)
            case unknown:
                assert_never(unknown)
        embedded_TE: Tensor = self.dropout(self.norm(x_TE))
        return embedded_TE
