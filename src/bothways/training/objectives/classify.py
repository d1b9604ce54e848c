"""Classification: one label per sequence, or any number of labels.

B sequences; K labels.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bothways.model.heads import Head
from bothways.model.weights import Weights
from bothways.training.data.dataset import Example
from bothways.training.data.windows import merge_windows
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.arrays import pack_windows, stack_targets, to_array
from bothways.training.objectives.cross_entropy import (
    check_smoothing,
    check_weights,
    cross_entropy,
    weighted_mean,
)
from bothways.training.objectives.linear_term import (
    FittedTerm,
    head_outputs,
    with_term,
    with_term_weights,
)
from bothways.training.objectives.metrics import (
    accuracy,
    class_counts,
    confusion_matrix,
    label_counts,
)
from bothways.training.objectives.objective import Evaluation, Monitor, Objective, PreparedBatch

__all__ = ["Classify", "ClassifyMany", "balanced_positive_weights", "balanced_weights"]


@dataclasses.dataclass(eq=False, kw_only=True)
class Classify(Objective):
    """Classification with one label per sequence.

    class_weights: the weight of each class in the loss, float (K,); None for 1 each.
    label_smoothing: the fraction of the target spread evenly over all labels.
    linear_term: the linear term of the head; None for none.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    head: Head
    class_weights: np.ndarray | None = None
    label_smoothing: float = 0.0
    linear_term: FittedTerm | None = None

    name = "classify"
    monitor = Monitor("accuracy", "higher")

    def __post_init__(self) -> None:
        check_smoothing(self.label_smoothing)
        if self.class_weights is not None:
            check_weights("class_weights", self.class_weights, self.head)

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Targets: `labels` (B,) and `weights` (B,)."""
        label_B = stack_targets(examples)
        weight_B = np.ones(len(label_B), np.float32)
        if self.class_weights is not None:
            weight_B = self.class_weights.astype(np.float32)[label_B]
        return PreparedBatch(
            packed=pack_windows(examples),
            targets=with_term({"labels": label_B, "weights": weight_B}, self.linear_term, examples),
            weight=float(weight_B.sum(dtype=np.float64)),
            places=[example.place for example in examples],
            merge=merge_windows(examples),
        )

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """Cross-entropy, weighted and summed over sequences."""
        return self._loss_by_sequence(head_outputs(model, batch, self.linear_term), batch).sum()

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`probabilities` (B, K), `targets` (B,), and `loss` and `weights` (B,)."""
        logit_BK = head_outputs(model, batch, self.linear_term)
        return {
            "probabilities": to_array(torch.softmax(logit_BK, 1)),
            "targets": to_array(batch.targets["labels"]),
            "loss": to_array(self._loss_by_sequence(logit_BK, batch)),
            "weights": to_array(batch.targets["weights"]),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Loss, accuracy, and F1 averaged over the labels that occur."""
        predicted, target = evaluated["probabilities"].argmax(1), evaluated["targets"]
        confusion = confusion_matrix(predicted, target, self.head.num_outputs)
        return {
            "loss": weighted_mean(evaluated["loss"], evaluated["weights"]),
            "accuracy": accuracy(predicted, target),
            "macro_f1": class_counts(confusion).macro_f1,
        }

    def to_folder(self, weights: Weights) -> dict[str, np.ndarray]:
        """Add the weights of the linear term."""
        return with_term_weights(weights, self.linear_term)

    def _loss_by_sequence(self, logit_BK: Tensor, batch: Batch) -> Tensor:
        loss_B = cross_entropy(logit_BK, batch.targets["labels"], self.label_smoothing)
        return loss_B * batch.targets["weights"]


@dataclasses.dataclass(eq=False, kw_only=True)
class ClassifyMany(Objective):
    """Classification with any number of labels per sequence.

    positive_weights: the weight of a present label relative to an absent one, float (K,); None for
        1 each.
    linear_term: the linear term of the head; None for none.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    head: Head
    positive_weights: np.ndarray | None = None
    linear_term: FittedTerm | None = None

    name = "classify"
    monitor = Monitor("micro_f1", "higher")

    def __post_init__(self) -> None:
        if self.positive_weights is not None:
            check_weights("positive_weights", self.positive_weights, self.head)

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Targets: `labels` (B, K), 0 and 1, and `weights` (B, K)."""
        label_BK = stack_targets(examples).astype(np.float32, copy=False)
        weight_BK = np.ones_like(label_BK)
        if self.positive_weights is not None:
            weight_BK += label_BK * (self.positive_weights.astype(np.float32) - 1)
        return PreparedBatch(
            packed=pack_windows(examples),
            targets=with_term(
                {"labels": label_BK, "weights": weight_BK}, self.linear_term, examples
            ),
            weight=float(weight_BK.sum(dtype=np.float64)),
            places=[example.place for example in examples],
            merge=merge_windows(examples),
        )

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """Binary cross-entropy of each label, weighted and summed over labels and sequences."""
        return _binary_cross_entropy(head_outputs(model, batch, self.linear_term), batch).sum()

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`probabilities`, `targets`, `loss` and `weights`, each (B, K)."""
        logit_BK = head_outputs(model, batch, self.linear_term)
        return {
            "probabilities": to_array(torch.sigmoid(logit_BK)),
            "targets": to_array(batch.targets["labels"]),
            "loss": to_array(_binary_cross_entropy(logit_BK, batch)),
            "weights": to_array(batch.targets["weights"]),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Loss, the fraction of sequences with all labels correct, micro F1 and macro F1."""
        predicted, target = evaluated["probabilities"] > 0.5, evaluated["targets"] > 0.5
        counts = label_counts(predicted, target)
        return {
            "loss": weighted_mean(evaluated["loss"], evaluated["weights"]),
            "accuracy": float(np.mean((predicted == target).all(1))),
            "micro_f1": counts.micro_f1,
            "macro_f1": counts.macro_f1,
        }

    def to_folder(self, weights: Weights) -> dict[str, np.ndarray]:
        """Add the weights of the linear term."""
        return with_term_weights(weights, self.linear_term)


def balanced_weights(counts: np.ndarray) -> np.ndarray:
    """Weights (K,) that give all occurring classes the same total weight: n / (classes x count).

    counts: occurrences of each class in the training data, (K,). King and Zeng 2001, "Logistic
    regression in rare events data", section 4.2, as in scikit-learn's `balanced`.
    """
    occurring = counts > 0
    return np.where(occurring, counts.sum() / (occurring.sum() * np.maximum(counts, 1)), 0.0)


def balanced_positive_weights(counts: np.ndarray, num_sequences: int) -> np.ndarray:
    """Weights (K,) that give the presence and absence of a label the same total weight.

    counts: number of sequences with each label, (K,).
    """
    return np.where(counts > 0, (num_sequences - counts) / np.maximum(counts, 1), 1.0)


def _binary_cross_entropy(logit_BK: Tensor, batch: Batch) -> Tensor:
    return functional.binary_cross_entropy_with_logits(
        logit_BK, batch.targets["labels"], batch.targets["weights"], reduction="none"
    )
