"""`create`: a model folder with fresh weights."""

import os
import tempfile
from pathlib import Path
from typing import get_args

from bothways.checkpoints.export import export
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.errors import InputError
from bothways.model.baselines import AnyConfig
from bothways.model.baselines.any_encoder import initialize
from bothways.model.config import PoolingMode
from bothways.model.pooling import Normalize, Pooling
from bothways.model.spec import ModelSpec
from bothways.sequences import SequenceReader

__all__ = ["create"]


def create(
    out: str | os.PathLike[str],
    config: AnyConfig,
    reader: SequenceReader,
    *,
    pooling: PoolingMode = "mean",
    normalize: bool = False,
    seed: int = 0,
) -> Path:
    """Write a model folder with fresh weights, the same for the same seed; `load` opens it.

    Raises:
        InputError: if the pooling is unknown.
        DataFileError: if `out` exists and is not empty, or cannot be written.
    """
    if pooling not in get_args(PoolingMode):
        raise InputError(f"pooling={pooling!r}: expected one of {', '.join(get_args(PoolingMode))}")
    with tempfile.TemporaryDirectory() as scratch:
        reader.save(Path(scratch))
        spec = ModelSpec(
            config=config,
            pooling=Pooling((pooling,)),
            modules=(Normalize(),) if normalize else (),
            max_length=config.max_length,
        )
        weights = initialize(config, seed=seed)
        model = ModelBundle.of(spec, weights, path=Path(out), reader_path=Path(scratch))
        export(model, Path(out), "bothways")
    return Path(out)
