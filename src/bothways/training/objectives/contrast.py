"""Contrast: what belongs together gets like vectors, and what does not gets others.

Each anchor is to find its positive among the positives and hard negatives of all examples of a
step: Henderson et al. 2017, "Efficient natural language response suggestion for Smart Reply",
section 4.4.

B examples, each an anchor, its positive, and any hard negatives; P pieces of all examples; C
candidates, the pieces that are no anchors; R of the queries; D dimensions.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import assert_never, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bothways.checkpoints import Dense, Normalize, Pooling
from bothways.errors import ConfigError
from bothways.model.config import EncoderShape
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
"""Examples whose pieces are compared for a validation's loss; retrieval is among all."""


@dataclasses.dataclass(eq=False, kw_only=True)
class Contrast(JointObjective):
    """Find each anchor's positive among all candidates of a step, by the likeness of vectors.

    pooling, modules: the folder's way to one vector; its dense layers stay as they are.
    similarity: `cosine`, or `dot` for vectors whose length counts.
    temperature: what similarities are divided by; 0.05 as in Gao et al. 2021, "SimCSE", section 3.
    symmetric: whether each positive is to find its anchor too, the two losses averaged (Radford et
        al. 2021, "Learning transferable visual models", figure 3).
    dimensions: also train these leading dimensions alone to serve as vectors, the losses averaged
        (Kusupati et al. 2022, "Matryoshka representation learning", eq. 1).

    No sequence is a negative of an equal one, nor of an anchor that has it as another positive.

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    config: EncoderShape
    pooling: Pooling
    modules: tuple[Dense | Normalize, ...] = ()
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
            raise ConfigError(f"temperature={self.temperature}: expected above 0")
        width = pooled_width(self.config, self.pooling, self.modules)
        for dimensions in self.dimensions:
            if not 1 <= dimensions <= width:
                raise ConfigError(f"dimensions={dimensions}: expected 1 to {width}")
        self._widths = sorted({*self.dimensions, width})

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Targets: `order` (P,), the place of each piece in the batch, which is sorted by length;
        `identity` (P, 2), as `identity` has it; and `pieces` (B,), how many each example has.
        """
        for example in examples:
            if len(example.pieces) < 2:
                raise ValueError(f"{example.place}: an anchor without a positive")
        pieces = [piece for example in examples for piece in example.pieces]
        by_length_P = np.argsort([-len(piece.values) for piece in pieces], kind="stable")
        return PreparedBatch(
            packed=pack([pieces[index] for index in by_length_P.tolist()]),
            targets={
                "order": np.argsort(by_length_P),
                "identity": identify(pieces),
                "pieces": np.array([len(example.pieces) for example in examples]),
            },
            weight=float(len(examples)),
            places=[example.place for example in examples],
        )

    def vectors(self, model: TrainedModel, batch: Batch) -> Tensor:
        """The vector of each piece, and in the last two columns its identity, (P, D + 2)."""
        sorted_PD = pooled_vectors(model(batch), batch.lengths, self.pooling, self.modules)
        vector_PD = sorted_PD[batch.targets["order"]]
        return torch.cat((vector_PD, batch.targets["identity"].to(vector_PD.dtype)), 1)

    def joint_loss(self, vectors: Tensor, pieces: Sequence[int]) -> Tensor:
        """The sum over anchors of the loss of finding their positives."""
        vector_PD, key_P = vectors[:, :-NUM_COLUMNS], combine_columns(vectors[:, -NUM_COLUMNS:])
        count_B = torch.as_tensor(pieces, device=vectors.device)
        anchor_B = torch.cumsum(count_B, 0) - count_B
        losses = [
            self._loss(self._scaled(vector_PD[:, :width]), key_P, anchor_B)
            for width in self._widths
        ]
        return torch.stack(losses).mean()

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """`joint_loss` of this batch alone."""
        return self.joint_loss(self.vectors(model, batch), batch.targets["pieces"].tolist())

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`vectors` as `vectors` gives them, (P, D + 2), and `pieces` (B,)."""
        return {
            "vectors": to_array(self.vectors(model, batch)),
            "pieces": to_array(batch.targets["pieces"]),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """The loss in groups of 64 examples; recall at 1 and 10 and mean reciprocal rank, when each
        anchor looks for its positive among all that was evaluated.

        With `dimensions`, for each of them also: `recall@10 of 64 dimensions`.
        """
        vectors_P, count_B = torch.from_numpy(evaluated["vectors"]), evaluated["pieces"]
        found = {"loss": self._loss_in_groups(vectors_P, count_B)}
        for width in reversed(self._widths):
            rank_B = self.ranks_of_positives(evaluated, width)
            of = "" if width == self._widths[-1] else f" of {width} dimensions"
            found |= {f"recall@{k}{of}": recall_at(k, rank_B) for k in (1, 10)}
            found[f"mrr{of}"] = mean_reciprocal_rank(rank_B)
        return found

    def ranks_of_positives(self, evaluated: Evaluation, width: int | None = None) -> np.ndarray:
        """The rank of each anchor's positive among all that was evaluated, from 1, (B,).

        width: compares the first so many dimensions; None for all.
        """
        vectors_P, count_B = torch.from_numpy(evaluated["vectors"]), evaluated["pieces"]
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
        """Vectors whose dot products are similarities divided by the temperature."""
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

        forth = info_nce(vector_PD[anchor_B], vector_PD[candidate_C], right_B, same_for_anchors)
        if not self.symmetric:
            return forth

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
        back = info_nce(vector_PD[positive_B], vector_PD[anchor_B], index_B, same_for_positives)
        return (forth + back) / 2

    def _loss_in_groups(self, vectors_P: Tensor, count_B: np.ndarray) -> float:
        anchor_B = np.cumsum(count_B) - count_B
        order_B = np.random.default_rng(0).permutation(len(count_B))  # batches sort by length
        total = 0.0
        for start in range(0, len(order_B), VALIDATED_TOGETHER):
            group = order_B[start : start + VALIDATED_TOGETHER]
            rows = np.concatenate([anchor_B[i] + np.arange(count_B[i]) for i in group])
            total += float(self.joint_loss(vectors_P[rows], count_B[group].tolist()))
        return total / len(order_B)
