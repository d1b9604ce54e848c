"""Attention with weights set by hand copies, looks up and reverses exactly, in every backend.

The vector of a position is cut into blocks, each for a number in one-hot code: the token, the
position, what has been fetched from elsewhere, what has been worked out. A query and a key that
agree score so high that all others get a probability of about exp(-60), nothing in float32. The
encoder is pre-norm, with rms norms: one-hot blocks have a known length, so that a norm is a known
factor. Two layers that look one position back and then for a match are the "induction heads" of
Olsson et al. 2022, "In-context learning and induction heads".

V tokens; P positions; D model width.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from bothways.inference.backends import Backend
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.model.weights import Weights

MakeBackend = Callable[[EncoderConfig, Weights], Backend]

V, P = 12, 16
CERTAIN = 60.0
"""By how much the score of a match exceeds every other: exp(-60) is below half a bit of float32."""
TOLERANCE = 1e-5
"""Of unit scale, as everywhere; the fetched vectors are one-hot."""


class Hand:
    """An encoder of `num_layers`, all of whose weights are 0 until they are set by hand.

    blocks: name and width of each part of the vector; the first two are the token and the position.
    """

    def __init__(self, blocks: dict[str, int], num_layers: int, d_ff: int = 1) -> None:
        ends = np.cumsum(list(blocks.values())).tolist()
        self.at = {
            name: slice(end - width, end)
            for (name, width), end in zip(blocks.items(), ends, strict=True)
        }
        self.config = EncoderConfig(
            num_layers=num_layers,
            num_heads=1,
            d_model=ends[-1],
            d_ff=d_ff,
            vocab_size=V,
            max_length=P,
            embedding_norm=False,
            norm="rms",
            norm_placement="pre",
            activation="relu",
        )
        self.weights = {
            name: array if "norm" in name else np.zeros_like(array)
            for name, array in initialize(self.config).items()
        }
        for name in ("token", "position"):
            self._take(f"embedding.{name}.weight", name, slice(None))

    def fetch(
        self,
        layer: int,
        *,
        asked: np.ndarray,
        of: str,
        offered: str,
        what: str,
        into: str,
        filled: int,
    ) -> None:
        """Each position takes `what` from the one whose `offered` is what it asks for.

        asked: what each value of the block `of` asks for, one-hot by column. filled: how many
        blocks hold a one when the vectors enter the layer.
        """
        D = self.config.d_model
        name = f"blocks.{layer}.attention"
        score = CERTAIN * math.sqrt(D) / self.norm_factor(filled) ** 2
        self.weights[f"{name}.query.weight"][: len(asked), self.at[of]] = score * asked
        self._take(f"{name}.key.weight", offered, slice(0, self._width(offered)))
        self._take(f"{name}.value.weight", what, self.at[into], 1 / self.norm_factor(filled))
        self._take(f"{name}.output.weight", into, self.at[into])

    def combine(
        self, layer: int, *, first: str, second: str, outcome: np.ndarray, into: str, filled: int
    ) -> None:
        """Each position works out a number from two others, by a table: `outcome[i, j]`, or -1.

        One hidden unit for each pair: it is 1 if both are there, by relu(i + j - 1).
        """
        name = f"blocks.{layer}.feed_forward"
        pairs = np.argwhere(outcome >= 0)
        unit = np.arange(len(pairs))
        up, down = self.weights[f"{name}.up.weight"], self.weights[f"{name}.down.weight"]
        up[unit, self.at[first].start + pairs[:, 0]] = 1 / self.norm_factor(filled)
        up[unit, self.at[second].start + pairs[:, 1]] = 1 / self.norm_factor(filled)
        self.weights[f"{name}.up.bias"][:] = -1.0
        down[self.at[into].start + outcome[tuple(pairs.T)], unit] = 1.0

    def norm_factor(self, filled: int) -> float:
        """What an rms norm multiplies a vector of `filled` ones by."""
        return math.sqrt(self.config.d_model / filled)

    def read(
        self, make_backend: MakeBackend, sequences: Sequence[Sequence[int]], block: str
    ) -> list[np.ndarray]:
        """What stands in a block at each position of each sequence, when all layers are done."""
        batch = PackedBatch.of([np.array(sequence) for sequence in sequences])
        backend = make_backend(self.config, self.weights)
        (states,) = backend.hidden_states(batch, [self.config.num_layers])
        return [own[:, self.at[block]] for own in batch.split(states)]

    def _take(self, name: str, block: str, rows: slice, scale: float = 1.0) -> None:
        self.weights[name][rows, self.at[block]] = scale * np.eye(self._width(block))

    def _width(self, block: str) -> int:
        return int(self.at[block].stop - self.at[block].start)


def is_one_hot(found: np.ndarray, numbers: Sequence[int]) -> bool:
    expected = np.eye(found.shape[1])[np.array(numbers)]
    return bool(np.abs(found - expected).max() < TOLERANCE)


def random_tokens(length: int, *, seed: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(1, V, length)]


def test_a_copy_is_fetched_from_a_fixed_distance(make_backend: MakeBackend) -> None:
    distance, blank = P // 2, 0
    hand = Hand({"token": V, "position": P, "copy": V}, num_layers=1)
    asked = np.eye(P, k=distance) + np.diag(np.arange(P) < distance)  # the first ones, themselves
    hand.fetch(
        0, asked=asked, of="position", offered="position", what="token", into="copy", filled=2
    )
    originals = [random_tokens(distance, seed=seed) for seed in range(5)]
    found = hand.read(
        make_backend, [[*tokens, *[blank] * distance] for tokens in originals], "copy"
    )
    for own, tokens in zip(found, originals, strict=True):
        assert is_one_hot(own[distance:], tokens)


def test_what_follows_a_key_is_looked_up(make_backend: MakeBackend) -> None:
    begin, keys, values = 0, range(1, 7), range(7, V)
    hand = Hand({"token": V, "position": P, "before": V, "answer": V}, num_layers=2)
    previous = np.eye(P, k=1)
    previous[0, 0] = 1  # the first has only itself
    hand.fetch(
        0, asked=previous, of="position", offered="position", what="token", into="before", filled=2
    )
    hand.fetch(
        1, asked=np.eye(V), of="token", offered="before", what="token", into="answer", filled=3
    )
    rng = np.random.default_rng(0)
    for wanted in range(len(keys)):
        order, chosen = rng.permutation(keys), rng.choice(values, len(keys))
        pairs = np.stack([order, chosen], 1).ravel().tolist()
        (found,) = hand.read(make_backend, [[begin, *pairs, int(order[wanted])]], "answer")
        assert is_one_hot(found[-1:], [int(chosen[wanted])])


def test_sequences_of_any_length_are_reversed(make_backend: MakeBackend) -> None:
    end = 0
    blocks = {"token": V, "position": P, "length": P, "wanted": P, "reversed": V}
    hand = Hand(blocks, num_layers=2, d_ff=P * (P - 1) // 2)
    the_end = np.zeros((V, V))
    the_end[end] = 1
    hand.fetch(
        0, asked=the_end, of="token", offered="token", what="position", into="length", filled=2
    )
    position, length = np.indices((P, P))
    mirrored = np.where(position < length, length - 1 - position, -1)
    hand.combine(0, first="position", second="length", outcome=mirrored, into="wanted", filled=3)
    hand.fetch(
        1, asked=np.eye(P), of="wanted", offered="position", what="token", into="reversed", filled=4
    )
    originals = [random_tokens(length, seed=length) for length in range(1, P)]
    found = hand.read(make_backend, [[*tokens, end] for tokens in originals], "reversed")
    for own, tokens in zip(found, originals, strict=True):
        assert is_one_hot(own[:-1], tokens[::-1])


def test_attention_goes_to_the_position_that_was_asked_for_and_nowhere_else(
    make_backend: MakeBackend,
) -> None:
    hand = Hand({"token": V, "position": P, "copy": V}, num_layers=1)
    mirrored = np.eye(P)[::-1]
    hand.fetch(
        0, asked=mirrored, of="position", offered="position", what="token", into="copy", filled=2
    )
    backend = make_backend(hand.config, hand.weights)
    (probabilities,) = backend.attention(PackedBatch.of([np.array(random_tokens(P, seed=0))]), [0])
    assert np.abs(probabilities[0] - mirrored).max() < TOLERANCE
