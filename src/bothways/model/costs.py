"""What an encoder costs: its parameters by part, and its operations for each token.

D model width, F feed-forward width, E embedding width, C input channels, L length of a sequence.
"""

import dataclasses
import math

from bothways.model.baselines import AnyConfig, BaselineConfig
from bothways.model.baselines.any_encoder import layout

__all__ = ["Operations", "operations", "parameters_by_part"]


def parameters_by_part(config: AnyConfig) -> dict[str, int]:
    """Parameters of the embedding, of all blocks' attention, feed-forward and norms, and the rest.

    Blocks that several layers share are counted once. Baselines have layers of one part.
    """
    parts = {"embedding": 0, "attention": 0, "feed-forward": 0, "norms": 0}
    if isinstance(config, BaselineConfig):
        parts = {"embedding": 0, "layers": 0, "norms": 0}
    for name, shape in layout(config).items():
        if name.startswith("embedding."):
            part = "embedding"
        elif name.startswith("relative_bias.") or ".attention." in name:
            part = "attention"
        elif ".feed_forward." in name:
            part = "feed-forward"
        elif name.startswith("layers.") and ".norm." not in name:
            part = "layers"
        else:
            part = "norms"
        parts[part] += math.prod(shape)
    return parts


@dataclasses.dataclass(frozen=True)
class Operations:
    """Multiply-adds for one token of a sequence of L: `fixed`, and for each position it attends to.

    per_position: summed over layers that attend to all L positions: 2 D each, D for the score and D
        for the mixture (Vaswani et al. 2017, section 3.2.1).
    windows: for each layer with a window, how many positions it attends to at most.
    """

    fixed: int
    full_layers: int
    windows: tuple[int, ...]
    d_model: int

    def at(self, length: int) -> int:
        """For one token, on average, of a sequence of `length`, borders of windows ignored."""
        positions = self.full_layers * length + sum(min(w, length) for w in self.windows)
        return self.fixed + 2 * self.d_model * positions

    def formula(self) -> str:
        """As a formula in L, such as `10,616,832 + 4,608 L`."""
        terms = [f"{self.fixed:,}"]
        if self.full_layers:
            terms.append(f"{2 * self.d_model * self.full_layers:,} L")
        for window in sorted(set(self.windows)):
            count = 2 * self.d_model * self.windows.count(window)
            terms.append(f"{count:,} min(L, {window:,})")
        return " + ".join(terms)


def operations(config: AnyConfig) -> Operations:
    """Multiply-adds of matrix products; norms, activations and softmax are small beside them."""
    D = config.d_model
    if isinstance(config, BaselineConfig):  # every matrix but the table, once for each token
        shapes = {n: s for n, s in layout(config).items() if n != "embedding.token.weight"}
        fixed = sum(math.prod(shape) for shape in shapes.values() if len(shape) > 1)
        return Operations(fixed=fixed, full_layers=0, windows=(), d_model=D)
    F = config.d_ff
    block = 4 * D * D + (3 if config.gated else 2) * D * F
    embedding = config.num_channels * config.embedding_width
    if config.embedding_size is not None:
        embedding += config.embedding_size * D
    windows = [config.window(layer) for layer in range(config.num_layers)]
    return Operations(
        fixed=config.num_layers * block + embedding,
        full_layers=windows.count(None),
        windows=tuple(2 * window + 1 for window in windows if window is not None),
        d_model=D,
    )
