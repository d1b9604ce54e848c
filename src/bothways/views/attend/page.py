"""The page of a view of attention: its data, and the scripts that show them."""

import math
from importlib.resources import files
from typing import Any

import numpy as np

from bothways.pages import Markup, Page
from bothways.views.attend.encoding import KEPT, encode_maps
from bothways.views.attend.maps import FULL_TOKENS
from bothways.views.attend.pieces import pieces_of
from bothways.views.attend.results import (
    AttendedSequence,
    AttentionView,
    Occlusion,
    SequencePrediction,
    TokenPrediction,
)

__all__ = ["attention_page"]

MAX_CHANNELS = 8
"""Channels of a series that the page draws."""


def attention_page(view: AttentionView) -> Page:
    """The page of a view."""
    folder = files("bothways.views.attend").joinpath("assets")
    shared = files("bothways.views").joinpath("assets")
    body = folder.joinpath("attend.html").read_text(encoding="utf-8")
    return Page(
        title=view.title,
        body=[Markup(body)],
        scripts=(folder.joinpath("attend.js"),),
        styles=(shared.joinpath("view.css"), folder.joinpath("attend.css")),
        data={
            "view": {
                "model": view.model,
                "fullTokens": FULL_TOKENS,
                "kept": KEPT,
                "sequences": [_sequence(sequence) for sequence in view.sequences],
            }
        },
        binary={
            name: content
            for index, sequence in enumerate(view.sequences)
            for name, content in _arrays(sequence, index).items()
        },
        layout="wide",
    )


def _sequence(sequence: AttendedSequence) -> dict[str, Any]:
    _, num_heads, length, _ = sequence.probabilities.shape
    pieces = pieces_of(
        sequence.sequence, sequence.tokens, sequence.offsets, sequence.texts, sequence.added
    )
    return {
        "name": sequence.name,
        "tokens": sequence.tokens,
        "added": sequence.added.astype(int).tolist(),
        "isText": sequence.offsets is not None,
        "pieces": [[piece.text, piece.positions, piece.kind] for piece in pieces],
        "layers": list(sequence.layers),
        "heads": num_heads,
        "length": length,
        "hasRollout": sequence.rollout is not None,
        "truncated": sequence.truncated,
        "occlusions": [_occlusion(occlusion) for occlusion in sequence.occlusions],
        "predictions": [_prediction(prediction) for prediction in sequence.predictions],
        "tokenPredictions": [_token_prediction(item) for item in sequence.token_predictions],
        "cosine": None if sequence.similarity is None else sequence.similarity.cosine,
        "hasParts": sequence.similarity is not None and sequence.similarity.parts is not None,
        "values": None if sequence.values is None else _channels(sequence.values),
    }


def _arrays(sequence: AttendedSequence, index: int) -> dict[str, bytes]:
    """The arrays of a sequence: maps as one byte per probability, the others as float32."""
    length = sequence.probabilities.shape[-1]
    maps = [sequence.probabilities.reshape(-1, length, length), sequence.means]
    maps.append(sequence.means.mean(axis=0, keepdims=True))
    if sequence.rollout is not None:
        maps.append(sequence.rollout)
    arrays = {
        f"maps-{index}": b"".join(encode_maps(part) for part in maps),
        f"norms-{index}": sequence.value_norms.astype("<f4").tobytes(),
    }
    if sequence.similarity is not None and sequence.similarity.parts is not None:
        arrays[f"parts-{index}"] = sequence.similarity.parts.astype("<f4").tobytes()
    return arrays


def _occlusion(occlusion: Occlusion) -> dict[str, Any]:
    return {
        "name": occlusion.name,
        "kind": occlusion.kind,
        "score": occlusion.score,
        "without": [None if math.isnan(score) else score for score in occlusion.without.tolist()],
    }


def _prediction(prediction: SequencePrediction) -> dict[str, Any]:
    return {"name": prediction.name, "value": prediction.value, "kind": prediction.kind}


def _token_prediction(prediction: TokenPrediction) -> dict[str, Any]:
    return {
        "position": prediction.position,
        "names": prediction.names,
        "probabilities": prediction.probabilities,
    }


def _channels(values: np.ndarray) -> list[list[float]]:
    """The values of each channel that is drawn, with six digits."""
    return [
        [float(f"{value:.6g}") for value in channel]
        for channel in values[:, :MAX_CHANNELS].T.tolist()
    ]
