"""The weights of a baseline: names, shapes and random initialization.

E embedding width, W width of the hidden state or layer.
"""

import math
from collections.abc import Iterator

import numpy as np

from bothways.model.baselines.config import BaselineConfig, Cell
from bothways.model.layout import Shape

__all__ = ["GATES", "initialize", "layout"]

GATES: dict[Cell, int] = {"rnn": 1, "lstm": 4, "gru": 3}
"""Number of gates of a cell, each with a linear map of the input and one of the state."""

_SCALE = 0.02
"""Standard deviation of random matrices outside recurrent layers, as in `weights.initialize`."""


def layout(config: BaselineConfig) -> dict[str, Shape]:
    """Name and shape of every weight of a baseline; matrices are (out, in).

    The weights of a recurrent layer have torch's names, and its gates torch's order. The input of a
    block's `up` is the vectors within its kernel, from left to right, end to end.

    >>> config = BaselineConfig(
    ...     kind="lstm", num_layers=1, width=4, embedding_width=6, vocab_size=9
    ... )
    >>> layout(config)["layers.0.leftward.weight_ih_l0"]
    (16, 6)
    """
    names = dict(_embedding(config))
    for layer in range(config.num_layers):
        names |= {f"layers.{layer}.{name}": shape for name, shape in _layer(config, layer)}
    return names | dict(_norm("final_norm", config.d_model))


def initialize(config: BaselineConfig, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 weights for `config`, determined by the seed.

    Recurrent layers: input matrices uniform (Glorot and Bengio 2010, eq. 16), state matrices
    orthogonal (Saxe et al. 2014), both per gate; biases 0, except 1 for the forget gate of an LSTM
    (Jozefowicz et al. 2015, section 2.2). All other weights as in the Transformer: matrices normal
    with standard deviation 0.02, gains 1, biases 0.
    """
    rng = np.random.default_rng(seed)
    weights = {name: _fresh(config, name, shape, rng) for name, shape in layout(config).items()}
    return {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}


def _embedding(config: BaselineConfig) -> Iterator[tuple[str, Shape]]:
    E = config.embedding_width
    match config.input:
        case "tokens":
            yield "embedding.token.weight", (config.vocab_size, E)
        case "vectors":
            yield from _linear("embedding.input", config.num_channels, E)
    yield from _norm("embedding.norm", E)


def _layer(config: BaselineConfig, layer: int) -> Iterator[tuple[str, Shape]]:
    E, W = config.embedding_width, config.width
    if config.cell is None:
        yield from _norm("norm", E)
        yield from _linear("up", config.kernel_size * E, W)
        yield from _linear("down", W, E)
        return
    rows = GATES[config.cell] * W
    inputs = E if layer == 0 else config.d_model
    for direction in ("rightward", "leftward")[: config.directions]:
        yield f"{direction}.weight_ih_l0", (rows, inputs)
        yield f"{direction}.weight_hh_l0", (rows, W)
        yield f"{direction}.bias_ih_l0", (rows,)
        yield f"{direction}.bias_hh_l0", (rows,)


def _linear(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _fresh(config: BaselineConfig, name: str, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    if name.endswith("weight_ih_l0"):
        limit = math.sqrt(6 / (shape[1] + config.width))
        return rng.uniform(-limit, limit, shape)
    if name.endswith("weight_hh_l0"):
        gates = shape[0] // config.width
        return np.concatenate([_orthogonal(config.width, rng) for _ in range(gates)])
    if name.endswith("bias_ih_l0") and config.cell == "lstm":
        # In torch's order: input gate, forget gate, cell gate, output gate.
        return np.repeat([0.0, 1.0, 0.0, 0.0], config.width)
    if len(shape) > 1:
        return _SCALE * rng.standard_normal(shape)
    return np.full(shape, name.endswith(".weight"))


def _orthogonal(width: int, rng: np.random.Generator) -> np.ndarray:
    """A uniformly distributed orthogonal matrix: Q of a QR with positive R (Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    matrix: np.ndarray = q * np.sign(np.diagonal(r))
    return matrix
