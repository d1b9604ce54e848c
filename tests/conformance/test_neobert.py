"""NeoBERT (Le Breton et al. 2025) against its formulas, under its published names.

The formulas are written from the paper and the published code, one sequence at a time, in float64.

L positions; H heads, K head width; D model width; F feed-forward width.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch.nn.functional import silu

import bothways
from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.inference.backends import Backend
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend
from bothways.nn.backend import TorchBackend
from bothways.reference import head_outputs
from bothways.reference.backend import ReferenceBackend

TOLERANCE = 1e-5
"""Of the scale of a layer's hidden states: fp32 rounding through a few layers, and no more."""

VOCABULARY = 40
LENGTHS = (1, 2, 9, 32)

Weights = dict[str, torch.Tensor]

PUBLISHED: dict[str, Any] = {
    "architectures": ["NeoBERTLMHead"],
    "auto_map": {
        "AutoConfig": "model.NeoBERTConfig",
        "AutoModel": "model.NeoBERT",
        "AutoModelForMaskedLM": "model.NeoBERTLMHead",
        "AutoModelForSequenceClassification": "model.NeoBERTForSequenceClassification",
    },
    "classifier_init_range": 0.02,
    "decoder_init_range": 0.02,
    "dim_head": 64,
    "embedding_init_range": 0.02,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "kwargs": {
        "classifier_init_range": 0.02,
        "pretrained_model_name_or_path": "google-bert/bert-base-uncased",
        "trust_remote_code": True,
    },
    "max_length": 4096,
    "model_type": "neobert",
    "norm_eps": 1e-05,
    "num_attention_heads": 12,
    "num_hidden_layers": 28,
    "pad_token_id": 0,
    "pretrained_model_name_or_path": "google-bert/bert-base-uncased",
    "torch_dtype": "float32",
    "transformers_version": "4.48.2",
    "trust_remote_code": True,
    "vocab_size": 30522,
}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """A tiny model; inner is what its config.json says, and F what that stands for."""

    L: int
    H: int
    K: int
    inner: int
    F: int
    eps: float = 1e-5
    head: str = "LMHead"

    @property
    def D(self) -> int:
        return self.H * self.K

    @property
    def config(self) -> dict[str, Any]:
        return PUBLISHED | {
            "architectures": [f"NeoBERT{self.head}"],
            "dim_head": self.K,
            "hidden_size": self.D,
            "intermediate_size": self.inner,
            "num_attention_heads": self.H,
            "num_hidden_layers": self.L,
            "max_length": 32,
            "norm_eps": self.eps,
            "vocab_size": VOCABULARY,
        }


MODELS = {
    "masked tokens": Sizes(L=2, H=3, K=8, inner=48, F=32),
    "classes": Sizes(L=3, H=2, K=4, inner=25, F=16, eps=1e-2, head="ForSequenceClassification"),
    "one head": Sizes(L=1, H=1, K=6, inner=12, F=8, head=""),
}


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    D, F = sizes.D, sizes.F
    names: dict[str, tuple[int, ...]] = {
        "encoder.weight": (VOCABULARY, D),
        "layer_norm.weight": (D,),
    }
    for i in range(sizes.L):
        block = f"transformer_encoder.{i}."
        names |= {
            block + "qkv.weight": (3 * D, D),
            block + "wo.weight": (D, D),
            block + "ffn.w12.weight": (2 * F, D),
            block + "ffn.w3.weight": (D, F),
            block + "attention_norm.weight": (D,),
            block + "ffn_norm.weight": (D,),
        }
    if sizes.head:
        names = {f"model.{name}": shape for name, shape in names.items()}
    if sizes.head == "LMHead":
        names |= {"decoder.weight": (VOCABULARY, D), "decoder.bias": (VOCABULARY,)}
    elif sizes.head:
        names |= {"dense.weight": (D, D), "dense.bias": (D,)}
        names |= {"classifier.weight": (2, D), "classifier.bias": (2,)}
    return names


def norm(x: torch.Tensor, gain: torch.Tensor, eps: float) -> torch.Tensor:
    return gain * x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


def rotated(x_LHK: torch.Tensor) -> torch.Tensor:
    """Su et al. 2021, eq. 15: numbers 2i and 2i + 1 are a complex number, turned by its angle."""
    L, _, K = x_LHK.shape
    frequency = 10_000.0 ** (-torch.arange(0, K, 2, dtype=torch.float64) / K)
    angle = torch.outer(torch.arange(L, dtype=torch.float64), frequency)[:, None]
    even, odd = x_LHK[..., 0::2], x_LHK[..., 1::2]
    turned = even * angle.cos() - odd * angle.sin(), even * angle.sin() + odd * angle.cos()
    return torch.stack(turned, -1).flatten(-2)


def hidden_states(sizes: Sizes, w: Weights, ids: np.ndarray) -> list[torch.Tensor]:
    """The hidden states of each layer, (L, D); those of the last are normalized."""
    encoder = {name.removeprefix("model."): array for name, array in w.items()}
    x = encoder["encoder.weight"][ids]
    states = [x]
    for i in range(sizes.L):
        b = {
            name.removeprefix(f"transformer_encoder.{i}."): array for name, array in encoder.items()
        }
        mixed = norm(x, b["attention_norm.weight"], sizes.eps) @ b["qkv.weight"].T
        # The rows of a head are its queries, keys and values.
        q, k, v = mixed.view(len(ids), sizes.H, 3 * sizes.K).split(sizes.K, -1)
        scores = torch.einsum("ihk,jhk->hij", rotated(q), rotated(k)) / sizes.K**0.5
        attended = torch.einsum("hij,jhk->ihk", scores.softmax(-1), v).flatten(1)
        x = x + attended @ b["wo.weight"].T
        inner = norm(x, b["ffn_norm.weight"], sizes.eps) @ b["ffn.w12.weight"].T
        first, second = inner.chunk(2, -1)
        x = x + (silu(first) * second) @ b["ffn.w3.weight"].T
        states.append(x)
    states[-1] = norm(x, encoder["layer_norm.weight"], sizes.eps)
    return states


