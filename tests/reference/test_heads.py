"""Heads by the reference, against the same formulas in torch, and across array libraries."""

from typing import Any, get_args

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sentence_transformers.sparse_encoder.modules import SpladePooling
from torch.nn import functional as F  # noqa: N812

from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadActivation, HeadLayer, HeadTask, head_layout
from bothways.model.terms import TermActivation, TermPooling, TermWeighting
from bothways.reference import head_outputs, probabilities, term_weights

EXACT = 1e-12
"""float64 on both sides: they differ in the order of their sums."""

CONFIG = EncoderConfig(
    num_layers=1, num_heads=2, d_model=6, d_ff=8, vocab_size=11, embedding_size=4
)
WORDS = Head(
    task="masked_tokens",
    layers=(
        HeadLayer(name="heads.dense", outputs=4, activation="gelu", norm="heads.norm"),
        HeadLayer(name="heads.words", outputs=11, tied=True),
    ),
)
LABELS = ("a", "b", "c")


def pooled(activation: HeadActivation = "tanh") -> Head:
    dense = HeadLayer(name="heads.dense", outputs=6, activation=activation)
    last = HeadLayer(name="heads.last", outputs=3, bias=False)
    return Head(task="classes", layers=(dense, last), pooling="mean", labels=LABELS)


def weights_of(head: Head) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    drawn = {name: rng.standard_normal(s) for name, s in head_layout(head, CONFIG).items()}
    return drawn | {"embedding.token.weight": rng.standard_normal((11, 4))}


def hidden_states() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((5, 6))


def in_torch(w: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in w.items()}


def test_a_masked_token_head_ends_in_the_embeddings() -> None:
    w = weights_of(WORDS)
    found = head_outputs(hidden_states(), w, WORDS)

    t = in_torch(w)
    x = F.linear(torch.from_numpy(hidden_states()), t["heads.dense.weight"], t["heads.dense.bias"])
    x = F.layer_norm(F.gelu(x), (4,), t["heads.norm.weight"], t["heads.norm.bias"], eps=1e-12)
    expected = F.linear(x, t["embedding.token.weight"], t["heads.words.bias"])
    assert found.shape == (5, 11)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=EXACT)


ACTIVATIONS: dict[HeadActivation, Any] = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_head_that_pools_gives_one_row(activation: HeadActivation) -> None:
    head = pooled(activation)
    w = weights_of(head)
    found = head_outputs(hidden_states(), w, head)

    t = in_torch(w)
    x = torch.from_numpy(hidden_states()).mean(0)
    x = ACTIVATIONS[activation](F.linear(x, t["heads.dense.weight"], t["heads.dense.bias"]))
    assert found.shape == (3,)
    np.testing.assert_allclose(found, F.linear(x, t["heads.last.weight"]), rtol=0, atol=EXACT)


@pytest.mark.parametrize("head", [WORDS, pooled()])
def test_any_array_library_gives_the_same_outputs(head: Head) -> None:
    w = weights_of(head)
    expected = head_outputs(hidden_states(), w, head)
    torch_outputs = head_outputs(torch.from_numpy(hidden_states()), in_torch(w), head)
    np.testing.assert_allclose(torch_outputs.numpy(), expected, rtol=0, atol=EXACT)
    jax_outputs = head_outputs(
        jnp.asarray(hidden_states()), {name: jnp.asarray(a) for name, a in w.items()}, head
    )
    # float32, which is what JAX computes in unless told otherwise.
    np.testing.assert_allclose(jax_outputs, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("task", get_args(HeadTask))
def test_outputs_become_what_the_task_says(task: HeadTask) -> None:
    logits = np.array([[1000.0, -1000.0, 999.0], [0.0, -3.0, 2.0]])
    found = probabilities(logits, task)
    t = torch.from_numpy(logits)
    expected = {
        "multilabel": torch.sigmoid(t),
        "values": t,
        "masked_values": t,
        "answer_spans": t,
    }.get(task, torch.softmax(t, dim=-1))
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)


def test_term_weights_are_the_maximum_of_the_saturated_logits() -> None:
    logits = 5 * np.random.default_rng(3).standard_normal((7, 30))
    logits[:, 4] = -1.0
    directly = np.array([[np.log(1 + max(z, 0.0)) for z in row] for row in logits]).max(axis=0)
    found = term_weights(logits)
    np.testing.assert_allclose(found, directly, rtol=0, atol=EXACT)
    assert found[4] == 0


@pytest.mark.parametrize("pooling", ["max", "sum"])
@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
def test_term_weights_are_those_of_sentence_transformers(
    pooling: TermPooling, activation: TermActivation
) -> None:
    logits = 5 * np.random.default_rng(3).standard_normal((7, 30))
    module = SpladePooling(pooling, activation).eval()
    features = {
        "token_embeddings": torch.tensor(logits)[None],
        "attention_mask": torch.ones(1, 7, dtype=torch.int64),
    }
    expected = module(features)["sentence_embedding"][0].numpy()
    found = term_weights(logits, TermWeighting(pooling=pooling, activation=activation))
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)


def test_fewer_terms_of_the_error_function_do_for_single_precision() -> None:
    x = np.linspace(-9, 9, 2001)
    single, double = (
        head_outputs(
            x[:, None].astype(kind),
            {"heads.a.weight": np.ones((1, 1), kind)},
            Head(
                task="tags",
                layers=(HeadLayer(name="heads.a", outputs=1, bias=False, activation="gelu"),),
                labels=("a",),
            ),
        )
        for kind in (np.float32, np.float64)
    )
    assert np.abs(single - double).max() < 1e-6 * np.abs(double).max()
    np.testing.assert_allclose(double[:, 0], F.gelu(torch.from_numpy(x)), rtol=0, atol=EXACT)
