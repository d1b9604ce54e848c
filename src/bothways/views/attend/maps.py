"""Attention maps of one sequence: probabilities, norms of values, and rollout.

L positions; H heads.
"""

from typing import NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.inference import runner
from bothways.inference.session import Session
from bothways.model.baselines.any_encoder import require_transformer
from bothways.model.config import EncoderConfig
from bothways.model.weights import Weights
from bothways.reference.value_norms import value_norms
from bothways.sequences import FittedSequence

__all__ = ["FULL_TOKENS", "MAX_TOKENS", "MapSource", "SequenceMaps", "rollout"]

FULL_TOKENS = 128
"""Up to this many tokens, the page has every number of every map."""

MAX_TOKENS = 512
"""Up to this many tokens, the page has maps of all layers."""

MAX_TOKENS_OF_LAYERS = 2048
"""Up to this many tokens, the page has maps of chosen layers."""


class SequenceMaps(NamedTuple):
    """The maps of one sequence, as in `AttendedSequence`."""

    probabilities: np.ndarray
    value_norms: np.ndarray
    rollout: np.ndarray | None


class MapSource:
    """Computes maps of chosen layers, with weights that are read once.

    layers: indices of the layers. chosen: whether the user chose them, so that long sequences are
        allowed.

    Raises:
        UnsupportedModel: if the encoder is not a Transformer.
    """

    def __init__(self, session: Session, layers: list[int], *, chosen: bool) -> None:
        self.session = session
        self.layers = layers
        self._chosen = chosen
        self.config: EncoderConfig = require_transformer(
            session.spec.config, "attention maps are of", "contextualize gives its hidden states"
        )
        self._weights = _attention_weights(session)

    def compute(self, fitted: FittedSequence, index: int) -> SequenceMaps:
        """The maps of a sequence; index: of the sequence, for messages.

        Raises:
            InputError: if it is too long for a page.
        """
        self._check_length(fitted, index)
        packed = runner.pack([fitted])
        num_layers = self.config.num_layers
        follows_all = fitted.num_tokens <= MAX_TOKENS
        needed = list(range(num_layers)) if follows_all else self.layers
        maps = self.session.backend.attention(packed, needed)
        states = self.session.backend.hidden_states(packed, self.layers)
        norms = [
            value_norms(states[place], self._weights, self.config, layer)
            for place, layer in enumerate(self.layers)
        ]
        return SequenceMaps(
            maps[self.layers] if follows_all else maps,
            np.stack(norms).astype(np.float32),
            rollout(maps)[self.layers] if follows_all else None,
        )

    def _check_length(self, fitted: FittedSequence, index: int) -> None:
        length = fitted.num_tokens
        if length > MAX_TOKENS and not self._chosen:
            raise InputError(
                f"{length} tokens; a page shows the attention of all layers up to {MAX_TOKENS}: "
                "choose layers (--layers, layers=) or a maximum length (--max-length, max_length=)",
                sequence=index,
            )
        if length > MAX_TOKENS_OF_LAYERS:
            raise InputError(
                f"{length} tokens; a page shows the attention of chosen layers up to "
                f"{MAX_TOKENS_OF_LAYERS}: choose a maximum length (--max-length, max_length=)",
                sequence=index,
            )


def rollout(probabilities: np.ndarray) -> np.ndarray:
    """Attention followed through layers, float32 (layers, L, L), from maps (layers, H, L, L).

    Ã = (A + I) / 2 with the mean A over heads, and the product of the Ã up to each layer (Abnar and
    Zuidema 2020, section 3): row i says how much of position i comes from each input.
    """
    length = probabilities.shape[-1]
    followed = np.eye(length)
    rolled = np.empty((len(probabilities), length, length), dtype=np.float32)
    for layer, maps in enumerate(probabilities):
        step = (maps.mean(axis=0, dtype=np.float64) + np.eye(length)) / 2
        followed = step @ followed
        rolled[layer] = followed
    return rolled


def _attention_weights(session: Session) -> Weights:
    """The weights that norms of values need."""
    weights = session.read_model().weights
    return {
        name: weights[name]
        for name in weights
        if ".attention.value" in name or ".attention.output" in name or ".attention_norm" in name
    }
