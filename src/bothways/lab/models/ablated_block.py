"""The encoder block with a part left out: what the part was for shows in what is missing.

T tokens of all sequences end to end; D model width. Read beside `bothways.nn.block`, whose block
this is when nothing is left out.
"""

import math
from collections.abc import Callable, Collection
from typing import Literal, assert_never

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from bothways.model.config import EncoderConfig
from bothways.nn.block import EncoderBlock
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.lengths import Lengths
from bothways.nn.positions import NO_POSITIONS, AttentionPositions, attention_positions

__all__ = ["AblatedBlock", "AblatedEncoder", "Part", "draw_weights"]

Part = Literal["skip", "norm", "feed-forward"]
"""What no config can leave out; positions and heads it can."""


class AblatedBlock(EncoderBlock):
    """A block without some of its parts, or with all."""

    def __init__(self, config: EncoderConfig, block: int, without: Collection[Part]) -> None:
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
        positions: AttentionPositions = NO_POSITIONS,
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
            case unknown:
                assert_never(unknown)


class AblatedEncoder(TransformerEncoder):
    """A Transformer encoder of such blocks; without norms it has no last one either."""

    def __init__(self, config: EncoderConfig, without: Collection[Part] = ()) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList(
            AblatedBlock(config, block, without) for block in range(config.num_blocks)
        )
        if "norm" in without:
            self.final_norm = nn.Identity()

    def states(
        self, values: Num[Tensor, "T *C"], lengths: Lengths
    ) -> tuple[Float[Tensor, "T D"], ...]:
        """What enters the first block, and what each block gives, without the last norm."""
        positions = attention_positions(self.config, lengths, self.relative_bias)
        states = [self.embedding(values, lengths, None)]
        for layer, block in enumerate(self.blocks):
            states.append(block(states[-1], lengths, layer, positions[layer]))
        return tuple(states)


def draw_weights(encoder: nn.Module, seed: int) -> None:
    """Fresh weights with which a linear map neither enlarges nor shrinks what passes it.

    Normal, of variance 2 / (inputs + outputs) (Glorot and Bengio 2010, eq. 16), as Vaswani et al.
    2017 began in their released code; tables of embeddings with standard deviation 1; gains 1,
    biases 0. Nothing that fails then fails because weights were too small to begin with.
    """
    chance = torch.Generator().manual_seed(seed)
    tables = {id(module.weight) for module in encoder.modules() if isinstance(module, nn.Embedding)}
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if id(weight) in tables:
                weight.normal_(generator=chance)
            elif weight.ndim > 1:
                weight.normal_(std=math.sqrt(2 / sum(weight.shape)), generator=chance)
            else:
                weight.fill_(name.endswith(".weight"))
