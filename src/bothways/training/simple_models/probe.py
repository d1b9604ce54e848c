"""Vectors of a frozen encoder for a linear probe, beside fine-tuning of all weights."""

from pathlib import Path

import numpy as np

from bothways.model.heads import Head
from bothways.training.data.dataset import Dataset
from bothways.training.data.training_data import SplitExamples
from bothways.training.distributed.processes import Workers
from bothways.training.engine.frozen import precompute
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.model import TrainedModel
from bothways.training.resolved_settings import ResolvedSettings
from bothways.training.setup.base_model import BaseModel
from bothways.training.simple_models.fitting import can_fit, choose_rows

__all__ = ["probe_vectors"]


def probe_vectors(
    start: BaseModel,
    head: Head | None,
    examples: SplitExamples,
    settings: ResolvedSettings,
    workers: Workers,
    folder: Path,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Pooled vectors of training and held-out rows by the encoder that training started from.

    The training rows are those of simple models. folder: for temporary files.
    Returns None for a new encoder, for a frozen one, whose trained head is a probe itself, without
    held-out rows or scikit-learn, and for heads on positions.
    """
    if not can_fit():
        return None
    if start.from_scratch or settings.frozen or examples.validation is None:
        return None
    if head is None or head.pooling is None or head.pools_outputs or not head.labels:
        return None
    model = TrainedModel.build(start.folder.config, start.folder.weights, head)
    train = examples.train.to_dataset()
    rows = choose_rows(len(train), seed=settings.seed)
    chosen = Dataset([train[row] for row in rows.tolist()], train.lengths[rows])

    def vectors(data: Dataset) -> np.ndarray:
        computed = precompute(model, data, settings, workers.device, folder, lambda _: None)
        return np.stack([computed[row].sequences[0].values[0] for row in range(len(computed))])

    with torch_for_training(workers.device, settings.threads):
        return vectors(chosen), vectors(examples.validation.to_dataset())
