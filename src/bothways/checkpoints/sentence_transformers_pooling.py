"""Poolings of sentence-transformers: of hidden states to a vector, and of logits to terms."""

from pathlib import Path
from typing import cast, get_args

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.sentence_transformers_files import SettingsFiles
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import PoolingMode
from bothways.model.pooling import Pooling
from bothways.model.terms import TermActivation, TermPooling, TermWeighting

__all__ = ["POOLING_FLAGS", "POOLING_NAMES", "read_pooling", "read_splade_pooling"]

POOLING_NAMES: dict[str, PoolingMode] = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
POOLING_FLAGS: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last",
}
"""The older format with one flag per mode; their order is that of the pooled vectors."""


def read_pooling(files: SettingsFiles, file: Path, d_model: int) -> Pooling:
    """The settings of the module `Pooling`, of an encoder with this `d_model`.

    Raises:
        CheckpointError: if the file is malformed, or for another encoder.
        UnsupportedModel: naming a mode that bothways does not have.
    """
    fields = files.read(file)
    names = [n for n in ("word_embedding_dimension", "embedding_dimension") if n in fields]
    for name in names or ["embedding_dimension"]:
        if (width := fields.integer(name)) != d_model:
            raise CheckpointError(
                f"{file}: pools vectors of {width}; the encoder has {d_model} dimensions"
            )
    flagged = [mode for flag, mode in POOLING_FLAGS.items() if fields.flag(flag, False)]
    modes = _pooling_modes(fields) or flagged or ["mean"]
    pooling = Pooling(tuple(modes), fields.flag("include_prompt", True))
    files.finish(fields)
    return pooling


def _pooling_modes(fields: Fields) -> list[PoolingMode]:
    given = fields.raw("pooling_mode", [])
    modes = []
    for name in given if isinstance(given, list) else [given]:
        if not isinstance(name, str) or name not in POOLING_NAMES:
            raise UnsupportedModel(
                f"{fields.file}: pooling_mode={brief(name)}: "
                f"expected one of {', '.join(POOLING_NAMES)}"
            )
        modes.append(POOLING_NAMES[name])
    return modes


def read_splade_pooling(files: SettingsFiles, file: Path) -> TermWeighting:
    """The settings of the module `SpladePooling`.

    Raises:
        CheckpointError: if the file is malformed.
        UnsupportedModel: naming a pooling or an activation that bothways does not have.
    """
    fields = files.read(file)
    pooling = fields.one_of("pooling_strategy", get_args(TermPooling))
    activation = fields.one_of("activation_function", get_args(TermActivation))
    fields.drop(("embedding_dimension", "word_embedding_dimension", "chunk_size"))
    files.finish(fields)
    return TermWeighting(
        pooling=cast("TermPooling", pooling or "max"),
        activation=cast("TermActivation", activation or "relu"),
    )
