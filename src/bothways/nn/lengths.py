"""The lengths of the sequences in a packed batch, and what follows from them, computed once.

T tokens of all sequences end to end, B sequences; P = K / 2 pairs of numbers of a head.
"""

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from bothways.model.rotary import Rotation


class LengthGroup(NamedTuple):
    """Neighboring sequences of equal length, from token `start` on.

    num_keys: the first positions of each, which all attend to; None for all.
    """

    start: int
    num_sequences: int
    length: int
    num_keys: int | None = None

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all its sequences."""
        return self.num_sequences * self.length

    @property
    def tokens(self) -> slice:
        """The tokens of the group within the packed batch."""
        return slice(self.start, self.start + self.num_tokens)


class Lengths:
    """The lengths of the sequences of a packed batch, and the tensors that all layers share.

    Each tensor is computed on the device when a layer first needs it, and kept for the others.

    content: whether `mean_content` pools each token, bool (T,); None if it pools all.
    num_keys: the first positions of each sequence, which all attend to, (B,); None for all.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        device: torch.device | str = "cpu",
        content: np.ndarray | None = None,
        num_keys: np.ndarray | None = None,
    ) -> None:
        self.each = tuple(int(length) for length in lengths)
        self.num_keys: tuple[int | None, ...] = (
            (None,) * len(self.each)
            if num_keys is None
            else tuple(int(count) for count in num_keys)
        )
        self.device = torch.device(device)
        self.num_tokens = sum(self.each)
        self.longest = max(self.each)
        self._content = content
        self._rotary: dict[tuple[Rotation, torch.dtype], tuple[Tensor, Tensor]] = {}

    @cached_property
    def groups(self) -> tuple[LengthGroup, ...]:
        """The groups of equal length and keys: few and large if the batch is sorted by length."""
        groups, start = [], 0
        for (length, keys), members in itertools.groupby(
            zip(self.each, self.num_keys, strict=True)
        ):
            groups.append(LengthGroup(start, len(list(members)), length, keys))
            start = groups[-1].tokens.stop
        return tuple(groups)

    @cached_property
    def lengths_B(self) -> Int[Tensor, "B"]:
        """The length of each sequence."""
        return torch.tensor(self.each, device=self.device)

    @cached_property
    def bounds(self) -> Int[Tensor, "bounds"]:
        """The start of each sequence, then the end of the last: B + 1 cumulative lengths."""
        return functional.pad(torch.cumsum(self.lengths_B, 0, dtype=torch.int32), (1, 0))

    @cached_property
    def first_T(self) -> Int[Tensor, "T"]:
        """Index of the first token of each token's sequence."""
        return self.per_token(self.bounds[:-1].long())

    @cached_property
    def position_T(self) -> Int[Tensor, "T"]:
        """Position of each token in its sequence, from 0."""
        return torch.arange(self.num_tokens, device=self.device) - self.first_T

    @cached_property
    def content_T(self) -> Bool[Tensor, "T"]:
        """Whether `mean_content` pools each token."""
        if self._content is None:
            return torch.ones(self.num_tokens, dtype=torch.bool, device=self.device)
        return torch.as_tensor(self._content, device=self.device)

    @cached_property
    def is_key_T(self) -> Bool[Tensor, "T"] | None:
        """Whether other tokens see each token; None if all are seen."""
        counts = [
            length if keys is None else keys
            for length, keys in zip(self.each, self.num_keys, strict=True)
        ]
        if tuple(counts) == self.each:
            return None
        return self.position_T < self.per_token(torch.tensor(counts, device=self.device))

    def per_token(self, per_sequence: Tensor) -> Tensor:
        """Repeat the row of each sequence (B, ...) for each of its tokens (T, ...)."""
        return torch.repeat_interleave(
            per_sequence, self.lengths_B, dim=0, output_size=self.num_tokens
        )

    def rotary(
        self, rotation: Rotation, dtype: torch.dtype
    ) -> tuple[Float[Tensor, "T 1 P"], Float[Tensor, "T 1 P"]]:
        """Cosine and sine of the angle by which each pair of a head's numbers is rotated, scaled.

        Angles are computed in float64: a float32 angle of 8,000 radians is off by up to 0.0005.
        Su et al. 2021, eq. 34.
        """
        key = (rotation, dtype)
        if key not in self._rotary:
            frequency_P = torch.tensor(
                rotation.frequencies, dtype=torch.float64, device=self.device
            )
            angle_LP = torch.arange(self.longest, device=self.device)[:, None] * frequency_P
            cos_LP, sin_LP = (
                (rotation.magnitude * f(angle_LP)).to(dtype) for f in (torch.cos, torch.sin)
            )
            self._rotary[key] = cos_LP[self.position_T, None], sin_LP[self.position_T, None]
        return self._rotary[key]
