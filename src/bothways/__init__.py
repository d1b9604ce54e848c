"""Encode sequences with Transformer encoders: text, symbols and series in, vectors out.

>>> import bothways
>>> encoder = bothways.load("minilm")
>>> encoder.encode(["a river bank", "a bank loan"]).shape
(2, 384)
"""

import importlib
from typing import TYPE_CHECKING, Any

from bothways.errors import BothwaysError
from bothways.model.config import EncoderConfig

if TYPE_CHECKING:
    from bothways import nn, reference
    from bothways.encoder import Contextual, Encoder, Encodings, create, load
    from bothways.inference.predict import Classified, Filled, Reranked, Sparse, Tagged
    from bothways.sequences import Alphabet, Series

__version__ = "0.1.0"

__all__ = [
    "Alphabet",
    "BothwaysError",
    "Classified",
    "Contextual",
    "Encoder",
    "EncoderConfig",
    "Encodings",
    "Filled",
    "Reranked",
    "Series",
    "Sparse",
    "Tagged",
    "create",
    "load",
    "nn",
    "reference",
]

_HOME = {
    "Alphabet": "bothways.sequences",
    "Classified": "bothways.inference.predict",
    "Contextual": "bothways.encoder",
    "Encoder": "bothways.encoder",
    "Encodings": "bothways.encoder",
    "Filled": "bothways.inference.predict",
    "Reranked": "bothways.inference.predict",
    "Series": "bothways.sequences",
    "Sparse": "bothways.inference.predict",
    "Tagged": "bothways.inference.predict",
    "create": "bothways.encoder",
    "load": "bothways.encoder",
}
"""The home of each public name that is imported on first use: importing bothways is instant."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"bothways.{name}")
    raise AttributeError(f"module 'bothways' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
