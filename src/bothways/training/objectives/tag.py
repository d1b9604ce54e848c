"""Tagging: one label per labeled position.

T packed positions; N of them labeled; K labels; B sequences.
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bothways.model.heads import Head
from bothways.training.data.dataset import IGNORED, Example
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.arrays import at_least_float32, pack, to_array
from bothways.training.objectives.cross_entropy import (
    check_smoothing,
    check_weights,
    cross_entropy,
    weighted_mean,
)
from bothways.training.objectives.metrics import (
    accuracy,
    class_counts,
    confusion_matrix,
    span_counts,
)
from bothways.training.objectives.objective import Evaluation, Monitor, Objective, PreparedBatch

__all__ = ["Tag", "mark_spans"]

_SPAN_TAG = re.compile(r"O|[BIELSU]-.+", re.DOTALL)


@dataclasses.dataclass(eq=False, kw_only=True)
class Tag(Objective):
    """Tagging of all positions whose target is not `IGNORED`.

    class_weights: the weight of each label in the loss, float (K,); None for 1 each.
    label_smoothing: the fraction of the target spread evenly over all labels.

    If the labels mark spans (B-PER, I-PER, O), the F1 of whole spans selects the best weights.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    head: Head
    class_weights: np.ndarray | None = None
    label_smoothing: float = 0.0

    name = "tag"

    def __post_init__(self) -> None:
        check_smoothing(self.label_smoothing)
        if self.class_weights is not None:
            check_weights("class_weights", self.class_weights, self.head)
        self.monitor = Monitor("span_f1" if mark_spans(self.head.labels) else "accuracy", "higher")

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Targets: `positions` in the packed batch, their `labels` and `weights`, and `begins`,
        whether a position is the first labeled one of its sequence; each (N,).
        """
        sequences = [example.sequences[0] for example in examples]
        for example, sequence in zip(examples, sequences, strict=True):
            if example.target is None or len(example.target) != len(sequence.values):
                raise ValueError(f"{example.place}: expected one tag for each position")
        label_T = np.concatenate([e.target for e in examples if e.target is not None])
        sequence_T = np.repeat(
            np.arange(len(sequences)), [len(sequence.values) for sequence in sequences]
        )
        position_N = np.flatnonzero(label_T != IGNORED)
        label_N = label_T[position_N]
        weight_N = np.ones(len(label_N), np.float32)
        if self.class_weights is not None:
            weight_N = self.class_weights.astype(np.float32)[label_N]
        return PreparedBatch(
            packed=pack(sequences),
            targets={
                "positions": position_N,
                "labels": label_N,
                "weights": weight_N,
                "begins": np.diff(sequence_T[position_N], prepend=-1) != 0,
            },
            weight=float(weight_N.sum(dtype=np.float64)),
            places=[example.place for example in examples],
        )

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """Cross-entropy, weighted and summed over the labeled positions."""
        return self._loss_by_position(self._logits(model, batch), batch).sum()

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`predictions`, their `confidence`, `targets`, `begins` as in `prepare`, `loss` and
        `weights` of each labeled position, (N,).
        """
        logit_NK = self._logits(model, batch)
        confidence_N, predicted_N = torch.softmax(logit_NK, 1).max(1)
        return {
            "predictions": to_array(predicted_N),
            "confidence": to_array(confidence_N),
            "targets": to_array(batch.targets["labels"]),
            "begins": to_array(batch.targets["begins"]),
            "loss": to_array(self._loss_by_position(logit_NK, batch)),
            "weights": to_array(batch.targets["weights"]),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Loss, accuracy, F1 averaged over labels, and F1 of spans if the labels mark spans.

        Spans: Tjong Kim Sang and De Meulder 2003, section 2.
        """
        predicted, target = evaluated["predictions"], evaluated["targets"]
        labels = self.head.labels
        metrics = {
            "loss": weighted_mean(evaluated["loss"], evaluated["weights"]),
            "accuracy": accuracy(predicted, target),
            "macro_f1": class_counts(confusion_matrix(predicted, target, len(labels))).macro_f1,
        }
        if mark_spans(labels):
            lengths = np.diff(np.flatnonzero(evaluated["begins"]), append=len(target))
            _, counts = span_counts(predicted, target, lengths, labels)
            metrics["span_f1"] = counts.micro_f1
        return metrics

    def _logits(self, model: TrainedModel, batch: Batch) -> Tensor:
        return at_least_float32(model(batch, batch.targets["positions"]))

    def _loss_by_position(self, logit_NK: Tensor, batch: Batch) -> Tensor:
        loss_N = cross_entropy(logit_NK, batch.targets["labels"], self.label_smoothing)
        return loss_N * batch.targets["weights"]


def mark_spans(labels: Sequence[str]) -> bool:
    """Whether labels mark spans, as in IOB, IOB2, BIOES and BILOU."""
    return len(labels) > 1 and all(map(_SPAN_TAG.fullmatch, labels))
