"""Heads for tests, and their outputs computed from hidden states."""

from pathlib import Path
from typing import Any

import numpy as np

from bothways import Encoder
from bothways.checkpoints import read_folder
from bothways.model.config import HeadPooling
from bothways.model.heads import Head, HeadLayer, HeadTask
from bothways.reference import head_outputs

__all__ = ["LABELS", "LONG", "SAME", "TAGS", "TEXTS", "TOKENS", "outputs_by_hand", "pooled_head"]

SAME = 1e-5
"""Tolerance for fp32 sums in a different order."""

LABELS = ("red", "green", "blue")
TEXTS = ["a river bank", "the loan", "walking the shores", "bank"]
LONG = "a river bank walking the loan banks shore river river walked a loan"
"""A text longer than 12 tokens, the limit of the models in these tests."""

TAGS = Head(task="tags", layers=(HeadLayer(name="heads.tagger", outputs=3),), labels=LABELS)
TOKENS = Head(
    task="masked_tokens",
    layers=(
        HeadLayer(name="heads.dense", outputs=8, activation="gelu", norm="heads.norm"),
        HeadLayer(name="heads.tokens", outputs=16, tied=True),
    ),
)


def pooled_head(
    task: HeadTask = "classes", pooling: HeadPooling = "mean", outputs: int = 3
) -> Head:
    """A head with two layers on pooled vectors."""
    layers = (
        HeadLayer(name="heads.pooler", outputs=5, activation="tanh"),
        HeadLayer(name="heads.classifier", outputs=outputs),
    )
    return Head(task=task, layers=layers, pooling=pooling, labels=LABELS[:outputs])


def outputs_by_hand(
    path: Path, encoder: Encoder, sequence: Any, task: HeadTask, **keywords: Any
) -> np.ndarray:
    """The outputs of a head, computed from the hidden states that `contextualize` returns.

    keywords: arguments for `contextualize`.
    """
    model = read_folder(path)
    (head,) = [head for head in model.spec.heads if head.task == task]
    (states,) = encoder.contextualize([sequence], **keywords)
    return np.asarray(head_outputs(states.vectors, model.all_weights, head))
