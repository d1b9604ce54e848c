"""Sequences on their way through an encoder to a head.

Heads that pool take the vectors that the backend has pooled; the others take hidden states,
position by position. Windows of a long sequence are merged before either, so that a head sees a
long sequence as it sees a short one.

n sequences; L positions of one; N vectors; D model width; O outputs.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from bothways.inference import runner
from bothways.inference.backends import Backend
from bothways.inference.predict.heads import TIED_TO
from bothways.io.progress import ProgressCallback, show_progress
from bothways.model.heads import Head
from bothways.model.weights import Weights
from bothways.reference.heads import apply_layer, apply_layers, probabilities
from bothways.sequences import FittedSequence

__all__ = ["Run"]


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """Sequences on their way through `backend` to `head`, whose weights are `weights`."""

    backend: Backend
    head: Head
    weights: Weights
    fitted: Sequence[FittedSequence]
    max_tokens: int
    progress: bool | ProgressCallback = False

    @property
    def truncated(self) -> np.ndarray:
        """Whether each sequence was cut, bool (n,)."""
        return np.array([f.truncated for f in self.fitted], dtype=bool)

    @property
    def num_tokens(self) -> np.ndarray:
        """Tokens of each sequence that are encoded, int64 (n,)."""
        return np.array([f.num_tokens for f in self.fitted], dtype=np.int64)

    def of_sequences(self) -> np.ndarray:
        """The head's outputs for each sequence, float32 (n, O)."""
        if self.head.pooling is None:
            raise ValueError(f"a head for {self.head.task} has outputs for each position")
        with show_progress(self.progress, int(self.num_tokens.sum())) as done:
            pooled = runner.pooled(
                self.backend,
                self.fitted,
                [self.head.pooling],
                skip=0,
                max_tokens=self.max_tokens,
                done=done,
            )
        # In float64: a product may round a row otherwise among other rows, and float32 shows it.
        wide = {name: weight.astype(np.float64) for name, weight in self.weights.items()}
        outputs = apply_layers(pooled.astype(np.float64), wide, self.head)
        return np.asarray(outputs, dtype=np.float32)

    def of_positions(self) -> Iterator[tuple[int, np.ndarray]]:
        """Index and last hidden states, float32 (L, D), of each sequence, in no certain order."""
        last = [self.backend.config.num_layers]
        with show_progress(self.progress, int(self.num_tokens.sum())) as done:
            for i, states in runner.hidden_states(
                self.backend, self.fitted, last, max_tokens=self.max_tokens
            ):
                yield i, states[0]
                done(self.fitted[i].num_tokens)

    def layers(self, x_ND: np.ndarray) -> np.ndarray:
        """The head's outputs for each vector, float32 (N, O)."""
        return np.asarray(apply_layers(x_ND, self.weights, self.head), dtype=np.float32)

    def outputs_by_column(
        self, x_ND: np.ndarray, columns: int
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """The head's outputs for all vectors, so many at a time: which, float32 (N, columns)."""
        *inner, last = self.head.layers
        for layer in inner:
            x_ND = apply_layer(x_ND, self.weights, layer)
        if last.norm is not None:  # which needs all outputs of a vector
            columns = last.outputs
        of_last = [f"{last.name}.weight", f"{last.name}.bias", f"{last.norm}.weight",
                   f"{last.norm}.bias", TIED_TO]  # fmt: skip
        matrices = {name: self.weights[name] for name in of_last if name in self.weights}
        for start in range(0, last.outputs, columns):
            part = slice(start, start + columns)
            own = {name: weight[part] for name, weight in matrices.items()}
            yield part, np.asarray(apply_layer(x_ND, own, last), dtype=np.float32)

    def probabilities(self, logit_NO: np.ndarray) -> np.ndarray:
        """What outputs mean, float32 (N, O)."""
        return np.asarray(probabilities(logit_NO, self.head.task), dtype=np.float32)
