"""Attention maps of one sequence, with its tokens.

H heads; L positions.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from bothways.errors import UnsupportedModel
from bothways.inference import runner
from bothways.inference.options import RunOptions
from bothways.inference.selection import Selection, select_indices
from bothways.inference.session import Session
from bothways.io.short_repr import ShortRepr
from bothways.model.baselines.any_encoder import require_transformer

__all__ = ["AttentionMaps", "attention", "require_layers"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AttentionMaps(ShortRepr, NDArrayOperatorsMixin):
    """Attention probabilities of one sequence, with the token at each position.

    Can be used as the array of its probabilities: indexing, arithmetic, NumPy's functions and the
    array's methods give arrays.

    probabilities: float32 (layers, H, L, L): how much each position attends to each other.
    tokens: the token at each position.
    offsets: for text and symbols, int64 (L, 2): the characters of the input that each token covers,
        (0, 0) for special tokens; None for ids and series.
    """

    probabilities: np.ndarray
    tokens: list[str]
    offsets: np.ndarray | None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy:
            return np.array(self.probabilities, dtype=dtype)
        return np.asarray(self.probabilities, dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = [x.probabilities if isinstance(x, AttentionMaps) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __getitem__(self, key: Any) -> Any:
        return self.probabilities[key]

    def __len__(self) -> int:
        return len(self.probabilities)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.probabilities)

    def __getattr__(self, name: str) -> Any:
        """An attribute of the array, such as `shape` or `sum`."""
        if name.startswith("__") or name == "probabilities":  # while it is copied or unpickled
            raise AttributeError(f"AttentionMaps has no attribute {name!r}")
        return getattr(self.probabilities, name)


def require_layers(num_layers: int) -> None:
    """Raise unless an encoder has layers, and so attention.

    Raises:
        UnsupportedModel: if it has none.
    """
    if not num_layers:
        raise UnsupportedModel(
            "the encoder has no layers (static embeddings), and so no attention: each token counts "
            "the same; contextualize gives the vectors of tokens"
        )


def attention(
    session: Session, sequence: Any, *, layers: Selection | None, heads: Selection | None
) -> AttentionMaps:
    """Attention probabilities of one sequence; None for all layers or heads.

    Raises:
        InputError: if the sequence is too long, or a layer or head does not exist.
        UnsupportedModel: if the encoder is not a Transformer, or has no layers.
    """
    config = require_transformer(
        session.spec.config, "attention maps are of", "contextualize gives its hidden states"
    )
    require_layers(config.num_layers)
    layer_indices = select_indices("all" if layers is None else layers, config.num_layers, "layer")
    head_indices = select_indices("all" if heads is None else heads, config.num_heads, "head")
    fitted = session.prepare([sequence], RunOptions(on_overflow="error"))
    maps = session.backend.attention(runner.pack(fitted), layer_indices)[:, head_indices]
    return AttentionMaps(maps, fitted[0].tokens, fitted[0].offsets)
