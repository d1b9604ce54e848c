"""Encoder blocks with parts removed. With no part removed, they equal `bothways.nn.block`.

T packed tokens of all sequences; D model width.
"""

import math
from collections.abc import Callable, Collection
from typing import Literal, assert_never

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.nn.block import EncoderBlock
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.lengths import Lengths
from bothways.nn.positions import NO_POSITIONS, PackedAttentionPositions

__all__ = ["AblatedBlock", "AblatedEncoder", "AblatedPart", "initialize_glorot"]

AblatedPart = Literal["skip", "norm", "feed-forward"]
"""Parts that `EncoderConfig` cannot switch off, unlike positions and heads."""


class AblatedBlock(EncoderBlock):
    """An encoder block without the parts in `without`."""

    def __init__(self, config: EncoderConfig, block: int, without: Collection[AblatedPart]) -> None:
        super().__init__(config, block)
        self.without = without
        if "norm" in without:
            self.attention_norm = nn.Identity()
            self.feed_forward_norm = nn.Identity()
        if "feed-forward" in without:
            del self.feed_forward, self.feed_forward_norm

    def forward(
        self,
        x_TD: Tensor,
        lengths: Lengths,
        layer: int,
        positions: PackedAttentionPositions = NO_POSITIONS,
    ) -> Tensor:
        """Map (T, D) to (T, D)."""

        def attend(x_TD: Tensor) -> Tensor:
            mixed_TD: Tensor = self.attention(x_TD, lengths, layer, positions)
            return mixed_TD

        x_TD = self._sublayer(x_TD, attend, self.attention_norm)
        if "feed-forward" not in self.without:
            x_TD = self._sublayer(x_TD, self.feed_forward, self.feed_forward_norm)
        return x_TD

    def _sublayer(
        self, x_TD: Tensor, change: Callable[[Tensor], Tensor], norm: nn.Module
    ) -> Tensor:
        match self.norm_placement:
            case "post":
                y_TD: Tensor = self.dropout(change(x_TD))
                normed_TD: Tensor = norm(y_TD if "skip" in self.without else x_TD + y_TD)
                return normed_TD
            case "pre":
                y_TD = self.dropout(change(norm(x_TD)))
                return y_TD if "skip" in self.without else x_TD + y_TD
            case "sandwich":
                raise ConfigError("ablations of blocks with norm_placement='sandwich' do not exist")
            case unknown:
                assert_never(unknown)


class AblatedEncoder(TransformerEncoder):
    """A Transformer encoder of such blocks; without norms, it has no final norm either."""

    def __init__(self, config: EncoderConfig, without: Collection[AblatedPart] = ()) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList(
            AblatedBlock(config, block, without) for block in range(config.num_blocks)
        )
        if "norm" in without:
            self.final_norm = nn.Identity()

    def hidden_states(
        self, values: Num[Tensor, "T *C"], lengths: Lengths
    ) -> tuple[Float[Tensor, "T D"], ...]:
        """The embeddings, then the output of each block, before the final norm."""
        positions = self.attention_positions(lengths)
        states = [self.embedding(values, lengths, None)]
        for layer, block in enumerate(self.blocks):
            states.append(block(states[-1], lengths, layer, positions[layer]))
        return tuple(states)


def initialize_glorot(encoder: nn.Module, seed: int) -> None:
    """Initialize weights so that linear maps preserve the scale of activations.

    Normal with variance 2 / (inputs + outputs) (Glorot and Bengio 2010, eq. 16), as in the released
    code of Vaswani et al. 2017; embedding tables with standard deviation 1; gains 1, biases 0. So
    no ablation fails merely because the initial weights are small.
    """
    rng = torch.Generator().manual_seed(seed)
    tables = {id(module.weight) for module in encoder.modules() if isinstance(module, nn.Embedding)}
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if id(weight) in tables:
                weight.normal_(generator=rng)
            elif weight.ndim > 1:
                weight.normal_(std=math.sqrt(2 / sum(weight.shape)), generator=rng)
            else:
                weight.fill_(name.endswith(".weight"))