@dataclasses.dataclass(frozen=True)
class Built:
    sizes: Sizes
    path: Path
    weights: Weights
    folder: ModelBundle


def write(sizes: Sizes, path: Path, **changes: Any) -> Weights:
    rng = np.random.default_rng(5)
    arrays = {
        name: (0.4 * rng.standard_normal(shape) + (len(shape) == 1)).astype(np.float32)
        for name, shape in shapes(sizes).items()
    }
    path.mkdir()
    save_file(arrays, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(sizes.config | changes))
    return {name: torch.from_numpy(array).double() for name, array in arrays.items()}


@pytest.fixture(params=MODELS)
def built(request: pytest.FixtureRequest, tmp_path: Path) -> Built:
    sizes, path = MODELS[request.param], tmp_path / "model"
    weights = write(sizes, path)
    return Built(sizes, path, weights, read_folder(path))


def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, VOCABULARY, length) for length in LENGTHS]


BACKENDS: dict[str, Callable[[ModelBundle], Backend]] = {
    "reference": lambda f: ReferenceBackend(f.transformer, f.weights, dtype=np.float64),
    "torch": lambda f: TorchBackend(f.config, f.weights, device="cpu"),
    "native": lambda f: NativeBackend(f.transformer, f.weights),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_layer_equals_the_formulas(built: Built, backend: str) -> None:
    layers = range(built.sizes.L + 1)
    batch = PackedBatch.of(sequences())
    found = BACKENDS[backend](built.folder).hidden_states(batch, layers)
    for i, ids in enumerate(sequences()):
        for layer, want in enumerate(hidden_states(built.sizes, built.weights, ids)):
            states = batch.split(found[layer])[i]
            assert np.abs(states - want.numpy()).max() < TOLERANCE * want.abs().max()


def test_the_heads_equal_the_formulas(built: Built) -> None:
    weights, ids = built.weights, sequences()[2]
    x = hidden_states(built.sizes, weights, ids)[-1]
    assert not built.folder.unread_heads
    if not built.sizes.head:
        assert not built.folder.spec.heads
        return
    (head,) = built.folder.spec.heads
    if built.sizes.head == "LMHead":
        want, task = x @ weights["decoder.weight"].T + weights["decoder.bias"], "masked_tokens"
    else:
        pooled = torch.tanh(x[0] @ weights["dense.weight"].T + weights["dense.bias"])
        want = pooled @ weights["classifier.weight"].T + weights["classifier.bias"]
        task = "classes"
    assert head.task == task
    found = head_outputs(x.numpy(), built.folder.all_weights, head)
    np.testing.assert_allclose(found, want.numpy(), rtol=0, atol=TOLERANCE * want.abs().max())


@pytest.mark.parametrize("to", ["transformers", "bothways"])
def test_an_export_is_the_same_model(built: Built, to: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(built.folder, out, to)
    back = read_folder(out)
    assert back.config == built.folder.config
    assert back.spec.heads == built.folder.spec.heads
    for ours, again in (
        (built.folder.weights, back.weights),
        (built.folder.head_weights, back.head_weights),
    ):
        assert again.keys() == ours.keys()
        assert all(np.array_equal(again[name], ours[name]) for name in ours)
    if to == "transformers":  # the published names, and the rows of the published matrices
        arrays = load_file(out / "model.safetensors")
        assert arrays.keys() == built.weights.keys()
        for name, array in arrays.items():
            assert np.array_equal(array, built.weights[name].numpy()), name


def test_the_published_config_is_read_without_unread_fields() -> None:
    config, settings = FAMILIES["neobert"].read_config(PUBLISHED, "config.json")
    assert (config.d_ff, config.max_length, config.norm_eps) == (2048, 4096, 1e-5)
    assert not UnreadFields.of(settings)
    written = FAMILIES["neobert"].write_config(config, settings)
    assert written["intermediate_size"] == 3072
    assert written["auto_map"]["AutoModel"] == "chandar-lab/NeoBERT--model.NeoBERT"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auto_map": {"AutoModel": "modeling_neobert.NeoBERT"}}, "never runs the code"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ({"rope": False}, "rope=False"),
        ({"dim_head": 16}, "dim_head=16"),
    ],
)
def test_other_variants_of_the_code_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write(MODELS["one head"], tmp_path / "model", **changes)
    with pytest.raises(UnsupportedModel, match=message):
        read_folder(tmp_path / "model")


def test_a_fused_matrix_of_a_wrong_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write(MODELS["one head"], path)
    arrays = load_file(path / "model.safetensors")
    name = "transformer_encoder.0.qkv.weight"
    for bad in (arrays[name][:-1], arrays[name][:12], arrays[name].ravel()):
        save_file(arrays | {name: np.ascontiguousarray(bad)}, path / "model.safetensors")
        with pytest.raises(CheckpointError, match=r"qkv|attention"):
            read_folder(path)


def test_vectors_are_those_of_the_last_layer(tmp_path: Path) -> None:
    sizes = MODELS["masked tokens"]
    weights = write(sizes, tmp_path / "model")
    ids = sequences()[2]
    want = hidden_states(sizes, weights, ids)[-1].numpy()
    encoder = bothways.load(tmp_path / "model")
    found = encoder.encode(ids, pooling="cls")
    np.testing.assert_allclose(found, want[0], rtol=0, atol=TOLERANCE * np.abs(want).max())
