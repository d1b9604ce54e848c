"""CTranslate2 in fp32 and int8, converted by its own converter."""

from pathlib import Path

import numpy as np

from bothways.checkpoints import resolve
from peers.models import converted
from peers.peer import PaddedPeer, Run, mean_pool

__all__ = ["open_peer"]

_COMPUTE_TYPES = {"fp32": "float32", "int8": "int8"}


def open_peer(precision: str, threads: int) -> PaddedPeer:
    """Open CTranslate2 in `fp32` or `int8`."""
    folder = converted("ctranslate2", "ctranslate2", _convert) / "model"
    return PaddedPeer(
        lambda streams: _open_run(folder, _COMPUTE_TYPES[precision], threads, streams)
    )


def _open_run(folder: Path, compute_type: str, threads: int, streams: int) -> Run:
    import ctranslate2

    encoder = ctranslate2.Encoder(
        str(folder),
        device="cpu",
        compute_type=compute_type,
        inter_threads=streams,
        intra_threads=threads // streams,
    )

    def run(ids_BL: np.ndarray, mask_BL: np.ndarray) -> np.ndarray:
        ids = ctranslate2.StorageView.from_array(ids_BL.astype(np.int32))
        lengths = ctranslate2.StorageView.from_array(mask_BL.sum(axis=1).astype(np.int32))
        hidden_BLD = np.asarray(encoder.forward_batch(ids, lengths).last_hidden_state)
        return mean_pool(hidden_BLD, mask_BL)

    return run


def _convert(folder: Path) -> None:
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(resolve("minilm"))).convert(
        str(folder / "model")
    )
