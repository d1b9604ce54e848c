"""sentence-transformers with torch in fp32, its default."""

import numpy as np

from bothways.checkpoints import resolve
from peers.peer import PaddedPeer, Run, Setting

__all__ = ["open_default", "open_tuned"]

_DEFAULT = Setting(32, "sequences")


def open_default(precision: str, threads: int) -> PaddedPeer:
    """Open sentence-transformers with batches of 32 sequences, its default."""
    return PaddedPeer(lambda streams: _open_run(threads), (_DEFAULT,))


def open_tuned(precision: str, threads: int) -> PaddedPeer:
    """Open sentence-transformers with several batch sizes to tune."""
    sizes = tuple(Setting(size, "padded tokens") for size in (256, 512, 1024, 2048, 4096))
    return PaddedPeer(lambda streams: _open_run(threads), (_DEFAULT, *sizes))


def _open_run(threads: int) -> Run:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(resolve("minilm")), device="cpu")

    def run(ids_BL: np.ndarray, mask_BL: np.ndarray) -> np.ndarray:
        features = {
            "input_ids": torch.from_numpy(ids_BL),
            "attention_mask": torch.from_numpy(mask_BL),
        }
        with torch.inference_mode():
            vectors: np.ndarray = model(features)["sentence_embedding"].numpy()
        return vectors

    return run
