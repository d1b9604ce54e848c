"""bothways: its own batches of tokens, without padding, at its default size."""

from collections.abc import Sequence

import numpy as np

from bothways.checkpoints import read_folder, resolve
from bothways.encoder import Encoder
from bothways.inference.backends import BackendName, Precision, create_backend
from bothways.inference.session import Session
from bothways.model.packing import DEFAULT_MAX_TOKENS
from peers.peer import Setting

__all__ = ["OurPeer", "open_native", "open_torch"]


class OurPeer:
    """`Encoder.encode_detailed`."""

    settings = (Setting(DEFAULT_MAX_TOKENS, "tokens"),)

    def __init__(self, backend: BackendName, precision: Precision, threads: int) -> None:
        folder = read_folder(resolve("minilm"))
        engine = create_backend(
            backend, folder.config, folder.weights, precision=precision, threads=threads
        )
        # The folder's limit of 256 tokens is for text as it was trained; the model takes 512.
        whole = folder.with_spec(max_length=folder.config.max_length)
        self._encoder = Encoder(Session(whole, None, engine))

    def encode_ids(self, ids: Sequence[np.ndarray], setting: Setting) -> np.ndarray:
        """As `Peer.encode_ids`."""
        rows: list[object] = list(ids)
        return self._encoder.encode_detailed(rows, max_tokens=setting.size).vectors


def open_native(precision: Precision, threads: int) -> OurPeer:
    """The native engine, fp32 or int8."""
    return OurPeer("native", precision, threads)


def open_torch(precision: Precision, threads: int) -> OurPeer:
    """The torch backend, fp32."""
    return OurPeer("torch", precision, threads)
