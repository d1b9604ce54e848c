"""The reference as a backend of `Encoder`: slow, exact, and based on NumPy only."""

from collections.abc import Sequence
from typing import assert_never

import numpy as np
from jaxtyping import Float

from bothways.model.config import EncoderConfig, PoolingMode
from bothways.model.layout import layout
from bothways.model.packing import PackedBatch, check_batch, check_skip
from bothways.model.weights import CheckedWeights, Weights
from bothways.reference.encoder import Encoded, encode
from bothways.reference.pooling import pool


class ReferenceBackend:
    """Encodes one sequence at a time with NumPy, in float32 or another `dtype`."""

    name = "reference"
    device = "cpu"
    precision = "fp32"

    def __init__(
        self, config: EncoderConfig, weights: Weights, *, dtype: type[np.floating] = np.float32
    ) -> None:
        self.config = config
        self._dtype = dtype
        checked = CheckedWeights.of(layout(config), weights, "weights")
        self._weights = {name: np.asarray(a, dtype=dtype) for name, a in checked.items()}

    def pool(
        self, batch: PackedBatch, modes: Sequence[PoolingMode], *, skip: int = 0
    ) -> Float[np.ndarray, "B D"]:
        """One vector per sequence: the pooled vectors of `modes`, concatenated."""
        check_skip(batch, skip)
        encoded = self._encode(batch)
        content = [None] * len(encoded) if batch.content is None else batch.split(batch.content)
        rows = [
            [pool(e.hidden_states[-1], mode, skip=skip, content_L=content_L) for mode in modes]
            for e, content_L in zip(encoded, content, strict=True)
        ]
        return np.stack([np.concatenate(row) for row in rows])

    def hidden_states(
        self, batch: PackedBatch, layers: Sequence[int]
    ) -> Float[np.ndarray, "layers T D"]:
        """Hidden states of `layers` (0 the embeddings), for every token of the batch."""
        encoded = self._encode(batch)
        return np.stack([np.concatenate([e.hidden_states[i] for e in encoded]) for i in layers])

    def attention(
        self, batch: PackedBatch, layers: Sequence[int]
    ) -> Float[np.ndarray, "layers H L L"]:
        """Attention probabilities of `layers` (0 the first block's) for a batch of one sequence."""
        (encoded,) = self._encode(batch)
        return np.stack([encoded.probabilities[layer] for layer in layers])

    def _encode(self, batch: PackedBatch) -> list[Encoded]:
        check_batch(batch, self.config)
        match self.config.input:
            case "tokens":
                values = batch.values
            case "vectors":
                values = batch.values.astype(self._dtype)
            case unknown:
                assert_never(unknown)
        segments = None if batch.segments is None else batch.split(batch.segments)
        return [
            encode(
                sequence,
                self._weights,
                self.config,
                None if segments is None else segments[i],
                None if batch.num_keys is None else int(batch.num_keys[i]),
            )
            for i, sequence in enumerate(batch.split(values))
        ]
