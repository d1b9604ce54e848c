"""The inputs of the graph: a padded batch, and a mask of the positions that are not padding."""

import dataclasses
from collections.abc import Sequence
from typing import assert_never

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.model.config import EncoderConfig

__all__ = ["Inputs"]


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The inputs of a model, and values derived from them.

    values: ids, int64 (B, L), or vectors, float32 (B, L, C). segments: int64 (B, L), or None.
    mask: 0 for padding, which is at the end, else 1, int64 (B, L). length: L, int64 (1,).
    real: the mask in float32, (B, L, 1). content: the same without special tokens.
    """

    values: Value
    segments: Value | None
    mask: Value
    length: Value
    real: Value
    content: Value

    @classmethod
    def of(cls, graph: Graph, config: EncoderConfig, added_ids: Sequence[int] = ()) -> "Inputs":
        """Declare the inputs under transformers' names, which its tokenizers return.

        added_ids: of the special tokens.
        """
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
        content = real
        for index in added_ids:
            other = graph.op("Not", graph.op("Equal", values, graph.constant(index, np.int64)))
            is_other = graph.expand(graph.cast(other, np.float32), 2)
            content = graph.op("Mul", content, is_other)
        return cls(values, segments, mask, graph.size(values, 1), real, content)
