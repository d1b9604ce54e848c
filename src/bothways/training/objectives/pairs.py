"""Scored and labeled pairs: the cosine of two sequences against how similar they are.

B pairs, 2 B sequences; W numbers of leading dimensions.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bothways.errors import ConfigError
from bothways.model.config import EncoderShape
from bothways.model.pooling import Module, Pooling
from bothways.model.weights import Weights
from bothways.training.data.dataset import Example
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.arrays import pack, stack_targets, to_array
from bothways.training.objectives.objective import Evaluation, Monitor, Objective, PreparedBatch
from bothways.training.objectives.pooled import pooled_vectors, pooled_width
from bothways.training.objectives.similarity_metrics import (
    average_precision,
    best_threshold,
    spearman,
)

__all__ = ["LabeledPairs", "PairObjective", "ScoredPairs"]


@dataclasses.dataclass(eq=False, kw_only=True)
class PairObjective(Objective):
    """What scored and labeled pairs share: both compare the cosine of a pair with a target.

    pooling, modules, module_weights: of the model; its dense layers are not trained.
    dimensions: also train the first dimensions as vectors of their own, and average the losses
        (Kusupati et al. 2022, "Matryoshka representation learning", eq. 1).

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    config: EncoderShape
    pooling: Pooling
    modules: tuple[Module, ...] = ()
    module_weights: Weights = dataclasses.field(default_factory=dict)
    dimensions: tuple[int, ...] = ()

    name = "contrast"
    head = None

    def __post_init__(self) -> None:
        width = pooled_width(self.config, self.pooling, self.modules)
        for dimensions in self.dimensions:
            if not 1 <= dimensions <= width:
                raise ConfigError(f"dimensions={dimensions}: expected 1 to {width}")
        self._widths = sorted({*self.dimensions, width}, reverse=True)

    @property
    def description(self) -> str:
        """The loss in words, in one line."""
        raise NotImplementedError

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Targets: `order` (2 B,), the index of each sequence in the batch, which is sorted by
        length; `similarities` (B,), as `to_targets` returns them.
        """
        for example in examples:
            if len(example.sequences) != 2:
                raise ValueError(f"{example.place}: expected a pair")
        sequences = [sequence for example in examples for sequence in example.sequences]
        by_length = np.argsort([-len(s.values) for s in sequences], kind="stable")
        return PreparedBatch(
            packed=pack([sequences[index] for index in by_length.tolist()]),
            targets={
                "order": np.argsort(by_length),
                "similarities": self.to_targets(stack_targets(examples)[:, 0]),
            },
            weight=float(len(examples)),
            places=[example.place for example in examples],
        )

    def to_targets(self, label_B: np.ndarray) -> np.ndarray:
        """Convert the labels of the data, float32 (B,), to the targets of the loss, (B,)."""
        return label_B

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """The loss of `loss_by_pair`, averaged over dimensions and summed over pairs."""
        return self.loss_by_pair(self._cosines(model, batch), batch.targets["similarities"]).sum()

    def loss_by_pair(self, cosine_BW: Tensor, target_B: Tensor) -> Tensor:
        """The loss of each pair, averaged over dimensions, (B,)."""
        return self.pair_loss(cosine_BW, target_B.to(cosine_BW.dtype)[:, None]).mean(dim=1)

    def pair_loss(self, cosine: Tensor, target: Tensor) -> Tensor:
        """The loss of each cosine; the shapes broadcast."""
        raise NotImplementedError

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`cosines` (B, W), from all dimensions to the fewest; `targets` (B,); `loss` (B,)."""
        cosine_BW, target_B = self._cosines(model, batch), batch.targets["similarities"]
        return {
            "cosines": to_array(cosine_BW),
            "targets": to_array(target_B),
            "loss": to_array(self.loss_by_pair(cosine_BW, target_B)),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """The mean loss and `scores` of all dimensions, and of each of `dimensions`."""
        metrics = {"loss": float(evaluated["loss"].mean(dtype=np.float64))}
        for width, cosine_B in zip(self._widths, evaluated["cosines"].T, strict=True):
            suffix = "" if width == self._widths[0] else f" of {width} dimensions"
            for name, value in self.scores(cosine_B, evaluated["targets"]):
                metrics[name + suffix] = value
        return metrics

    def scores(self, cosine_B: np.ndarray, target_B: np.ndarray) -> Iterator[tuple[str, float]]:
        """The names and values of metrics of these cosines."""
        raise NotImplementedError

    def _cosines(self, model: TrainedModel, batch: Batch) -> Tensor:
        sorted_PD = pooled_vectors(
            model(batch), batch.lengths, self.pooling, self.modules, self.module_weights
        )
        vector_PD = sorted_PD[batch.targets["order"]]
        first_BD, second_BD = vector_PD[0::2], vector_PD[1::2]
        cosines = [
            functional.cosine_similarity(first_BD[:, :width], second_BD[:, :width])
            for width in self._widths
        ]
        return torch.stack(cosines, 1)


@dataclasses.dataclass(eq=False, kw_only=True)
class ScoredPairs(PairObjective):
    """Cosine regression: the squared error between a pair's cosine and its score.

    Reimers and Gurevych 2019, "Sentence-BERT", section 3, regression objective.

    score_range: the scores that become the cosines 0 and 1; None if scores are cosines already.
    """

    score_range: tuple[float, float] | None = None

    monitor = Monitor("spearman", "higher")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.score_range is not None and not self.score_range[0] < self.score_range[1]:
            raise ConfigError(f"score_range={self.score_range}: expected the lower score first")

    @property
    def description(self) -> str:
        """The loss, and what becomes of the scores."""
        if self.score_range is None:
            return "scored pairs: the loss is (cosine - score)^2"
        low, high = self.score_range
        return (
            f"scored pairs: the loss is (cosine - score)^2, with scores {low:g} to {high:g} "
            "scaled to 0 to 1"
        )

    def to_targets(self, label_B: np.ndarray) -> np.ndarray:
        """Map `score_range` to 0..1."""
        low, high = self.score_range or (0.0, 1.0)
        return ((label_B - low) / (high - low)).astype(np.float32)

    def pair_loss(self, cosine: Tensor, target: Tensor) -> Tensor:
        """(cosine - target)^2."""
        return (cosine - target).square()

    def scores(self, cosine_B: np.ndarray, target_B: np.ndarray) -> Iterator[tuple[str, float]]:
        """Spearman's rank correlation, as for semantic textual similarity."""
        yield "spearman", spearman(cosine_B, target_B)


@dataclasses.dataclass(eq=False, kw_only=True)
class LabeledPairs(PairObjective):
    """Binary contrastive loss: similar pairs attract, dissimilar ones repel up to a margin.

    Hadsell, Chopra and LeCun 2006, "Dimensionality reduction by learning an invariant mapping",
    eq. 4, with the cosine distance 1 - cosine as D.

    margin: the distance beyond which a dissimilar pair has no loss.
    """

    margin: float = 0.5

    monitor = Monitor("average_precision", "higher")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.margin <= 2:
            raise ConfigError(f"margin={self.margin}: expected more than 0 and at most 2")

    @property
    def description(self) -> str:
        """The loss and its margin."""
        return f"labeled pairs: the loss is contrastive, with margin {self.margin:g}"

    def pair_loss(self, cosine: Tensor, target: Tensor) -> Tensor:
        """y D^2 / 2 + (1 - y) max(0, margin - D)^2 / 2, with y = 1 for similar pairs."""
        distance = 1 - cosine
        attraction = distance.square()
        repulsion = functional.relu(self.margin - distance).square()
        return (target * attraction + (1 - target) * repulsion) / 2

    def scores(self, cosine_B: np.ndarray, target_B: np.ndarray) -> Iterator[tuple[str, float]]:
        """Average precision, and the accuracy at the threshold that separates best."""
        is_similar_B = target_B > 0.5
        threshold, accuracy = best_threshold(cosine_B, is_similar_B)
        yield "average_precision", average_precision(cosine_B, is_similar_B)
        yield "accuracy", accuracy
        yield "threshold", threshold
