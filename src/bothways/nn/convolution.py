"""A convolution over the positions, beside the first layer: `reference.convolve` on a packed batch.

T tokens of all sequences end to end; D model width; S = kernel size · D; G groups of C = D / G
channels. Attribute names are the names in `weights.layout`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from bothways.model.config import EncoderConfig
from bothways.nn.dropout import Dropout
from bothways.nn.layers import Linear, activate
from bothways.nn.lengths import Lengths
from bothways.nn.neighbors import neighbors

__all__ = ["Convolution"]


class Convolution(Linear):
    """A linear map of each position's neighborhood, with an activation (DeBERTa v2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config.convolution_inputs, config.d_model)
        reach = config.convolution_kernel_size // 2
        self.offsets = list(range(-reach, reach + 1))
        self.groups = config.convolution_groups
        self.activation = config.convolution_activation
        self.dropout = Dropout(config.dropout)

    def convolve(self, x_TD: Float[Tensor, "T D"], lengths: Lengths) -> Float[Tensor, "T D"]:
        """What the convolution adds to the output of the first layer, given its input."""
        if lengths.is_key_T is not None:
            x_TD = torch.where(lengths.is_key_T[:, None], x_TD, 0.0)
        kernel_TS = neighbors(x_TD, lengths, self.offsets)
        mixed_TD = self(kernel_TS) if self.groups == 1 else self._by_group(kernel_TS)
        return activate(self.dropout(mixed_TD), self.activation)

    def pack(self, weight_OI: Tensor) -> None:
        """Pack the matrix, if all channels share it."""
        if self.groups == 1:
            super().pack(weight_OI)

    def _by_group(self, kernel_TS: Float[Tensor, "T S"]) -> Float[Tensor, "T D"]:
        """The map of each group of channels, side by side."""
        T, G = len(kernel_TS), self.groups
        parts = kernel_TS.view(T, len(self.offsets), G, -1).permute(2, 0, 1, 3).reshape(G, T, -1)
        weight_GCS = self.weight.view(G, len(self.weight) // G, -1)
        mixed_GTC = parts @ weight_GCS.transpose(1, 2)
        mixed_TD: Tensor = mixed_GTC.transpose(0, 1).reshape(T, -1) + self.bias
        return mixed_TD
