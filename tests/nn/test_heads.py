from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadLayer, head_layout
from bothways.nn.heads import HeadModule, initialize_head
from bothways.nn.lengths import Lengths
from bothways.reference import head_outputs

ROUNDING = 1e-10
"""Float64 on both sides, in another order."""

D, V, E = 6, 11, 4
CONFIG = EncoderConfig(
    num_layers=1, num_heads=2, d_model=D, d_ff=8, vocab_size=V, embedding_size=E, dropout=0.0
)
LENGTHS = Lengths([3, 1, 4])

HEADS = {
    "linear": Head(
        task="classes",
        layers=(HeadLayer(name="heads.classifier", outputs=3),),
        pooling="mean",
        labels=("a", "b", "c"),
    ),
    "pooler": Head(
        task="values",
        layers=(
            HeadLayer(name="heads.pooler", outputs=D, activation="tanh"),
            HeadLayer(name="heads.classifier", outputs=2, bias=False),
        ),
        pooling="cls",
        labels=("x", "y"),
    ),
    "late": Head(
        task="values",
        layers=(
            HeadLayer(name="heads.pooler", outputs=D, activation="gelu"),
            HeadLayer(name="heads.classifier", outputs=2),
        ),
        pooling="mean",
        labels=("x", "y"),
        pools_outputs=True,
    ),
    "nested": Head(
        task="tags",
        layers=(
            HeadLayer(
                name="heads.classifier.dense",
                outputs=5,
                activation="silu",
                norm="heads.classifier.norm",
                norm_bias=False,
                norm_eps=1e-5,
            ),
            HeadLayer(name="heads.classifier", outputs=3),
        ),
        labels=("a", "b", "c"),
    ),
    "tied": Head(
        task="masked_tokens",
        layers=(
            HeadLayer(
                name="heads.masked_tokens.dense",
                outputs=E,
                activation="gelu",
                norm="heads.masked_tokens.norm",
            ),
            HeadLayer(name="heads.masked_tokens", outputs=V, tied=True),
        ),
    ),
    "tied without bias": Head(
        task="masked_tokens",
        layers=(
            HeadLayer(name="heads.masked_tokens.dense", outputs=E),
            HeadLayer(name="heads.masked_tokens", outputs=V, tied=True, bias=False),
        ),
    ),
}
every_head = pytest.mark.parametrize("name", HEADS)


def random_weights(head: Head) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: rng.standard_normal(shape) for name, shape in head_layout(head, CONFIG).items()}


def module_with(head: Head, weights: dict[str, np.ndarray]) -> HeadModule:
    module = HeadModule(head, CONFIG).double().eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return module


@pytest.fixture
def x_TD() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((LENGTHS.num_tokens, D)))


@pytest.fixture
def table_VE() -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((V, E)))


@every_head
def test_the_state_dict_is_the_layout(name: str) -> None:
    state = HeadModule(HEADS[name], CONFIG).state_dict()
    assert {key: tuple(a.shape) for key, a in state.items()} == head_layout(HEADS[name], CONFIG)


@every_head
def test_outputs_equal_the_reference(name: str, x_TD: Tensor, table_VE: Tensor) -> None:
    head = HEADS[name]
    weights = random_weights(head)
    found = module_with(head, weights)(x_TD, LENGTHS, table_VE).detach().numpy()
    w = weights | {"embedding.token.weight": table_VE.numpy()}
    expected = [
        np.atleast_2d(head_outputs(part.numpy(), w, head))
        for part in torch.split(x_TD, list(LENGTHS.each))
    ]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("name", ["nested", "tied"])
def test_chosen_positions_get_what_all_positions_get(
    name: str, x_TD: Tensor, table_VE: Tensor
) -> None:
    module = module_with(HEADS[name], random_weights(HEADS[name]))
    chosen_N = torch.tensor([6, 0, 3])
    everything = module(x_TD, LENGTHS, table_VE)
    some = module(x_TD, LENGTHS, table_VE, chosen_N)
    torch.testing.assert_close(some, everything[chosen_N], rtol=0, atol=ROUNDING)


def test_a_tied_layer_teaches_the_embeddings(x_TD: Tensor, table_VE: Tensor) -> None:
    module = module_with(HEADS["tied"], random_weights(HEADS["tied"]))
    table_VE.requires_grad_()
    outputs = module(x_TD, LENGTHS, table_VE)
    torch.autograd.backward(outputs.square().sum())
    assert table_VE.grad is not None
    assert table_VE.grad.abs().min() > 0


def test_a_tied_layer_asks_for_the_embeddings(x_TD: Tensor) -> None:
    module = module_with(HEADS["tied"], random_weights(HEADS["tied"]))
    with pytest.raises(ValueError, match="tied to the token embeddings"):
        module(x_TD, LENGTHS)


@every_head
def test_fresh_heads_are_small_and_the_same_for_the_same_seed(name: str) -> None:
    head = HEADS[name]
    first, again, other = (initialize_head(head, CONFIG, seed=seed) for seed in (1, 1, 2))
    for key, array in first.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, again[key])
        if array.ndim == 2:
            assert 0 < np.abs(array).max() < 0.1  # five standard deviations
            assert not np.array_equal(array, other[key])
        else:
            assert (array == (1 if key.endswith(".weight") else 0)).all()
    state = HeadModule(head, CONFIG, seed=1).state_dict()
    assert all(np.array_equal(state[key].numpy(), array) for key, array in first.items())


def test_random_head_weights_differ_from_the_encoder_weights_of_the_same_seed(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=8)
    layer = HeadLayer(name="heads.classifier", outputs=8)
    head = Head(task="tags", layers=(layer,), labels=tuple("abcdefgh"))
    fresh = initialize_head(head, config, seed=0)["heads.classifier.weight"]
    table = make_weights(config, seed=0)["embedding.token.weight"]
    assert abs(np.corrcoef(fresh.ravel(), table.ravel())[0, 1]) < 0.5


def test_dropout_acts_in_training_alone_and_on_the_last_layer(x_TD: Tensor) -> None:
    fields: dict[str, Any] = {"task": "tags", "labels": ("a",), "dropout": 0.5}
    head = Head(layers=(HeadLayer(name="heads.classifier", outputs=1, bias=False),), **fields)
    module = HeadModule(head, CONFIG).double()
    with torch.no_grad():
        module.get_parameter("heads.classifier.weight").fill_(1)
    ones_TD = torch.ones_like(x_TD)
    torch.manual_seed(0)
    dropped = module(ones_TD, LENGTHS) / 2  # what is kept is doubled
    assert len(dropped.unique()) > 2
    assert torch.equal(dropped, dropped.round())
    assert (module.eval()(ones_TD, LENGTHS) == D).all()
