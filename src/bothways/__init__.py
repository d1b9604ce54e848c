"""Encode sequences with Transformer encoders: text, symbols and series in, vectors out.

>>> import bothways
>>> encoder = bothways.load("minilm")
>>> encoder.encode(["a river bank", "a bank loan"]).shape
(2, 384)
"""

import importlib

from bothways import errors
from bothways.errors import BothwaysError

TYPE_CHECKING = False  # typing takes longer to import than all the rest

if TYPE_CHECKING:
    from bothways import nn, reference
    from bothways.checkpoints import create
    from bothways.encoder import Encoder, load
    from bothways.inference.attention import AttentionMaps
    from bothways.inference.late_chunking import ChunkVector, ChunkVectors
    from bothways.inference.maxsim import maxsim
    from bothways.inference.predict.answer import Answer
    from bothways.inference.predict.classify import Classification, Classifications
    from bothways.inference.predict.entities import Entity
    from bothways.inference.predict.fill_mask import MaskPrediction
    from bothways.inference.predict.rerank import Ranking
    from bothways.inference.predict.sparse import SparseVector, SparseVectors
    from bothways.inference.predict.tag import TokenTags
    from bothways.inference.vectors import SequenceVector, SequenceVectors, TokenVectors
    from bothways.model.config import EncoderConfig
    from bothways.model.quantization import QuantizedVectors, quantization_ranges, quantize
    from bothways.sequences import Alphabet, Series
    from bothways.views.attend import AttentionView
    from bothways.views.map import VectorMap
    from bothways.views.map import map as map

__version__ = "0.1.0"

__all__ = [
    "Alphabet",
    "Answer",
    "AttentionMaps",
    "AttentionView",
    "BothwaysError",
    "ChunkVector",
    "ChunkVectors",
    "Classification",
    "Classifications",
    "Encoder",
    "EncoderConfig",
    "Entity",
    "MaskPrediction",
    "QuantizedVectors",
    "Ranking",
    "SequenceVector",
    "SequenceVectors",
    "Series",
    "SparseVector",
    "SparseVectors",
    "TokenTags",
    "TokenVectors",
    "VectorMap",
    "create",
    "errors",
    "load",
    "maxsim",
    "nn",
    "quantization_ranges",
    "quantize",
    "reference",
]

_HOME = {
    "Alphabet": "bothways.sequences",
    "AttentionMaps": "bothways.inference.attention",
    "AttentionView": "bothways.views.attend",
    "Answer": "bothways.inference.predict.answer",
    "ChunkVector": "bothways.inference.late_chunking",
    "ChunkVectors": "bothways.inference.late_chunking",
    "Classification": "bothways.inference.predict.classify",
    "Classifications": "bothways.inference.predict.classify",
    "Encoder": "bothways.encoder",
    "EncoderConfig": "bothways.model.config",
    "Entity": "bothways.inference.predict.entities",
    "MaskPrediction": "bothways.inference.predict.fill_mask",
    "QuantizedVectors": "bothways.model.quantization",
    "Ranking": "bothways.inference.predict.rerank",
    "SequenceVector": "bothways.inference.vectors",
    "SequenceVectors": "bothways.inference.vectors",
    "Series": "bothways.sequences",
    "SparseVector": "bothways.inference.predict.sparse",
    "SparseVectors": "bothways.inference.predict.sparse",
    "TokenTags": "bothways.inference.predict.tag",
    "TokenVectors": "bothways.inference.vectors",
    "VectorMap": "bothways.views.map",
    "create": "bothways.checkpoints",
    "load": "bothways.encoder",
    "map": "bothways.views.map",  # not in __all__: `from bothways import *` keeps Python's own map
    "maxsim": "bothways.inference.maxsim",
    "quantization_ranges": "bothways.model.quantization",
    "quantize": "bothways.model.quantization",
}
"""The module of each public name that is imported on first use, which keeps the import fast."""


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"bothways.{name}")
    raise AttributeError(f"module 'bothways' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
