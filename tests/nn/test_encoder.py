from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize, layout
from bothways.nn import Lengths, TransformerEncoder
from bothways.reference import encode

GRADIENT_ROUNDING = 1e-9
"""Of the largest gradient of a weight: float64 sums over hundreds of tokens in another order."""

SIZES: dict[str, Any] = {
    "num_layers": 3,
    "num_heads": 2,
    "d_model": 8,
    "d_ff": 12,
    "max_length": 700,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
LONG = 530
"""Positions: more than a bias is added to at once."""

POINTS = {
    "bert": EncoderConfig(**SIZES, vocab_size=20, num_segments=2),
    "modern": EncoderConfig(
        **SIZES,
        vocab_size=20,
        position_embedding="none",
        attention_positions="rotary",
        rotary_base_local=50.0,
        windows=(None, 3, 40),
        norm_placement="pre",
        first_attention_norm=False,
        final_norm=True,
        gated=True,
    ),
    "relative": EncoderConfig(
        **SIZES,
        vocab_size=20,
        attention_positions="relative",
        norm="rms",
        windows=(None, 70, None),
    ),
    "shared": EncoderConfig(
        **SIZES, vocab_size=20, embedding_size=5, block_of_layer=(0, 0, 1), activation="gelu_tanh"
    ),
    "series": EncoderConfig(
        **SIZES, input="vectors", num_channels=3, position_embedding="sinusoidal", activation="silu"
    ),
    "rescaled": EncoderConfig(
        **SIZES,
        vocab_size=20,
        rescaled_mask_token=3,
        position_embedding="none",
        embedding_norm=False,
    ),
}
every_point = pytest.mark.parametrize("point", POINTS)


def make_encoder(config: EncoderConfig, weights: dict[str, np.ndarray]) -> TransformerEncoder:
    encoder = TransformerEncoder(config).double()
    encoder.load_weights(weights)
    return encoder


def make_values(config: EncoderConfig, lengths: Lengths) -> Tensor:
    torch.manual_seed(0)
    if config.input == "vectors":
        return torch.randn(lengths.num_tokens, config.num_channels, dtype=torch.float64)
    return torch.randint(config.vocab_size, (lengths.num_tokens,))


def loss_of(x_TD: Tensor) -> Tensor:
    """A loss of which every number of every position has a share of its own."""
    weight = torch.linspace(-1, 1, x_TD.numel(), dtype=x_TD.dtype).reshape(x_TD.shape)
    return (x_TD * weight).sum() + (x_TD**2).mean()


def gradients(encoder: TransformerEncoder) -> dict[str, Tensor]:
    found = {name: weight.grad for name, weight in encoder.named_parameters()}
    return {name: torch.zeros(1) if grad is None else grad for name, grad in found.items()}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, grad in expected.items():
        scale = max(float(grad.abs().max()), 1.0)
        assert (found[name] - grad).abs().max() < GRADIENT_ROUNDING * scale, name


@every_point
def test_the_state_dict_is_the_layout(point: str) -> None:
    config = POINTS[point]
    state = TransformerEncoder(config).state_dict()
    assert {name: tuple(array.shape) for name, array in state.items()} == layout(config)
    assert list(state) == list(layout(config))


@every_point
def test_gradients_equal_those_through_the_reference(
    point: str, make_weights: Callable[..., dict[str, np.ndarray]]
) -> None:
    config = POINTS[point]
    lengths = Lengths([LONG, 30, 30, 1])
    values = make_values(config, lengths)
    encoder = make_encoder(config, make_weights(config)).train()
    (x_TD,) = encoder(values, lengths)
    torch.autograd.backward(loss_of(x_TD))

    weights = {name: w.detach().requires_grad_() for name, w in encoder.state_dict().items()}
    parts = [encode(part, weights, config) for part in torch.split(values, list(lengths.each))]
    torch.autograd.backward(loss_of(torch.cat([part.hidden_states[-1] for part in parts])))
    expected = {name: torch.zeros(1) if w.grad is None else w.grad for name, w in weights.items()}
    assert_close(gradients(encoder), expected)
    assert sum(bool(grad.any()) for grad in expected.values()) > 0.8 * len(expected)


@every_point
def test_gradients_of_a_packed_batch_are_the_sum_over_its_sequences(
    point: str, make_weights: Callable[..., dict[str, np.ndarray]]
) -> None:
    config = POINTS[point]
    lengths = Lengths([150, 150, 70, 2, 1])
    values = make_values(config, lengths)
    encoder = make_encoder(config, make_weights(config))
    (x_TD,) = encoder(values, lengths)
    torch.autograd.backward((x_TD**2).sum())
    packed = {name: grad.clone() for name, grad in gradients(encoder).items()}

    encoder.zero_grad()
    for part in torch.split(values, list(lengths.each)):
        (x_LD,) = encoder(part, Lengths([len(part)]))
        torch.autograd.backward((x_LD**2).sum())
    assert_close(packed, gradients(encoder))


def test_segments_reach_their_table(make_weights: Callable[..., dict[str, np.ndarray]]) -> None:
    config = POINTS["bert"]
    encoder = make_encoder(config, make_weights(config))
    ids, lengths = torch.tensor([1, 2, 3, 4]), Lengths([4])
    (none,) = encoder(ids, lengths)
    (zeros,) = encoder(ids, lengths, torch.zeros(4, dtype=torch.int64))
    (mixed,) = encoder(ids, lengths, torch.tensor([0, 0, 1, 1]))
    assert torch.equal(none, zeros)
    assert not torch.equal(none, mixed)


def test_layers_are_kept_in_the_order_asked_for(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    config = POINTS["modern"]
    encoder = make_encoder(config, make_weights(config))
    ids, lengths = torch.arange(10), Lengths([6, 4])
    everything = encoder(ids, lengths, keep_layers=range(4))
    some = encoder(ids, lengths, keep_layers=(3, 0, 2))
    assert all(torch.equal(a, everything[i]) for a, i in zip(some, (3, 0, 2), strict=True))
    assert torch.equal(encoder(ids, lengths)[0], everything[3])


def test_dropout_acts_only_in_training() -> None:
    fields = SIZES | {"dropout": 0.3, "attention_dropout": 0.3, "vocab_size": 20}
    encoder = TransformerEncoder(EncoderConfig(**fields))
    without = TransformerEncoder(EncoderConfig(**SIZES, vocab_size=20))
    without.load_state_dict(encoder.state_dict())
    ids, lengths = torch.arange(20), Lengths([15, 5])
    encoder.eval()
    assert torch.equal(encoder(ids, lengths)[0], without(ids, lengths)[0])
    encoder.train()
    (first,), (second,) = encoder(ids, lengths), encoder(ids, lengths)
    assert not torch.equal(first, second)
    (embedded,) = encoder(ids, lengths, keep_layers=(0,))
    assert 0.1 < float((embedded == 0).double().mean()) < 0.5  # of 160 numbers


def test_each_dropout_has_its_own_rate() -> None:
    fields = SIZES | {"dropout": 0.0, "attention_dropout": 0.3, "vocab_size": 20}
    encoder = TransformerEncoder(EncoderConfig(**fields)).train()
    ids, lengths = torch.arange(20), Lengths([15, 5])
    (embedded, mixed), (embedded_again, mixed_again) = (
        encoder(ids, lengths, keep_layers=(0, 1)) for _ in range(2)
    )
    assert torch.equal(embedded, embedded_again)
    assert not torch.equal(mixed, mixed_again)


def test_fresh_weights_are_those_of_initialize_in_distribution() -> None:
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=64, d_ff=128, vocab_size=500)
    for name, expected in initialize(config).items():
        found = TransformerEncoder(config).state_dict()[name].numpy()
        if expected.ndim == 1:
            assert (found == expected).all(), name
        else:
            assert abs(found.std() / expected.std() - 1) < 0.05, name  # of 4,096 numbers at least
            assert abs(found.mean()) < 0.002, name


def test_training_lowers_a_loss() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(EncoderConfig(**SIZES, vocab_size=20)).train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=3e-3)
    lengths = Lengths([9, 9, 4])
    ids, target = torch.randint(20, (22,)), torch.randn(22, 8)
    losses = []
    for _ in range(60):
        (x_TD,) = encoder(ids, lengths)
        loss = ((x_TD - target) ** 2).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_weights_that_do_not_fit_the_config_are_refused() -> None:
    config = POINTS["bert"]
    weights = initialize(config)
    encoder = TransformerEncoder(config)
    del weights["embedding.norm.bias"]
    with pytest.raises(CheckpointError, match=r"'embedding\.norm\.bias' is missing"):
        encoder.load_weights(weights)


def test_loaded_weights_are_copies_also_of_arrays_that_cannot_be_written() -> None:
    config = POINTS["bert"]
    weights = initialize(config)
    for array in weights.values():
        array.flags.writeable = False
    encoder = TransformerEncoder(config)
    encoder.load_weights(weights)
    with torch.no_grad():
        encoder.embedding.token.weight.add_(1)
    assert weights["embedding.token.weight"].max() < 0.5
