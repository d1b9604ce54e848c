"""bothways, with packed batches of its default size."""

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
    """bothways as a peer: calls `Encoder.encode_detailed`."""

    settings = (Setting(DEFAULT_MAX_TOKENS, "tokens"),)

    def __init__(self, backend: BackendName, precision: Precision, threads: int) -> None:
        bundle = read_folder(resolve("minilm"))
        engine = create_backend(
            backend, bundle.config, bundle.weights, precision=precision, threads=threads
        )
        # The folder limits texts to the 256 tokens of training; the model has 512 positions.
        unlimited = bundle.with_spec(max_length=bundle.config.max_length)
        self._encoder = Encoder(Session(unlimited, None, engine))

    def encode_ids(self, ids: Sequence[np.ndarray], setting: Setting) -> np.ndarray:
        """See `Peer.encode_ids`."""
        rows: list[object] = list(ids)
        return self._encoder.encode_detailed(rows, max_tokens=setting.size).vectors


def open_native(precision: Precision, threads: int) -> OurPeer:
    """Open the native engine in `fp32` or `int8`."""
    return OurPeer("native", precision, threads)


def open_torch(precision: Precision, threads: int) -> OurPeer:
    """Open the torch backend in `fp32`."""
    return OurPeer("torch", precision, threads)
