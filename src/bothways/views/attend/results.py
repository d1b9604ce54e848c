"""What `Encoder.attend` returns: the numbers, and the page that shows them.

L positions; H heads; M positions of the other sequence.
"""

import dataclasses
from typing import Any, Literal

import numpy as np

from bothways.io.short_repr import ShortRepr
from bothways.pages import Page
from bothways.views.page_file import PageView

__all__ = [
    "AttendedSequence",
    "AttentionView",
    "Occlusion",
    "SequencePrediction",
    "SimilaritySplit",
    "TokenPrediction",
]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Occlusion(ShortRepr):
    """A score of the whole sequence, and the same score without each token.

    name: what is scored: a label, or the similarity. kind: `cosine`, `probability` or `value`.
    score: of the whole sequence. without: float64 (L,), of the sequence without the token at each
        position; NaN for special tokens and the prompt, which are never taken out.
    """

    name: str
    kind: Literal["cosine", "probability", "value"]
    score: float
    without: np.ndarray

    @property
    def effects(self) -> np.ndarray:
        """What each token adds to the score, float64 (L,): the score less that without it."""
        return self.score - self.without


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SimilaritySplit(ShortRepr):
    """The cosine of two sequences, split into pairs of their tokens.

    cosine: of the two vectors.
    parts: float64 (L, M), with the sum `cosine`: hᵢ·gⱼ over the number of positions and the lengths
        of both vectors; None unless the pooling is a mean and no layer follows it.
    """

    cosine: float
    parts: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class SequencePrediction:
    """One output of a head for a whole sequence: a label with its probability, or a value."""

    name: str
    value: float
    kind: Literal["probability", "value"]


@dataclasses.dataclass(frozen=True)
class TokenPrediction:
    """What a head predicts at one position: labels or tokens with probabilities, best first."""

    position: int
    names: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AttendedSequence(ShortRepr):
    """One sequence with its attention maps, what its tokens did, and what heads predict.

    name: as the page calls it. sequence: as it was given.
    tokens, offsets: as in `AttentionMaps`. texts: 0 or 1 for each position: the text of a pair that
        its token belongs to; int64 (L,). added: whether each position holds a special token or
        belongs to the prompt, bool (L,).
    layers: the layers of the maps, counted from 0.
    probabilities: float32 (layers, H, L, L): how much each position attends to each other.
    value_norms: float32 (layers, H, L): the length of the vector that each position contributes to
        a head's output (Kobayashi et al. 2020).
    rollout: float32 (layers, L, L): attention followed through all layers up to each one, with the
        residual connections (Abnar and Zuidema 2020); None if not all layers were computed.
    occlusions: scores without each token. predictions, token_predictions: of the model's heads.
    similarity: with the other sequence, if there is one.
    values: of a series, float32 (L, channels), as given; otherwise None.
    truncated: whether the sequence was cut.
    """

    name: str
    sequence: Any
    tokens: list[str]
    offsets: np.ndarray | None
    texts: np.ndarray
    added: np.ndarray
    layers: tuple[int, ...]
    probabilities: np.ndarray
    value_norms: np.ndarray
    rollout: np.ndarray | None
    occlusions: tuple[Occlusion, ...] = ()
    predictions: tuple[SequencePrediction, ...] = ()
    token_predictions: tuple[TokenPrediction, ...] = ()
    similarity: SimilaritySplit | None = None
    values: np.ndarray | None = None
    truncated: bool = False

    @property
    def norms(self) -> np.ndarray:
        """Norm-weighted attention, float32 (layers, H, L, L): α‖f(x)‖, not normalized."""
        norms: np.ndarray = self.probabilities * self.value_norms[:, :, None, :]
        return norms

    @property
    def means(self) -> np.ndarray:
        """Mean over the heads of each layer, float32 (layers, L, L)."""
        means: np.ndarray = self.probabilities.mean(axis=1)
        return means


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AttentionView(PageView, ShortRepr):
    """Attention of one or several sequences: the numbers as arrays, and a page.

    `save(path)` writes the page, one HTML file that needs no network; a notebook shows it.

    sequences: each with its maps; the one that `to` named is the last.
    model: its name, and what computed it, as the page states it.
    """

    sequences: tuple[AttendedSequence, ...]
    model: str
    title: str = "Attention"

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> AttendedSequence:
        return self.sequences[index]

    def page(self) -> Page:
        """The page, before it is written."""
        from bothways.views.attend.page import attention_page

        return attention_page(self)
