"""The encoder: the embedding, then the blocks in turn. A packed batch in, hidden states out.

T tokens of all sequences end to end; D model width.
Attribute names are the names in `weights.layout`: `state_dict()` has exactly those.
"""

from collections.abc import Sequence
from typing import cast

from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from bothways.model.config import EncoderConfig
from bothways.nn.block import EncoderBlock
from bothways.nn.convolution import Convolution
from bothways.nn.embedding import Embedding
from bothways.nn.layers import make_norm
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import PackedEncoder
from bothways.nn.positions import PackedAttentionPositions, attention_positions, make_table


class TransformerEncoder(PackedEncoder):
    """A Transformer encoder: each token attends to all tokens of its sequence, in both directions.

    It starts with random weights: matrices and tables normal with standard deviation 0.02, gains 1,
    biases 0 (Devlin et al. 2019, and BERT's released code). `load_weights` replaces them.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config: EncoderConfig = config
        self.embedding = Embedding(config)
        self.relative_bias = make_table(config, "relative_bias")
        self.relative_embedding = make_table(config, "relative_embedding")
        self.relative_norm = (
            make_norm(config, config.d_model)
            if self.relative_embedding is not None and config.relative_embedding_norm
            else nn.Identity()
        )
        self.blocks = nn.ModuleList(EncoderBlock(config, b) for b in range(config.num_blocks))
        self.convolution: Convolution | None = None
        if config.convolution_kernel_size:
            self.convolution = Convolution(config)
            self.convolution_norm = make_norm(config, config.d_model)
        self.final_norm = (
            make_norm(config, config.d_model, bias=config.final_norm_bias)
            if config.final_norm
            else nn.Identity()
        )
        gain = 0.0 if config.norm_zero_centered else 1.0
        for name, weight in self.named_parameters():
            if weight.ndim > 1:
                nn.init.normal_(weight, std=0.02)
            else:
                nn.init.constant_(weight, gain if name.endswith(".weight") else 0.0)

    def forward(
        self,
        values: Num[Tensor, "T *C"],
        lengths: Lengths,
        segments_T: Int[Tensor, "T"] | None = None,
        keep_layers: Sequence[int] | None = None,
    ) -> tuple[Float[Tensor, "T D"], ...]:
        """Hidden states of `keep_layers`, in that order; by default only of the last layer.

        values: token ids (T,) or vectors (T, C). lengths: those of the sequences.
        keep_layers: 0 for the embeddings, i for the output of layer i; the final norm, if the
            encoder has one, is applied to the last.
        """
        config = self.config
        keep = (config.num_layers,) if keep_layers is None else tuple(keep_layers)
        positions = self.attention_positions(lengths)
        x_TD = self.embedding(values, lengths, segments_T)
        kept = {0: x_TD} if 0 in keep else {}
        added_TD = None
        if self.convolution is not None and max(keep, default=0):
            added_TD = self.convolution.convolve(x_TD, lengths)
        for layer in range(max(keep, default=0)):
            x_TD = self._block(layer)(x_TD, lengths, layer, positions[layer])
            if layer == 0 and added_TD is not None:
                x_TD = self.convolution_norm(x_TD + added_TD)
            if layer + 1 in keep:
                kept[layer + 1] = x_TD
        if config.num_layers in kept:
            kept[config.num_layers] = self.final_norm(x_TD)
        return tuple(kept[layer] for layer in keep)

    def attention_probabilities(
        self,
        values: Num[Tensor, "L *C"],
        segments_L: Int[Tensor, "L"] | None,
        layers: Sequence[int],
    ) -> tuple[Float[Tensor, "H L L"], ...]:
        """Attention probabilities of `layers` (0 the first) for one sequence.

        They are computed from the inputs of those layers, because `forward` does not keep them.
        """
        lengths = Lengths([len(values)], values.device)
        positions = self.attention_positions(lengths)
        input_LD = self(values, lengths, segments_L, layers)
        return tuple(
            self._block(layer).probabilities(x_LD, lengths, layer, positions[layer])
            for layer, x_LD in zip(layers, input_LD, strict=True)
        )

    def attention_positions(self, lengths: Lengths) -> list[PackedAttentionPositions]:
        """How attention in each layer uses the positions of a batch."""
        vectors_ND = None
        if self.relative_embedding is not None:
            vectors_ND = self.relative_norm(self.relative_embedding.weight)
        return attention_positions(self.config, lengths, self.relative_bias, vectors_ND)

    def _block(self, layer: int) -> EncoderBlock:
        return cast(EncoderBlock, self.blocks[self.config.block(layer)])
