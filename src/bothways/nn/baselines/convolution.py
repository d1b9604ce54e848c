"""A dilated convolution on packed batches; with a kernel of one position, a bag of embeddings.

T tokens of all sequences end to end; E embedding width, which all vectors have; S = kernel size · E
numbers within a kernel; W width of the hidden layer.
"""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn

from bothways.model.baselines import BaselineConfig
from bothways.nn.baselines.encoder import BaselineEncoder
from bothways.nn.dropout import Dropout
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths
from bothways.nn.neighbors import neighbors

__all__ = ["ConvolutionEncoder"]


class ConvolutionEncoder(BaselineEncoder):
    """Residual blocks, each of which doubles the dilation of the previous one.

    Kalchbrenner et al. 2016, "Neural machine translation in linear time" (ByteNet), sections 3.3
    and 3.6, in both directions like their encoder; Bai et al. 2018, section 3.4. A bag of
    embeddings has a kernel of one position, so that its blocks do not mix positions.
    """

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.num_layers))

    def outputs(self, x_TE: Tensor, lengths: Lengths) -> Iterator[Tensor]:
        """The output of each block, (T, E)."""
        for block in self.layers:
            x_TE = block(x_TE, lengths)
            yield x_TE


class Block(nn.Module):
    """x + down(gelu(up(neighbors(norm(x))))): the pre-norm feed-forward on a neighborhood."""

    def __init__(self, config: BaselineConfig, layer: int) -> None:
        super().__init__()
        E, W = config.embedding_width, config.width
        reach = config.kernel_size // 2
        self.offsets = [config.dilation(layer) * step for step in range(-reach, reach + 1)]
        self.norm = nn.LayerNorm(E, config.norm_eps)
        self.up = Linear(config.kernel_size * E, W)
        self.down = Linear(W, E)
        self.activation = config.activation
        self.dropout = Dropout(config.dropout)

    def forward(self, x_TE: Float[Tensor, "T E"], lengths: Lengths) -> Float[Tensor, "T E"]:
        """Map (T, E) to (T, E)."""
        kernel_TS = neighbors(self.norm(x_TE), lengths, self.offsets)
        added_TE: Tensor = self.dropout(self.down(self.up(kernel_TS, self.activation)))
        return x_TE + added_TE
