import pytest
import torch
from torch import nn

from bothways.model.baselines import BaselineConfig
from bothways.nn import Lengths
from bothways.nn.baselines.recurrent import Rectangles, RecurrentLayer

ROUNDING = 1e-5
"""Of states below 1 in float32, by two of torch's kernels."""


def test_no_rectangle_is_half_padding_whatever_the_lengths() -> None:
    drawn = torch.Generator().manual_seed(0)
    for most in (1, 2, 5, 40, 700):
        each = torch.randint(1, most + 1, (30,), generator=drawn).tolist()
        for rectangle in Rectangles(Lengths(each)).each:
            assert rectangle.num_rows * rectangle.longest < 2 * len(rectangle.tokens) + 1


def test_sequences_of_like_length_make_one_rectangle_without_padding() -> None:
    (rectangle,) = Rectangles(Lengths([4] * 5)).each
    assert rectangle.num_rows * rectangle.longest == len(rectangle.tokens) == 20


def test_every_token_is_in_one_rectangle() -> None:
    rectangles = Rectangles(Lengths([1, 9, 2, 5, 9, 1]))
    tokens = torch.cat([rectangle.tokens for rectangle in rectangles.each])
    assert sorted(tokens.tolist()) == list(range(27))
    assert torch.equal(tokens[rectangles.back_T], torch.arange(27))


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_layer_computes_what_torch_computes_of_packed_sequences(kind: str) -> None:
    """torch's own way to keep padding away, in one bidirectional module with the same weights."""
    torch.manual_seed(0)
    config = BaselineConfig.from_dict(
        {"kind": kind, "num_layers": 1, "width": 5, "embedding_width": 4, "vocab_size": 1}
    )
    layer = RecurrentLayer(config, 4)
    module = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind](4, 5, bidirectional=True)
    assert layer.leftward is not None
    own = layer.rightward.state_dict()
    own |= {f"{name}_reverse": weight for name, weight in layer.leftward.state_dict().items()}
    module.load_state_dict(own)
    lengths = (3, 8, 1, 6)
    sequences = [torch.randn(length, 4) for length in lengths]
    packed = nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    expected = nn.utils.rnn.unpack_sequence(module(packed)[0])
    states = layer(torch.cat(sequences), Rectangles(Lengths(lengths)))
    torch.testing.assert_close(states, torch.cat(expected), atol=ROUNDING, rtol=0)
