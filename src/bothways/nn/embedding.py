"""Embedding: from ids or vectors to the input of the first block.

T tokens of all sequences end to end; C input channels; E embedding width; D model width.
Attribute names are the names in `weights.layout`. Devlin et al. 2019, figure 2.
"""

from typing import assert_never

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from bothways.model.config import MASKED_IN_TRAINING, EncoderConfig
from bothways.nn.dropout import Dropout
from bothways.nn.layers import Linear, make_norm
from bothways.nn.lengths import Lengths
from bothways.nn.positions import add_positions, make_table


class Embedding(nn.Module):
    """Input + segment + position, normalized, projected; `reference.embed` on a packed batch."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        E = config.embedding_width
        match config.input:
            case "tokens":
                self.token = nn.Embedding(config.vocab_size, E)
            case "vectors":
                self.input = Linear(config.num_channels, E)
            case unknown:
                assert_never(unknown)
        if config.num_segments:
            self.segment = nn.Embedding(config.num_segments, E)
        self.position = make_table(config, "embedding.position")
        self.norm = make_norm(config, E) if config.embedding_norm else nn.Identity()
        self.dropout = Dropout(config.dropout)
        self.projection = (
            nn.Identity() if config.embedding_size is None else Linear(E, config.d_model)
        )

    def forward(
        self,
        values: Num[Tensor, "T *C"],
        lengths: Lengths,
        segments_T: Int[Tensor, "T"] | None = None,
    ) -> Float[Tensor, "T D"]:
        """Embed token ids (T,) or vectors (T, C)."""
        config = self.config
        match config.input:
            case "tokens":
                x_TE = self.token(values)
                if config.embedding_scale != 1:
                    x_TE = x_TE * config.embedding_scale
                if config.rescaled_mask_token is not None:
                    x_TE = rescale_masked(x_TE, values, lengths, config.rescaled_mask_token)
            case "vectors":
                x_TE = self.input(values)
            case unknown:
                assert_never(unknown)
        if config.num_segments:
            if segments_T is None:
                x_TE = x_TE + self.segment.weight[0]
            else:
                x_TE = x_TE + self.segment(segments_T)
        x_TE = add_positions(x_TE, values, lengths, config, self.position)
        x_TD: Tensor = self.projection(self.dropout(self.norm(x_TE)))
        return x_TD


def rescale_masked(
    x_TE: Float[Tensor, "T E"], ids_T: Int[Tensor, "T"], lengths: Lengths, mask_token: int
) -> Float[Tensor, "T E"]:
    """Zero the mask tokens and scale the others of each sequence: `reference.rescale_masked`."""
    kept_T = (ids_T != mask_token).double()
    share_B = torch.segment_reduce(kept_T, "mean", lengths=lengths.lengths_B)
    share_B = torch.maximum(share_B, 1 / lengths.lengths_B)
    scale_T = kept_T * lengths.per_token((1 - MASKED_IN_TRAINING) / share_B)
    return x_TE * scale_T[:, None].to(x_TE.dtype)
