import dataclasses

import numpy as np
import pytest
import torch

from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadLayer
from bothways.model.layout import initialize
from bothways.training.engine.optimizer import (
    load_moments,
    make_optimizer,
    moments,
    set_learning_rate,
)
from bothways.training.model import TrainedModel
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings
from bothways.training.settings import TrainingSettings

CONFIG = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=9, max_length=8)
HEAD = Head(
    task="classes",
    layers=(HeadLayer(name="heads.classifier", outputs=2),),
    pooling="mean",
    labels=("no", "yes"),
)


def build_model() -> TrainedModel:
    return TrainedModel.build(CONFIG, initialize(CONFIG), HEAD)


def make_settings(**changed: float) -> ResolvedSettings:
    settings = TrainingSettings(**changed)  # type: ignore[arg-type]
    return resolve_settings(settings, np.array([8]), from_scratch=True, gpu=False, bf16=False)


def one_step(
    model: TrainedModel, optimizer: torch.optim.AdamW, gradient: float, rate: float = 0.1
) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    set_learning_rate(optimizer, rate)
    optimizer.step()


def test_matrices_decay_and_nothing_else() -> None:
    model = build_model()
    before = model.to_weights()
    one_step(model, make_optimizer(model, make_settings(weight_decay=0.5)), gradient=0.0)
    decayed = {
        name
        for name, array in model.to_weights().items()
        if not np.array_equal(array, before[name])
    }
    linear = ("query", "key", "value", "output", "up", "down", "classifier")
    assert decayed == {
        name for name in before if name.endswith("weight") and name.split(".")[-2] in linear
    }
    for name in decayed:
        assert np.allclose(model.to_weights()[name], before[name] * (1 - 0.1 * 0.5))


def test_the_first_step_moves_every_weight_by_the_learning_rate() -> None:
    model = build_model()
    before = model.to_weights()
    one_step(model, make_optimizer(model, make_settings(weight_decay=0)), gradient=3.0)
    for name, array in model.to_weights().items():
        assert np.allclose(before[name] - array, 0.1, atol=1e-6), name


def test_lower_layers_have_lower_rates() -> None:
    config = dataclasses.replace(CONFIG, num_layers=2)
    model = TrainedModel.build(config, initialize(config), HEAD)
    before = model.to_weights()
    optimizer = make_optimizer(model, make_settings(weight_decay=0, layer_decay=0.5))
    one_step(model, optimizer, gradient=3.0)
    expected = {"heads": 1.0, "blocks.1": 1.0, "blocks.0": 0.5, "embedding": 0.25}
    for name, array in model.to_weights().items():
        share = next(share for start, share in expected.items() if name.startswith(start))
        assert np.allclose(before[name] - array, 0.1 * share, atol=1e-6), name


def test_layers_that_share_weights_have_the_rate_of_the_first() -> None:
    config = dataclasses.replace(CONFIG, num_layers=3, block_of_layer=(0, 1, 0))
    model = TrainedModel.build(config, initialize(config), HEAD)
    optimizer = make_optimizer(model, make_settings(layer_decay=0.5))
    set_learning_rate(optimizer, 1.0)
    block = model.encoder.get_submodule("blocks.0")
    rates = {
        group["lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
        if any(parameter is other for other in block.parameters())
    }
    assert rates == {0.25}


def test_the_settings_reach_the_optimizer() -> None:
    settings = make_settings(beta1=0.5, beta2=0.6, epsilon=0.7)
    for group in make_optimizer(build_model(), settings).param_groups:
        assert (group["betas"], group["eps"]) == ((0.5, 0.6), 0.7)


def test_frozen_weights_are_left_out() -> None:
    model = build_model()
    model.encoder.requires_grad_(False)
    optimizer = make_optimizer(model, make_settings())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


def test_a_restored_optimizer_continues_with_the_same_bits() -> None:
    one, other = build_model(), build_model()
    settings = make_settings()
    first = make_optimizer(one, settings)
    for gradient in (0.5, -0.2, 0.3):
        one_step(one, first, gradient)
    saved = moments(first, dict(one.named_weights()))
    other.load_weights(one.to_weights())
    second = make_optimizer(other, settings)
    load_moments(second, dict(other.named_weights()), saved)
    for model, optimizer in ((one, first), (other, second)):
        one_step(model, optimizer, 0.7)
    found = other.to_weights()
    assert all(np.array_equal(array, found[name]) for name, array in one.to_weights().items())


def test_moments_of_another_model_are_refused_by_the_name_of_the_weight() -> None:
    model = build_model()
    optimizer = make_optimizer(model, make_settings())
    with pytest.raises(CheckpointError, match=r"'exp_avg'.*'embedding\.token\.weight'"):
        load_moments(optimizer, dict(model.named_weights()), {})
