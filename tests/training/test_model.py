import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadLayer, head_layout
from bothways.model.layout import initialize, layout
from bothways.nn.lengths import Lengths
from bothways.training.model import Batch, TrainedModel

CONFIG = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=12, max_length=8)
CLASSES = Head(
    task="classes",
    layers=(
        HeadLayer(name="heads.pooler", outputs=8, activation="tanh"),
        HeadLayer(name="heads.classifier", outputs=2),
    ),
    pooling="cls",
    labels=("no", "yes"),
)
TOKENS = Head(
    task="masked_tokens", layers=(HeadLayer(name="heads.masked_tokens", outputs=12, tied=True),)
)


@pytest.fixture
def batch() -> Batch:
    return Batch(torch.arange(7), Lengths([4, 3]), None, {})


def test_weights_survive_loading() -> None:
    weights = initialize(CONFIG, seed=4)
    model = TrainedModel.build(CONFIG, weights, CLASSES)
    found = model.to_weights()
    assert found.keys() == layout(CONFIG).keys() | head_layout(CLASSES, CONFIG).keys()
    assert all(np.array_equal(found[name], array) for name, array in weights.items())
    again = TrainedModel.build(CONFIG, weights, CLASSES, seed=5)
    assert not np.array_equal(
        again.to_weights()["heads.pooler.weight"], found["heads.pooler.weight"]
    )
    again.load_weights(found)
    assert all(np.array_equal(again.to_weights()[name], array) for name, array in found.items())


def test_to_weights_returns_copies() -> None:
    model = TrainedModel.build(CONFIG, initialize(CONFIG), CLASSES)
    before = model.to_weights()
    with torch.no_grad():
        for _, parameter in model.named_weights():
            parameter.add_(1)
    after = model.to_weights()
    assert all((after[name] - array > 0.5).all() for name, array in before.items())


def test_known_head_weights_are_loaded_and_the_rest_is_initialized() -> None:
    pooler = np.full((8, 8), 0.5, np.float32)
    model = TrainedModel.build(
        CONFIG, initialize(CONFIG), CLASSES, {"heads.pooler.weight": pooler}, seed=1
    )
    fresh = TrainedModel.build(CONFIG, initialize(CONFIG), CLASSES, seed=1).to_weights()
    found = model.to_weights()
    assert np.array_equal(found["heads.pooler.weight"], pooler)
    assert np.array_equal(found["heads.classifier.weight"], fresh["heads.classifier.weight"])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"heads.else.weight": np.ones(3, np.float32)}, "unexpected weight 'heads.else.weight'"),
        ({"heads.pooler.bias": np.ones(3, np.float32)}, r"\(3,\); the model's is \(8,\)"),
    ],
)
def test_weights_of_another_model_are_refused(weights: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        TrainedModel.build(CONFIG, initialize(CONFIG), CLASSES, weights)


def test_outputs_are_the_head_s_or_the_vectors_without_one(batch: Batch) -> None:
    weights = initialize(CONFIG)
    assert TrainedModel.build(CONFIG, weights)(batch).shape == (7, 8)
    assert TrainedModel.build(CONFIG, weights, CLASSES)(batch).shape == (2, 2)
    tokens = TrainedModel.build(CONFIG, weights, TOKENS)
    assert tokens(batch).shape == (7, 12)
    assert tokens(batch, torch.tensor([3, 5])).shape == (2, 12)


def test_a_tied_head_shares_the_embeddings(batch: Batch) -> None:
    model = TrainedModel.build(CONFIG, initialize(CONFIG), TOKENS).eval()
    without = TrainedModel.build(CONFIG, initialize(CONFIG)).eval()
    table = model.to_weights()["embedding.token.weight"]
    torch.testing.assert_close(model(batch), without(batch) @ torch.from_numpy(table).T)
    assert list(model.to_weights()) == [*layout(CONFIG), "heads.masked_tokens.bias"]


def test_any_encoder_that_returns_token_vectors_can_be_trained(batch: Batch) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.ModuleDict({"token": nn.Embedding(12, 8)})

        def forward(
            self, values: Tensor, lengths: Lengths, segments_T: Tensor | None = None
        ) -> tuple[Tensor, ...]:
            table: Tensor = self.embedding["token"](values)
            return (table,)

    head = TrainedModel.build(CONFIG, initialize(CONFIG), TOKENS).head
    model = TrainedModel(Recurrent(), head)
    assert model(batch).shape == (7, 12)
    assert set(model.to_weights()) == {"embedding.token.weight", "heads.masked_tokens.bias"}
