"""What heads make of sequences: classes, tags, values, tokens for masks, weights of terms."""

from bothways.predictions.heads import Heads
from bothways.predictions.methods import Predicting
from bothways.predictions.results import Classified, Filled, Reranked, Sparse, Tagged
from bothways.predictions.run import Run

__all__ = [
    "Classified",
    "Filled",
    "Heads",
    "Predicting",
    "Reranked",
    "Run",
    "Sparse",
    "Tagged",
]
