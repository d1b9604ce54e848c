"""What training goes on from: the head and the weights that a folder has for it already."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bothways.checkpoints import ModelFolder
from bothways.config import PoolingMode
from bothways.heads import Head, HeadTask, head_layout
from bothways.training.model import TrainedModel
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.objective import Objective

__all__ = ["build_model", "head_on"]


def head_on(
    task: HeadTask,
    folder: ModelFolder,
    labels: Sequence[str] = (),
    *,
    pooling: PoolingMode | None = None,
    dropout: float | None = None,
) -> Head:
    """The folder's own head of the same task and labels, or else the usual one for them.

    pooling: None for the folder's head's, or `mean`. dropout: None for the folder's head's, or the
    encoder's.

    Raises:
        ConfigError: if labels are missing, or the encoder's input does not go with the task.
    """
    for head in folder.head_configs:
        if _mean_the_same(head, task, labels) and pooling in (None, head.pooling):
            return head if dropout is None else dataclasses.replace(head, dropout=dropout)
    return head_for(task, folder.config, labels, pooling=pooling or "mean", dropout=dropout)


def build_model(folder: ModelFolder, objective: Objective, *, seed: int = 0) -> TrainedModel:
    """The folder's encoder with the objective's head, of whose weights the folder's are taken.

    A layer that has its counterpart in the folder begins with its weights; the last only if its
    outputs mean the same. The others are fresh, the same for the same seed.
    """
    head = objective.head
    kept: dict[str, np.ndarray] = {}
    if head is not None:
        kept = objective.from_folder(_kept_weights(head, folder))
    return TrainedModel.build(folder.config, folder.weights, head, kept, seed=seed)


def _kept_weights(head: Head, folder: ModelFolder) -> dict[str, np.ndarray]:
    goes_on = any(
        _mean_the_same(other, head.task, head.labels) and other.layers == head.layers
        for other in folder.head_configs
    )
    last = head.layers[-1].name
    return {
        name: folder.heads[name]
        for name, shape in head_layout(head, folder.config).items()
        if (goes_on or name.rpartition(".")[0] != last)
        and name in folder.heads
        and folder.heads[name].shape == shape
    }


def _mean_the_same(head: Head, task: HeadTask, labels: Sequence[str]) -> bool:
    return head.task == task and head.labels == tuple(labels)
