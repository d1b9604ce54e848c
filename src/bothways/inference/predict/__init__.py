"""What heads make of sequences: classes, tags, values, tokens for masks, weights of terms."""

from bothways.inference.predict.heads import Heads
from bothways.inference.predict.methods import Predicting
from bothways.inference.predict.head_run import Run
from bothways.inference.results import Classified, Filled, Reranked, Sparse, Tagged

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
