"""Vectors of tokens that are a mean of the hidden states of several layers.

The module `WeightedLayerPooling` of sentence-transformers (after Peters et al. 2018, "Deep
contextualized word representations", section 3.2). T tokens; D model width; K pooling modes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.inference.backends import Backend
from bothways.model.config import EncoderShape, PoolingMode
from bothways.model.packing import PackedBatch, check_skip
from bothways.reference.pooling import pool

__all__ = ["MixedLayers"]


class MixedLayers:
    """A backend whose last hidden states are the weighted mean of those of another backend.

    weights: of the embeddings and of each layer, in their order.
    """

    def __init__(self, backend: Backend, weights: Sequence[float]) -> None:
        self._backend = backend
        self.name, self.device, self.precision = backend.name, backend.device, backend.precision
        self._layers = [layer for layer, weight in enumerate(weights) if weight]
        shares = np.array([weights[layer] for layer in self._layers]) / sum(weights)
        self._shares = shares.astype(np.float32)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._backend, name)

    @property
    def config(self) -> EncoderShape:
        """The shape of the encoder."""
        return self._backend.config

    def pool(
        self, batch: PackedBatch, modes: Sequence[PoolingMode], *, skip: int = 0
    ) -> np.ndarray:
        """Pooled vectors of tokens, float32 (B, D * K), as `reference.pool` defines the modes."""
        check_skip(batch, skip)
        (states,) = self.hidden_states(batch, [self.config.num_layers])
        contents = (
            [None] * len(batch.lengths) if batch.content is None else batch.split(batch.content)
        )
        rows = [
            [pool(x_LD, mode, skip=skip, content_L=content_L) for mode in modes]
            for x_LD, content_L in zip(batch.split(states), contents, strict=True)
        ]
        return np.stack([np.concatenate(row) for row in rows])

    def hidden_states(self, batch: PackedBatch, layers: Sequence[int]) -> np.ndarray:
        """Float32 (layers, T, D); those of the last layer are the weighted mean."""
        last = self.config.num_layers
        needed = sorted({*layers, *(self._layers if last in layers else ())})
        states = dict(zip(needed, self._backend.hidden_states(batch, needed), strict=True))
        if last in layers:
            parts = zip(self._shares, self._layers, strict=True)
            mixed = sum(share * states[layer] for share, layer in parts)
            states[last] = np.asarray(mixed, np.float32)
        return np.stack([states[layer] for layer in layers])

    def attention(self, batch: PackedBatch, layers: Sequence[int]) -> np.ndarray:
        """Probabilities (layers, H, L, L) of one sequence; layer 0 is the first block."""
        return self._backend.attention(batch, layers)
