"""Positions, as the engine's binding takes them."""

from collections.abc import Sequence
from typing import Any, NamedTuple, assert_never

import numpy as np

from bothways.model.alibi import alibi_slopes
from bothways.model.config import EncoderConfig
from bothways.model.disentangled import relative_rows
from bothways.model.rotary import Rotation
from bothways.model.weights import Weights

__all__ = ["EnginePositions", "engine_positions"]


class EnginePositions(NamedTuple):
    """fields: of the engine's config. weights: tables that the engine needs beside the layout's."""

    fields: dict[str, Any]
    weights: Weights


def engine_positions(config: EncoderConfig) -> EnginePositions:
    """The fields and tables for `position_embedding` and `attention_positions`.

    The engine has one field, `positions`, for sinusoids and for what attention does, and the flag
    `position_table` for a table that is added to the embeddings. Sinusoids beside an attention that
    uses distances are therefore handed over as such a table.
    """
    attention = _attention(config)
    weights: dict[str, np.ndarray] = {}
    match config.position_embedding:
        case "learned":
            has_table = True
        case "sinusoidal":
            has_table = attention.kind is not None
            if has_table:
                weights["embedding.position.weight"] = _sinusoids(config)
            else:
                attention = attention._replace(kind="sinusoidal")
        case "none":
            has_table = False
        case unknown:
            assert_never(unknown)
    fields = {
        "positions": attention.kind or ("learned" if has_table else "none"),
        "position_table": has_table,
        "rotary_frequencies": [each.frequencies for each in attention.rotations]
        or [()] * config.num_layers,
        "rotary_magnitudes": [each.magnitude for each in attention.rotations],
        "alibi_slopes": attention.alibi_slopes,
        "distance_rows": attention.distance_rows,
    }
    return EnginePositions(fields, weights)


class _Attention(NamedTuple):
    """kind: the engine's name for what attention does with distance; None for nothing."""

    kind: str | None
    rotations: Sequence[Rotation] = ()
    alibi_slopes: Sequence[float] = ()
    distance_rows: Sequence[int] = ()


def _attention(config: EncoderConfig) -> _Attention:
    layers = range(config.num_layers)
    match config.attention_positions:
        case "rotary":
            return _Attention("rotary", [config.rotation(layer) for layer in layers])
        case "relative":
            return _Attention("relative")
        case "alibi":
            return _Attention("alibi", alibi_slopes=alibi_slopes(config.num_heads))
        case "disentangled":
            rows = relative_rows(config, config.max_length)
            return _Attention("disentangled", distance_rows=rows)
        case "none":
            return _Attention(None)
        case unknown:
            assert_never(unknown)


def _sinusoids(config: EncoderConfig) -> np.ndarray:
    """One vector per position, float32 (max_length, E); `reference.sinusoids` has the formula."""
    dimension_E = np.arange(config.embedding_width)
    even_E = dimension_E - dimension_E % 2
    angle_LE = np.arange(config.max_length)[:, None] / 10_000.0 ** (even_E / config.embedding_width)
    table_LE: np.ndarray = np.where(dimension_E % 2 == 0, np.sin(angle_LE), np.cos(angle_LE))
    return table_LE.astype(np.float32)
