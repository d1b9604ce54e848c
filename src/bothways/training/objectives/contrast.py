"""Contrastive learning: similar vectors for sequences that belong together.

Each anchor must find its positive among the positives and hard negatives of all examples of a
step: Henderson et al. 2017, "Efficient natural language response suggestion for Smart Reply",
section 4.4.

B examples, each an anchor, its positive, and any hard negatives; P sequences of all examples; C
candidates: the sequences that are not anchors; R some of the queries; D dimensions.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import assert_never, get_args

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
from bothways.training.objectives.arrays import pack, to_array
from bothways.training.objectives.identity import NUM_COLUMNS, combine_columns, identify
from bothways.training.objectives.info_nce import info_nce
from bothways.training.objectives.metrics import mean_reciprocal_rank, ranks, recall_at
from bothways.training.objectives.objective import (
    Evaluation,
    JointObjective,
    Monitor,
    PreparedBatch,
)
from bothways.training.objectives.pooled import pooled_vectors, pooled_width
from bothways.training.options.objective import Similarity

__all__ = ["Contrast"]

VALIDATED_TOGETHER = 64
"""Examples compared with each other in a validation's loss; retrieval uses all examples."""


@dataclasses.dataclass(eq=False, kw_only=True)
class Contrast(JointObjective):
    """Find each anchor's positive among all candidates of a step, by vector similarity.

    pooling, modules, module_weights: of the model; its dense layers are not trained.
    similarity: `cosine`, or `dot` for vectors whose length matters.
    temperature: the divisor of similarities; 0.05 as in Gao et al. 2021, "SimCSE", section 3.
    symmetric: whether each positive must also find its anchor; the losses are averaged (Radford et
        al. 2021, "Learning transferable visual models", figure 3).
    dimensions: also train the first dimensions as vectors of their own, and average the losses
        (Kusupati et al. 2022, "Matryoshka representation learning", eq. 1).

    A sequence is not a negative of an equal one, nor of an anchor that has it as another positive.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    config: EncoderShape
    pooling: Pooling
    modules: tuple[Module, ...] = ()
    module_weights: Weights = dataclasses.field(default_factory=dict)
    similarity: Similarity = "cosine"
    temperature: float = 0.05
    symmetric: bool = True
    dimensions: tuple[int, ...] = ()

    name = "contrast"
    head = None
    monitor = Monitor("mrr", "higher")

    def __post_init__(self) -> None:
        if self.similarity not in get_args(Similarity):
            raise ConfigError(f"similarity={self.similarity!r}: expected 'cosine' or 'dot'")
        if not self.temperature > 0:
            raise ConfigError(f"temperature={self.temperature}: expected more than 0")
        width = pooled_width(self.config, self.pooling, self.modules)
        for dimensions in self.dimensions:
            if not 1 <= dimensions <= width:
                raise ConfigError(f"dimensions={dimensions}: expected 1 to {width}")
        self._widths = sorted({*self.dimensions, width})

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Targets: `order` (P,), the index of each sequence in the batch, which is sorted by
        length; `identity` (P, 2), as in `identify`; `sequence_counts` (B,), by example.
        """
        for example in examples:
            if len(example.sequences) < 2:
                raise ValueError(f"{example.place}: the anchor has no positive")
        sequences = [sequence for example in examples for sequence in example.sequences]
        by_length_P = np.argsort([-len(s.values) for s in sequences], kind="stable")
        return PreparedBatch(
            packed=pack([sequences[index] for index in by_length_P.tolist()]),
            targets={
                "order": np.argsort(by_length_P),
                "identity": identify(sequences),
                "sequence_counts": np.array([len(example.sequences) for example in examples]),
            },
            weight=float(len(examples)),
            places=[example.place for example in examples],
        )

    def vectors(self, model: TrainedModel, batch: Batch) -> Tensor:
        """The vector of each sequence, with its identity in the last two columns, (P, D + 2)."""
        sorted_PD = pooled_vectors(
            model(batch), batch.lengths, self.pooling, self.modules, self.module_weights
        )
        vector_PD = sorted_PD[batch.targets["order"]]
        return torch.cat((vector_PD, batch.targets["identity"].to(vector_PD.dtype)), 1)

    def joint_loss(self, vectors: Tensor, sequences_per_example: Sequence[int]) -> Tensor:
        """The loss of finding each anchor's positive, summed over anchors."""
        vector_PD, key_P = vectors[:, :-NUM_COLUMNS], combine_columns(vectors[:, -NUM_COLUMNS:])
        count_B = torch.as_tensor(sequences_per_example, device=vectors.device)
        anchor_B = torch.cumsum(count_B, 0) - count_B
        losses = [
            self._loss(self._scaled(vector_PD[:, :width]), key_P, anchor_B)
            for width in self._widths
        ]
        return torch.stack(losses).mean()

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """`joint_loss` of this batch alone."""
        return self.joint_loss(
            self.vectors(model, batch), batch.targets["sequence_counts"].tolist()
        )

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`vectors` as returned by `vectors`, (P, D + 2), and `sequence_counts` (B,)."""
        return {
            "vectors": to_array(self.vectors(model, batch)),
            "sequence_counts": to_array(batch.targets["sequence_counts"]),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """The loss in groups of 64 examples; recall at 1 and 10 and mean reciprocal rank, where
        each anchor retrieves its positive from all evaluated sequences.

        With `dimensions`, also these metrics for each, such as `recall@10 of 64 dimensions`.
        """
        vectors_P, count_B = torch.from_numpy(evaluated["vectors"]), evaluated["sequence_counts"]
        metrics = {"loss": self._loss_in_groups(vectors_P, count_B)}
        for width in reversed(self._widths):
            rank_B = self.ranks_of_positives(evaluated, width)
            suffix = "" if width == self._widths[-1] else f" of {width} dimensions"
            metrics |= {f"recall@{k}{suffix}": recall_at(k, rank_B) for k in (1, 10)}
            metrics[f"mrr{suffix}"] = mean_reciprocal_rank(rank_B)
        return metrics

    def ranks_of_positives(self, evaluated: Evaluation, width: int | None = None) -> np.ndarray:
        """The rank of each anchor's positive among all evaluated sequences, from 1, (B,).

        width: number of leading dimensions to compare; None for all.
        """
        vectors_P, count_B = torch.from_numpy(evaluated["vectors"]), evaluated["sequence_counts"]
        anchor_B = np.cumsum(count_B) - count_B
        key_P = to_array(combine_columns(vectors_P[:, -NUM_COLUMNS:]))
        is_candidate_P = np.ones(len(key_P), dtype=bool)
        is_candidate_P[anchor_B] = False
        key_C, document_C = np.unique(key_P[is_candidate_P], return_index=True)
        right_B = np.searchsorted(key_C, key_P[anchor_B + 1])
        scaled_PD = to_array(self._scaled(vectors_P[:, : width or self._widths[-1]]))
        documents = scaled_PD[is_candidate_P][document_C]
        return ranks(scaled_PD[anchor_B], documents, right_B)

    def _scaled(self, vector_PD: Tensor) -> Tensor:
        """Scale vectors so that their dot products are similarities divided by the temperature."""
        match self.similarity:
            case "cosine":
                vector_PD = functional.normalize(vector_PD, dim=1)
            case "dot":
                pass
            case unknown:
                assert_never(unknown)
        return vector_PD / math.sqrt(self.temperature)

    def _loss(self, vector_PD: Tensor, key_P: Tensor, anchor_B: Tensor) -> Tensor:
        positive_B = anchor_B + 1
        key_of_anchor_B, key_of_positive_B = key_P[anchor_B], key_P[positive_B]
        is_candidate_P = torch.ones_like(key_P, dtype=torch.bool)
        is_candidate_P[anchor_B] = False
        candidate_C = is_candidate_P.nonzero()[:, 0]
        right_B = torch.searchsorted(candidate_C, positive_B)

        def same_for_anchors(index_R: Tensor) -> Tensor:
            anchor_R1, positive_R1 = (
                key_of_anchor_B[index_R, None],
                key_of_positive_B[index_R, None],
            )
            key_C = key_P[candidate_C]
            same_RC = (key_C == anchor_R1) | (key_C == positive_R1)
            same_RC[:, right_B] |= key_of_anchor_B == anchor_R1  # another positive of this anchor
            return same_RC

        anchor_loss = info_nce(
            vector_PD[anchor_B], vector_PD[candidate_C], right_B, same_for_anchors
        )
        if not self.symmetric:
            return anchor_loss

        def same_for_positives(index_R: Tensor) -> Tensor:
            anchor_R1, positive_R1 = (
                key_of_anchor_B[index_R, None],
                key_of_positive_B[index_R, None],
            )
            return (
                (key_of_anchor_B == anchor_R1)
                | (key_of_anchor_B == positive_R1)
                | (key_of_positive_B == positive_R1)
            )

        index_B = torch.arange(len(anchor_B), device=anchor_B.device)
        positive_loss = info_nce(
            vector_PD[positive_B], vector_PD[anchor_B], index_B, same_for_positives
        )
        return (anchor_loss + positive_loss) / 2

    def _loss_in_groups(self, vectors_P: Tensor, count_B: np.ndarray) -> float:
        anchor_B = np.cumsum(count_B) - count_B
        order_B = np.random.default_rng(0).permutation(len(count_B))  # batches sort by length
        total = 0.0
        for start in range(0, len(order_B), VALIDATED_TOGETHER):
            group = order_B[start : start + VALIDATED_TOGETHER]
            rows = np.concatenate([anchor_B[i] + np.arange(count_B[i]) for i in group])
            total += float(self.joint_loss(vectors_P[rows], count_B[group].tolist()))
        return total / len(order_B)
