"""What the graph is given: a padded batch, and the marks that say which positions are real."""

import dataclasses
from typing import assert_never

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.model.config import EncoderConfig

__all__ = ["Inputs"]


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The inputs of a model, and what every part needs of them.

    values: ids, int64 (B, L), or vectors, float32 (B, L, C). segments: int64 (B, L), or None.
    length: L, int64 (1,). real: 1 where a position is real and 0 where it is padding, which is at
    the end, float32 (B, L, 1).
    """

    values: Value
    segments: Value | None
    mask: Value
    length: Value
    real: Value

    @classmethod
    def of(cls, graph: Graph, config: EncoderConfig) -> "Inputs":
        """Under the names that transformers gives them: what a tokenizer returns fits."""
        batch = ("batch", "length")
        match config.input:
            case "tokens":
                values = graph.input("input_ids", np.int64, batch)
            case "vectors":
                values = graph.input("values", np.float32, (*batch, config.num_channels))
            case unknown:
                assert_never(unknown)
        mask = graph.input("attention_mask", np.int64, batch)
        segments = None
        if config.num_segments > 1:
            segments = graph.input("token_type_ids", np.int64, batch)
        real = graph.expand(graph.cast(mask, np.float32), 2)
        return cls(values, segments, mask, graph.size(values, 1), real)
