"""What holds for every baseline in torch, whatever its kind."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.errors import CheckpointError
from bothways.model.baselines import BASELINES, BaselineConfig, BaselineName, matched_config
from bothways.model.baselines.layout import initialize, layout
from bothways.model.config import EncoderConfig
from bothways.model.costs import bytes_per_token
from bothways.model.packing import PackedBatch
from bothways.nn import Lengths, TorchBackend, TransformerEncoder
from bothways.nn.baselines import count_parameters, make_encoder

ROUNDING = 1e-5
"""Of vectors of about unit scale in float32, whose sums torch takes in another order for another
batch."""

LIKE = EncoderConfig(num_layers=2, num_heads=2, d_model=16, d_ff=32, max_length=32, vocab_size=20)
SERIES = EncoderConfig(
    num_layers=2, num_heads=2, d_model=16, d_ff=32, max_length=32, input="vectors", num_channels=3
)
LENGTHS = (7, 1, 12, 3, 7, 2, 5)


def baseline(name: BaselineName, like: EncoderConfig = LIKE) -> BaselineConfig:
    return matched_config(name, like)


def sequences(like: EncoderConfig = LIKE) -> list[Tensor]:
    drawn = torch.Generator().manual_seed(0)
    if like.input == "vectors":
        return [torch.randn(n, like.num_channels, generator=drawn) for n in LENGTHS]
    return [torch.randint(like.vocab_size, (n,), generator=drawn) for n in LENGTHS]


def encoded(config: BaselineConfig, given: list[Tensor]) -> list[Tensor]:
    """The vectors of each sequence, encoded in one batch."""
    encoder = make_encoder(config, seed=1).eval()
    lengths = Lengths([len(sequence) for sequence in given])
    with torch.no_grad():
        (x_TD,) = encoder(torch.cat(given), lengths)
    return list(x_TD.split(lengths.each))


def some(vectors: Tensor) -> Tensor:
    """A number that depends on all of a vector, also where its length is fixed by a norm."""
    return (vectors @ torch.linspace(-1, 2, vectors.shape[-1])).sum()


@pytest.mark.parametrize("like", [LIKE, SERIES], ids=["tokens", "vectors"])
@pytest.mark.parametrize("name", BASELINES)
def test_state_dict_is_the_layout(name: BaselineName, like: EncoderConfig) -> None:
    config = baseline(name, like)
    state = make_encoder(config, seed=0).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == layout(config)


@pytest.mark.parametrize("like", [LIKE, SERIES], ids=["tokens", "vectors"])
@pytest.mark.parametrize("name", BASELINES)
def test_neighbors_in_a_batch_never_change_a_sequence(
    name: BaselineName, like: EncoderConfig
) -> None:
    config, given = baseline(name, like), sequences(like)
    together = encoded(config, given)
    for sequence, vectors in zip(given, together, strict=True):
        (alone,) = encoded(config, [sequence])
        torch.testing.assert_close(vectors, alone, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("name", BASELINES)
def test_the_order_of_a_batch_never_changes_a_sequence(name: BaselineName) -> None:
    config, given = baseline(name), sequences()
    forth, back = encoded(config, given), encoded(config, given[::-1])
    for vectors, again in zip(forth, back[::-1], strict=True):
        torch.testing.assert_close(vectors, again, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("name", BASELINES)
def test_no_gradient_reaches_another_sequence(name: BaselineName) -> None:
    encoder = make_encoder(baseline(name, SERIES), seed=1).eval()
    values = torch.cat(sequences(SERIES)).requires_grad_()
    (x_TD,) = encoder(values, Lengths(LENGTHS))
    some(x_TD[8:20]).backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert not values.grad[:8].any()
    assert not values.grad[20:].any()
    assert values.grad[8:20].any(1).all()


def seen_from(name: BaselineName, position: int) -> set[int]:
    """The positions of a sequence of 12 on which the vector at one of them depends."""
    encoder = make_encoder(baseline(name, SERIES), seed=1).eval()
    values = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (x_TD,) = encoder(values, Lengths([12]))
    some(x_TD[position]).backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    return set(values.grad.any(1).nonzero()[:, 0].tolist())


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "convolution"])
def test_every_position_sees_all_others(name: BaselineName) -> None:
    for position in (0, 5, 11):
        assert seen_from(name, position) == set(range(12))


@pytest.mark.parametrize("name", ["rnn-forward", "lstm-forward", "gru-forward"])
def test_one_direction_sees_what_came_before(name: BaselineName) -> None:
    assert seen_from(name, 5) == set(range(6))


def test_a_bag_sees_nothing_but_the_position_itself() -> None:
    assert seen_from("bag", 5) == {5}


@pytest.mark.parametrize("name", BASELINES)
def test_chosen_layers_are_those_on_the_way_to_the_last(name: BaselineName) -> None:
    config, given = baseline(name), sequences()
    encoder, lengths = make_encoder(config, seed=1).eval(), Lengths(LENGTHS)
    with torch.no_grad():
        layers = encoder(torch.cat(given), lengths, None, (0, config.num_layers, 1))
        (last,) = encoder(torch.cat(given), lengths)
    assert torch.equal(layers[1], last)
    assert layers[0].shape == (sum(LENGTHS), config.embedding_width)
    assert layers[2].shape == (sum(LENGTHS), config.d_model)
    assert not torch.equal(layers[2], last)


@pytest.mark.parametrize("name", BASELINES)
def test_random_weights_depend_only_on_the_seed(name: BaselineName) -> None:
    first, again = (make_encoder(baseline(name), seed=2).state_dict() for _ in range(2))
    other = make_encoder(baseline(name), seed=3).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_a_transformer_is_made_the_same_way() -> None:
    encoder = make_encoder(LIKE, seed=2)
    assert isinstance(encoder, TransformerEncoder)
    assert torch.equal(
        encoder.embedding.token.weight,
        make_encoder(LIKE, seed=2).get_parameter("embedding.token.weight"),
    )


@pytest.mark.parametrize("name", BASELINES)
def test_the_parameter_count_equals_the_layout(name: BaselineName) -> None:
    config = baseline(name)
    expected = sum(int(np.prod(shape)) for shape in layout(config).values())
    assert count_parameters(make_encoder(config, seed=0)) == expected


@pytest.mark.parametrize("name", BASELINES)
def test_training_drops_and_encoding_does_not(name: BaselineName) -> None:
    encoder, lengths = make_encoder(baseline(name), seed=1), Lengths(LENGTHS)
    values = torch.cat(sequences())
    with torch.no_grad():
        assert not torch.equal(*(encoder.train()(values, lengths)[0] for _ in range(2)))
        assert torch.equal(*(encoder.eval()(values, lengths)[0] for _ in range(2)))


@pytest.mark.parametrize("name", BASELINES)
def test_weights_of_another_shape_are_refused(name: BaselineName) -> None:
    encoder = make_encoder(baseline(name), seed=1)
    weights = {key: tensor.numpy() for key, tensor in encoder.state_dict().items()}
    weights["final_norm.weight"] = np.ones(3, np.float32)
    with pytest.raises(CheckpointError, match="final_norm"):
        encoder.load_weights(weights)


@pytest.mark.current_versions
@pytest.mark.parametrize("lengths", [[64] * 16, list(range(127, 0, -8))], ids=["equal", "unlike"])
@pytest.mark.parametrize("name", BASELINES)
def test_activations_stay_within_what_is_planned_for(
    name: BaselineName, lengths: list[int], peak_bytes: Callable[[Callable[[], object]], int]
) -> None:
    like = EncoderConfig(num_layers=2, num_heads=2, d_model=64, d_ff=256, vocab_size=20)
    config = baseline(name, like)
    backend = TorchBackend(config, initialize(config, seed=0), device="cpu")
    batch = PackedBatch.of([np.zeros(length, np.int64) for length in lengths])
    backend.pool(batch, ["mean"])
    peak = peak_bytes(lambda: backend.pool(batch, ["mean"])) / sum(lengths)
    assert 0.2 * bytes_per_token(config) < peak < bytes_per_token(config)
