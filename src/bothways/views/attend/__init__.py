"""The view of attention: what each token attends to, and what each token did to a result."""

from bothways.views.attend.attend import AttendOptions, attend
from bothways.views.attend.results import (
    AttendedSequence,
    AttentionView,
    Occlusion,
    SequencePrediction,
    SimilaritySplit,
    TokenPrediction,
)

__all__ = [
    "AttendOptions",
    "AttendedSequence",
    "AttentionView",
    "Occlusion",
    "SequencePrediction",
    "SimilaritySplit",
    "TokenPrediction",
    "attend",
]
