"""Families that were published with code of their own, against their formulas.

Each has its weights and its config.json under the published names here. The formulas are written
from the papers and the released code, one sequence at a time, in float64. What they share is BERT's
post-norm block (Devlin et al. 2019).

L positions; H heads, K head width; D model width; F feed-forward width.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch.nn.functional import gelu, layer_norm, relu

import bothways
from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.errors import AdapterWarning, CheckpointError, InputError, UnsupportedModel
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend
from bothways.nn.backend import TorchBackend
from bothways.reference import head_outputs
from bothways.reference.backend import ReferenceBackend

TOLERANCE = 1e-5
"""Of the scale of a layer's hidden states: fp32 rounding through a few layers, and no more."""

D, F, H, LAYERS, VOCABULARY = 24, 20, 3, 2, 40
K = D // H
LENGTHS = (1, 2, 9, 32)

Weights = dict[str, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Published:
    """A model under its published names.

    family: the name of its family in bothways. config: its config.json, as published but for sizes.
    shapes: of the weights of a layer. layer(x_LD, w, name): the layer with weights under a name.
    layers, prefix: what its file puts before the names of layers, and of the whole encoder.
    second: the shapes of the second layer, where they differ. norm: name of the embeddings' norm.
    first_position: row of the first position in the table of positions; None for no table.
    segments: number of token types. heads: shapes of theirs.
    """

    family: str
    config: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    layer: Callable[[torch.Tensor, Weights, str], torch.Tensor]
    second: dict[str, tuple[int, ...]] | None = None
    layers: str = "encoder.layer"
    prefix: str = "bert."
    norm: str = "embeddings.LayerNorm"
    first_position: int | None = None
    segments: int = 2
    heads: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    def all_shapes(self) -> dict[str, tuple[int, ...]]:
        names: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (VOCABULARY, D),
            f"{self.norm}.weight": (D,),
            f"{self.norm}.bias": (D,),
            "pooler.dense.weight": (D, D),
            "pooler.dense.bias": (D,),
        }
        if self.first_position is not None:
            rows = self.config["max_position_embeddings"]
            names["embeddings.position_embeddings.weight"] = (rows, D)
        if self.segments:
            names["embeddings.token_type_embeddings.weight"] = (self.segments, D)
        for i in range(LAYERS):
            shapes = self.second if i == 1 and self.second is not None else self.shapes
            names |= {f"{self.layers}.{i}.{name}": shape for name, shape in shapes.items()}
        return {self.prefix + name: shape for name, shape in names.items()} | self.heads


def linear(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    y = x @ w[f"{name}.weight"].T
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def norm(x: torch.Tensor, w: Weights, name: str, eps: float = 1e-12) -> torch.Tensor:
    return layer_norm(x, (D,), w[f"{name}.weight"], w[f"{name}.bias"], eps)


def heads_of(x_LD: torch.Tensor) -> torch.Tensor:
    return x_LD.view(-1, H, K).transpose(0, 1)


def attend(
    q_LD: torch.Tensor, k_LD: torch.Tensor, v_LD: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    score_HLL = heads_of(q_LD) @ heads_of(k_LD).mT / math.sqrt(K)
    if bias is not None:
        score_HLL = score_HLL + bias
    return (torch.softmax(score_HLL, -1) @ heads_of(v_LD)).transpose(0, 1).flatten(1)


def alibi(length: int) -> torch.Tensor:
    """Press et al. 2022: 3 heads have the slopes of 2 heads, then the first of 4 heads."""
    slopes = torch.tensor([2.0**-4, 2.0**-8, 2.0**-2], dtype=torch.float64)
    place = torch.arange(length, dtype=torch.float64)
    return -slopes[:, None, None] * (place[:, None] - place).abs()


def rotated(x_LD: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    angle = torch.arange(len(x_LD), dtype=torch.float64)[:, None] * frequencies
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    a, b = x_LD.view(-1, H, K).chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).flatten(1)


def gated(x: torch.Tensor, w: Weights, i: str, act: Callable[..., torch.Tensor]) -> torch.Tensor:
    """Shazeer 2020; the first half of the rows of `gated_layers` is activated."""
    gate, up = linear(x, w, f"{i}.mlp.gated_layers").chunk(2, -1)
    return norm(x + linear(act(gate) * up, w, f"{i}.mlp.wo"), w, f"{i}.mlp.layernorm")


def jina_bert_layer(
    x: torch.Tensor, w: Weights, i: str, act: Callable[..., torch.Tensor] = gelu
) -> torch.Tensor:
    """Günther et al. 2023, section 4.1."""
    return gated(jina_attention(x, w, i), w, i, act)


def jina_attention(x: torch.Tensor, w: Weights, i: str) -> torch.Tensor:
    q, k, v = (linear(x, w, f"{i}.attention.self.{name}") for name in ("query", "key", "value"))
    mixed = linear(attend(q, k, v, alibi(len(x))), w, f"{i}.attention.output.dense")
    return norm(x + mixed, w, f"{i}.attention.output.LayerNorm")


def plain_jina_layer(x: torch.Tensor, w: Weights, i: str) -> torch.Tensor:
    """The same with BERT's feed-forward."""
    x = jina_attention(x, w, i)
    inner = linear(gelu(linear(x, w, f"{i}.intermediate.dense")), w, f"{i}.output.dense")
    return norm(x + inner, w, f"{i}.output.LayerNorm")


def mosaic_layer(x: torch.Tensor, w: Weights, i: str) -> torch.Tensor:
    """Portes et al. 2023, section 2; Zhou et al. 2024, section 3.2."""
    q, k, v = linear(x, w, f"{i}.attention.self.Wqkv").chunk(3, -1)
    mixed = linear(attend(q, k, v, alibi(len(x))), w, f"{i}.attention.output.dense")
    return gated(norm(x + mixed, w, f"{i}.attention.output.LayerNorm"), w, i, gelu)


def gte_layer(x: torch.Tensor, w: Weights, i: str) -> torch.Tensor:
    """Zhang et al. 2024, section 2; the frequencies are those of NTK-aware scaling by 8."""
    pair = torch.arange(K // 2, dtype=torch.float64)
    frequencies = (8 * 20_000.0) ** (-2 * pair / K) / 8 ** (2 / K)
    q, k, v = linear(x, w, f"{i}.attention.qkv_proj").chunk(3, -1)
    mixed = attend(rotated(q, frequencies), rotated(k, frequencies), v)
    x = norm(x + linear(mixed, w, f"{i}.attention.o_proj"), w, f"{i}.attn_ln")
    up, gate = linear(x, w, f"{i}.mlp.up_gate_proj").chunk(2, -1)
    return norm(x + linear(gelu(gate) * up, w, f"{i}.mlp.down_proj"), w, f"{i}.mlp_ln")


def flash_layer(x: torch.Tensor, w: Weights, i: str, base: float | None = 20_000.0) -> torch.Tensor:
    """Sturua et al. 2024, section 3.1; without a base, positions are in the embeddings."""
    q, k, v = linear(x, w, f"{i}.mixer.Wqkv").chunk(3, -1)
    if base is not None:
        frequencies = base ** (-2 * torch.arange(K // 2, dtype=torch.float64) / K)
        q, k = rotated(q, frequencies), rotated(k, frequencies)
    mixed = linear(attend(q, k, v), w, f"{i}.mixer.out_proj")
    x = norm(x + mixed, w, f"{i}.norm1", 1e-5)
    inner = linear(gelu(linear(x, w, f"{i}.mlp.fc1")), w, f"{i}.mlp.fc2")
    return norm(x + inner, w, f"{i}.norm2", 1e-5)


def nomic_layer(x: torch.Tensor, w: Weights, i: str, chosen: int = 2) -> torch.Tensor:
    """Nussbaum and Duderstadt 2025, section 3; `chosen` experts of each position."""
    frequencies = 10_000.0 ** (-2 * torch.arange(K // 2, dtype=torch.float64) / K)
    q, k, v = linear(x, w, f"{i}.attn.Wqkv").chunk(3, -1)
    mixed = linear(
        attend(rotated(q, frequencies), rotated(k, frequencies), v), w, f"{i}.attn.out_proj"
    )
    x = norm(x + mixed, w, f"{i}.norm1", 1e-5)
    if f"{i}.mlp.fc1.weight" in w:
        inner = linear(gelu(linear(x, w, f"{i}.mlp.fc1")), w, f"{i}.mlp.fc2")
    else:
        inner = torch.stack([experts(row, w, f"{i}.mlp", chosen) for row in x])
    return norm(x + inner, w, f"{i}.norm2", 1e-5)


def experts(x_D: torch.Tensor, w: Weights, name: str, chosen: int) -> torch.Tensor:
    """The experts of one position: softmax, then the largest, whose sum is not made 1."""
    p = torch.softmax(w[f"{name}.router.layer.weight"] @ x_D, 0)
    y = w[f"{name}.experts.bias"]
    for expert in p.argsort(descending=True)[:chosen].tolist():
        rows = slice(expert * F, (expert + 1) * F)
        hidden = gelu(w[f"{name}.experts.mlp.w1"][rows] @ x_D)
        y = y + p[expert] * (hidden @ w[f"{name}.experts.mlp.w2"][rows])
    return y


def with_bias(*names: tuple[str, int, int]) -> dict[str, tuple[int, ...]]:
    """Shapes of linear maps: name, outputs, inputs."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, outputs, inputs in names:
        shapes |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    return shapes


def norms(*names: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": (D,) for name in names for part in ("weight", "bias")}


BERT_SIZES = {
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout": None,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": D,
    "initializer_range": 0.02,
    "intermediate_size": F,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 64,
    "num_attention_heads": H,
    "num_hidden_layers": LAYERS,
    "pad_token_id": 0,
    "torch_dtype": "float32",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": VOCABULARY,
}

JINA_CODE = "jinaai/jina-bert-implementation--"
JINA_BERT = BERT_SIZES | {
    "_name_or_path": "jinaai/jina-bert-implementation",
    "architectures": ["JinaBertForMaskedLM"],
    "auto_map": {
        "AutoConfig": JINA_CODE + "configuration_bert.JinaBertConfig",
        "AutoModelForMaskedLM": JINA_CODE + "modeling_bert.JinaBertForMaskedLM",
        "AutoModel": JINA_CODE + "modeling_bert.JinaBertModel",
    },
    "emb_pooler": "mean",
    "feed_forward_type": "geglu",
    "model_max_length": 8192,
    "model_type": "bert",
    "position_embedding_type": "alibi",
    "transformers_version": "4.26.0",
}
GATED = {"mlp.gated_layers.weight": (2 * F, D), **with_bias(("mlp.wo", D, F))}
GATED |= norms("mlp.layernorm", "attention.output.LayerNorm")
JINA_ATTENTION = with_bias(
    *((f"attention.self.{name}", D, D) for name in ("query", "key", "value")),
    ("attention.output.dense", D, D),
)
JINA_SHAPES = GATED | JINA_ATTENTION
BERT_MASKED = {
    **with_bias(("cls.predictions.transform.dense", D, D)),
    **norms("cls.predictions.transform.LayerNorm"),
}

FLASH_CODE = "jinaai/xlm-roberta-flash-implementation--"
FLASH = BERT_SIZES | {
    "architectures": ["XLMRobertaModel"],
    "auto_map": {
        "AutoConfig": FLASH_CODE + "configuration_xlm_roberta.XLMRobertaFlashConfig",
        "AutoModel": FLASH_CODE + "modeling_xlm_roberta.XLMRobertaModel",
    },
    "emb_pooler": None,
    "layer_norm_eps": 1e-5,
    "model_type": "xlm-roberta",
    "output_past": True,
    "pad_token_id": 1,
    "truncate_dim": None,
    "type_vocab_size": 1,
    "use_flash_attn": True,
}
FLASH_SHAPES = with_bias(
    ("mixer.Wqkv", 3 * D, D), ("mixer.out_proj", D, D), ("mlp.fc1", F, D), ("mlp.fc2", D, F)
) | norms("norm1", "norm2")

NOMIC_CODE = "nomic-ai/nomic-bert-2048--"
NOMIC = {
    "activation_function": "gelu",
    "architectures": ["NomicBertModel"],
    "attn_pdrop": 0.0,
    "auto_map": {
        "AutoConfig": NOMIC_CODE + "configuration_hf_nomic_bert.NomicBertConfig",
        "AutoModel": NOMIC_CODE + "modeling_hf_nomic_bert.NomicBertModel",
        "AutoModelForMaskedLM": NOMIC_CODE + "modeling_hf_nomic_bert.NomicBertForPreTraining",
    },
    "causal": False,
    "expert_choice_router": False,
    "ffn_div": 1.0,
    "layer_norm_epsilon": 1e-5,
    "layer_norm_eps": 1e-5,
    "mlp_fc1_bias": True,
    "mlp_fc2_bias": True,
    "model_type": "nomic_bert",
    "moe_every_n_layers": 2,
    "moe_impl": "megablocks",
    "moe_normalize_expert_weights": False,
    "moe_resid_pdrop": 0.0,
    "moe_top_k": 2,
    "n_embd": D,
    "n_head": H,
    "n_inner": F,
    "n_layer": LAYERS,
    "n_positions": 64,
    "num_experts": 8,
    "num_shared_experts": 0,
    "pad_vocab_size_multiple": 4,
    "parallel_block": False,
    "prenorm": False,
    "qkv_proj_bias": True,
    "resid_pdrop": 0.0,
    "rotary_emb_base": 10000.0,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
    "router_aux_loss_coef": 0.1,
    "type_vocab_size": 1,
    "use_flash_attn": True,
    "vocab_size": VOCABULARY,
}
NOMIC_ATTENTION = with_bias(("attn.Wqkv", 3 * D, D), ("attn.out_proj", D, D)) | norms(
    "norm1", "norm2"
)
NOMIC_SHAPES = NOMIC_ATTENTION | with_bias(("mlp.fc1", F, D), ("mlp.fc2", D, F))


def nomic_experts(count: int) -> dict[str, tuple[int, ...]]:
    return NOMIC_ATTENTION | {
        "mlp.router.layer.weight": (count, D),
        "mlp.experts.mlp.w1": (count * F, D),
        "mlp.experts.mlp.w2": (count * F, D),
        "mlp.experts.bias": (D,),
    }


MODELS = {
    "jina-embeddings-v2": Published(
        "jina_bert", JINA_BERT, JINA_SHAPES, jina_bert_layer, prefix="", heads={}
    ),
    "jina, masked tokens, reglu": Published(
        "jina_bert",
        JINA_BERT | {"feed_forward_type": "reglu"},
        JINA_SHAPES,
        lambda x, w, i: jina_bert_layer(x, w, i, relu),
        heads=BERT_MASKED | {"cls.predictions.bias": (VOCABULARY,)},
    ),
    "jina, no gate": Published(
        "jina_bert",
        {name: value for name, value in JINA_BERT.items() if name != "feed_forward_type"},
        JINA_ATTENTION
        | with_bias(("intermediate.dense", F, D), ("output.dense", D, F))
        | norms("output.LayerNorm", "attention.output.LayerNorm"),
        plain_jina_layer,
    ),
    "jina-reranker-v1": Published(
        "jina_bert",
        JINA_BERT | {"architectures": ["JinaBertForSequenceClassification"], "num_labels": 1},
        JINA_SHAPES,
        jina_bert_layer,
        heads=with_bias(("classifier", 1, D)),
    ),
    "dnabert-2": Published(
        "mosaic_bert",
        BERT_SIZES
        | {
            "_name_or_path": "zhihan1996/DNABERT-2-117M",
            "alibi_starting_size": 512,
            "architectures": ["BertForMaskedLM"],
            "auto_map": {
                "AutoConfig": "configuration_bert.BertConfig",
                "AutoModel": "bert_layers.BertModel",
                "AutoModelForMaskedLM": "bert_layers.BertForMaskedLM",
                "AutoModelForSequenceClassification": "bert_layers.BertForSequenceClassification",
            },
            "position_embedding_type": "absolute",
        },
        GATED | with_bias(("attention.self.Wqkv", 3 * D, D), ("attention.output.dense", D, D)),
        mosaic_layer,
        heads=BERT_MASKED | {"cls.predictions.decoder.bias": (VOCABULARY,)},
    ),
    "gte-multilingual-reranker": Published(
        "gte",
        BERT_SIZES
        | {
            "architectures": ["NewForSequenceClassification"],
            "auto_map": {
                "AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig",
                "AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel",
            },
            "id2label": {"0": "LABEL_0"},
            "layer_norm_type": "layer_norm",
            "logn_attention_clip1": False,
            "logn_attention_scale": False,
            "model_type": "new",
            "pack_qkv": True,
            "position_embedding_type": "rope",
            "rope_scaling": {"factor": 8.0, "type": "ntk"},
            "rope_theta": 20000,
            "type_vocab_size": 0,
            "unpad_inputs": False,
            "use_memory_efficient_attention": False,
        },
        with_bias(("attention.qkv_proj", 3 * D, D), ("attention.o_proj", D, D))
        | {"mlp.up_gate_proj.weight": (2 * F, D)}
        | with_bias(("mlp.down_proj", D, F))
        | norms("attn_ln", "mlp_ln"),
        gte_layer,
        prefix="new.",
        segments=0,
        heads=with_bias(("classifier", 1, D)),
    ),
    "jina-reranker-v2": Published(
        "xlm-roberta",
        FLASH
        | {"position_embedding_type": "absolute", "num_labels": 1}
        | {"architectures": ["XLMRobertaForSequenceClassification"]},
        FLASH_SHAPES,
        lambda x, w, i: flash_layer(x, w, i, None),
        layers="encoder.layers",
        prefix="roberta.",
        norm="emb_ln",
        first_position=2,
        segments=1,
        heads=with_bias(("classifier.dense", D, D), ("classifier.out_proj", 1, D)),
    ),
    "jina-colbert-v2": Published(
        "jina_embeddings_v3",
        FLASH | {"position_embedding_type": "rotary", "rotary_emb_base": 20000.0},
        FLASH_SHAPES,
        flash_layer,
        layers="encoder.layers",
        prefix="roberta.",
        norm="emb_ln",
        segments=1,
    ),
    "nomic-embed-text-v2-moe": Published(
        "nomic_bert_moe",
        NOMIC,
        NOMIC_SHAPES,
        nomic_layer,
        second=nomic_experts(8),
        layers="encoder.layers",
        prefix="",
        norm="emb_ln",
        segments=1,
    ),
    "nomic, one of three experts, masked tokens": Published(
        "nomic_bert_moe",
        NOMIC | {"num_experts": 3, "moe_top_k": 1, "architectures": ["NomicBertForPreTraining"]},
        NOMIC_SHAPES,
        lambda x, w, i: nomic_layer(x, w, i, 1),
        second=nomic_experts(3),
        layers="encoder.layers",
        norm="emb_ln",
        segments=1,
        heads={name.replace("LayerNorm", "layer_norm"): s for name, s in BERT_MASKED.items()}
        | {"cls.predictions.decoder.bias": (VOCABULARY,)},
    ),
    "nomic, no experts, classes": Published(
        "nomic_bert_moe",
        {name: value for name, value in NOMIC.items() if "moe" not in name and "exp" not in name}
        | {"architectures": ["NomicBertForSequenceClassification"], "num_labels": 1},
        NOMIC_SHAPES,
        nomic_layer,
        layers="encoder.layers",
        norm="emb_ln",
        segments=1,
        heads=with_bias(("classifier", 1, D)),
    ),
}


@dataclasses.dataclass(frozen=True)
class Built:
    model: Published
    path: Path
    weights: Weights
    folder: ModelBundle


def write(model: Published, path: Path, **config: Any) -> Weights:
    """Random weights and the config under the published names."""
    rng = np.random.default_rng(5)
    arrays = {
        name: (0.3 * rng.standard_normal(shape) + (len(shape) == 1)).astype(np.float32)
        for name, shape in model.all_shapes().items()
    }
    path.mkdir()
    save_file(arrays, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(model.config | config))
    return {name: torch.from_numpy(array).double() for name, array in arrays.items()}


@pytest.fixture(params=MODELS)
def built(request: pytest.FixtureRequest, tmp_path: Path) -> Built:
    model = MODELS[request.param]
    weights = write(model, tmp_path / "model")
    return Built(model, tmp_path / "model", weights, read_folder(tmp_path / "model"))


def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(2, VOCABULARY, length) for length in LENGTHS]


def expected(model: Published, weights: Weights, ids: np.ndarray) -> list[np.ndarray]:
    """The hidden states of each layer, (L, D), from the formulas; the segment is the first."""
    encoder = {
        name.removeprefix(model.prefix): array
        for name, array in weights.items()
        if name.startswith(model.prefix)
    }
    x = encoder["embeddings.word_embeddings.weight"][ids]
    if model.segments:
        x = x + encoder["embeddings.token_type_embeddings.weight"][0]
    if model.first_position is not None:
        rows = slice(model.first_position, model.first_position + len(ids))
        x = x + encoder["embeddings.position_embeddings.weight"][rows]
    states = [norm(x, encoder, model.norm, model.config["layer_norm_eps"])]
    for i in range(LAYERS):
        states.append(model.layer(states[-1], encoder, f"{model.layers}.{i}"))
    return [state.numpy() for state in states]


@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
def test_every_layer_equals_the_formulas(built: Built, backend: str) -> None:
    folder = built.folder
    make: dict[str, Callable[..., Any]] = {
        "reference": ReferenceBackend,
        "torch": lambda config, weights: TorchBackend(config, weights, device="cpu"),
        "native": NativeBackend,
    }
    layers = range(LAYERS + 1)
    batch = PackedBatch.of(sequences())
    found = make[backend](folder.config, folder.weights).hidden_states(batch, layers)
    for i, ids in enumerate(sequences()):
        for layer, want in enumerate(expected(built.model, built.weights, ids)):
            states = batch.split(found[layer])[i]
            assert np.abs(states - want).max() < TOLERANCE * np.abs(want).max()


def test_the_heads_equal_the_formulas(built: Built) -> None:
    weights, ids = built.weights, sequences()[2]
    x = torch.from_numpy(expected(built.model, weights, ids)[-1])
    assert built.folder.family == built.model.family
    tasks = [head.task for head in built.folder.spec.heads]
    if "classifier.weight" in built.model.heads:
        pooled = torch.tanh(linear(x[:1], weights, f"{built.model.prefix}pooler.dense"))
        want, task = linear(pooled, weights, "classifier")[0], "values"
    elif "classifier.dense.weight" in built.model.heads:
        pooled = torch.tanh(linear(x[:1], weights, "classifier.dense"))
        want, task = linear(pooled, weights, "classifier.out_proj")[0], "values"
    elif built.model.heads:
        name = "cls.predictions"
        inner = linear(x, weights, f"{name}.transform.dense")
        names = (f"{name}.transform.{part}" for part in ("LayerNorm", "layer_norm"))
        norm_name = next(each for each in names if f"{each}.weight" in weights)
        inner = norm(gelu(inner), weights, norm_name, built.model.config["layer_norm_eps"])
        table = weights[f"{built.model.prefix}embeddings.word_embeddings.weight"]
        bias = weights.get(f"{name}.bias", weights.get(f"{name}.decoder.bias"))
        assert bias is not None
        want, task = inner @ table.T + bias, "masked_tokens"
    else:
        assert not tasks
        return
    assert tasks == [task]
    assert not built.folder.unread_heads
    (head,) = built.folder.spec.heads
    found = head_outputs(x.numpy(), built.folder.all_weights, head)
    assert np.abs(found - want.numpy()).max() < TOLERANCE * np.abs(want.numpy()).max()


@pytest.mark.parametrize("to", ["transformers", "bothways"])
def test_an_export_is_the_same_model(built: Built, to: Any, tmp_path: Path) -> None:
    export(built.folder, tmp_path / "out", to)
    back = read_folder(tmp_path / "out")
    assert back.config == built.folder.config
    assert back.spec.heads == built.folder.spec.heads
    assert back.weights.keys() == built.folder.weights.keys()
    for name, array in built.folder.weights.items():
        assert np.array_equal(back.weights[name], array), name


@pytest.mark.parametrize("name", ["jina-reranker-v1", "dnabert-2"])
def test_an_export_has_the_published_names(name: str, tmp_path: Path) -> None:
    weights = write(MODELS[name], tmp_path / "model")
    export(read_folder(tmp_path / "model"), tmp_path / "out", "transformers")
    written = load_file(tmp_path / "out" / "model.safetensors")
    renamed = {key.replace("decoder.bias", "bias") for key in weights}
    assert {key.replace("decoder.bias", "bias") for key in written} == renamed
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["model_type"] == "bert"
    assert config["auto_map"]["AutoModel"].split("--")[-1] in {
        "modeling_bert.JinaBertModel",
        "bert_layers.BertModel",
    }


def test_other_code_under_the_same_model_type_is_refused(tmp_path: Path) -> None:
    code = {"AutoModel": "somebody/model--modeling_bert.JinaBertModel"}
    write(MODELS["jina-embeddings-v2"], tmp_path / "model", auto_map=code)
    with pytest.raises(UnsupportedModel, match="never runs the code of a model folder"):
        read_folder(tmp_path / "model")


def test_weights_of_another_code_are_refused_by_name(tmp_path: Path) -> None:
    model = MODELS["jina-embeddings-v2"]
    model = dataclasses.replace(model, shapes=model.shapes | norms("attention.self.layer_norm_q"))
    write(model, tmp_path / "model")
    with pytest.raises(CheckpointError, match="layer_norm_q"):
        read_folder(tmp_path / "model")


TASKS = ["retrieval.query", "text-matching"]
RANK, ALPHA = 2, 3


def write_with_adapters(path: Path) -> dict[str, Weights]:
    """jina-embeddings-v3: every matrix has adapters; returns the weights of each task."""
    model = MODELS["jina-colbert-v2"]
    adapters = {
        "auto_map": {"AutoModel": FLASH_CODE + "modeling_lora.XLMRobertaLoRA"},
        "lora_adaptations": TASKS,
        "lora_alpha": ALPHA,
        "lora_dropout_p": 0.0,
        "lora_main_params_trainable": False,
        "lora_rank": RANK,
        "load_trained_adapters": True,
        "matryoshka_dimensions": [8, 16],
        "task_instructions": {"retrieval.query": "query: ", "text-matching": ""},
    }
    base = write(model, path, **adapters)
    rng = np.random.default_rng(6)
    stored: dict[str, np.ndarray] = {}
    merged = {task: dict(base) for task in TASKS}
    for name, weight in base.items():
        if weight.ndim == 1:
            stored[name] = weight.numpy().astype(np.float32)
            continue
        (rows, columns), key = weight.shape, name.removesuffix(".weight")
        is_table = ".embeddings." in name
        a_shape, b_shape = ((rows, RANK), (RANK, columns)), ((RANK, columns), (rows, RANK))
        shapes = a_shape if is_table else b_shape
        a, b = (rng.standard_normal((2, *s)).astype(np.float32) for s in shapes)
        stored |= {
            f"{key}.parametrizations.weight.original": weight.numpy().astype(np.float32),
            f"{key}.parametrizations.weight.0.lora_A": a,
            f"{key}.parametrizations.weight.0.lora_B": b,
        }
        for number, task in enumerate(TASKS):
            left, right = (a[number], b[number]) if is_table else (b[number], a[number])
            update = torch.from_numpy(left).double() @ torch.from_numpy(right).double()
            merged[task][name] = weight + ALPHA / RANK * update
    save_file(stored, path / "model.safetensors")
    return merged | {"": base}


@pytest.mark.parametrize("task", ["", *TASKS])
def test_the_adapter_of_a_task_is_merged(task: str, tmp_path: Path) -> None:
    weights = write_with_adapters(tmp_path / "model")[task]
    if task:
        folder = read_folder(tmp_path / "model", adapter=task)
        assert folder.spec.default_prompt == task
    else:
        with pytest.warns(AdapterWarning, match=r"adapters for retrieval\.query, text-matching"):
            folder = read_folder(tmp_path / "model")
        assert folder.spec.default_prompt is None
    ids = sequences()[2]
    found = ReferenceBackend(folder.transformer, folder.weights).hidden_states(
        PackedBatch.of([ids]), [LAYERS]
    )[0]
    want = expected(MODELS["jina-colbert-v2"], weights, ids)[-1]
    assert np.abs(found - want).max() < TOLERANCE * np.abs(want).max()


def test_encoders_of_different_tasks_have_different_fingerprints(tmp_path: Path) -> None:
    write_with_adapters(tmp_path / "model")
    query, matching = (bothways.load(tmp_path / "model", adapter=task) for task in TASKS)
    assert query.fingerprint != matching.fingerprint
    assert not np.allclose(query.encode(sequences()[2]), matching.encode(sequences()[2]))


def test_an_unknown_adapter_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    write_with_adapters(tmp_path / "model")
    with pytest.raises(InputError, match=r"expected one of retrieval\.query, text-matching"):
        read_folder(tmp_path / "model", adapter="queries")
    write(MODELS["jina-colbert-v2"], tmp_path / "plain")
    with pytest.raises(InputError, match="plain has no adapters for tasks"):
        read_folder(tmp_path / "plain", adapter="queries")


def test_adapters_of_a_wrong_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_with_adapters(path)
    arrays = load_file(path / "model.safetensors")
    name = "roberta.encoder.layers.0.mlp.fc1.parametrizations.weight.0.lora_A"
    for bad, message in (
        (arrays[name][:1], "lora_A has shape"),
        (arrays[name][:, :, :3], "do not fit the weight"),
    ):
        save_file(arrays | {name: np.ascontiguousarray(bad)}, path / "model.safetensors")
        with pytest.raises(CheckpointError, match=rf"layers.0.mlp.fc1.*{message}"):
            read_folder(path, adapter=TASKS[0])


def test_a_folder_of_sentence_transformers_has_the_published_module(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_with_adapters(path)
    modules = [
        {"idx": 0, "name": "transformer", "path": "", "type": "custom_st.Transformer"},
        {
            "idx": 1,
            "name": "1",
            "path": "1_Pooling",
            "type": "sentence_transformers.models.Pooling",
        },
    ]
    (path / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": D, "pooling_mode_mean_tokens": True}
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (path / "modules.json").write_text(json.dumps(modules))
    about = {"prompts": {"retrieval.query": "query: "}, "default_prompt_name": None}
    (path / "config_sentence_transformers.json").write_text(json.dumps(about))
    folder = read_folder(path, adapter="retrieval.query")
    assert folder.spec.pooling.modes == ("mean",)
    assert folder.spec.default_prompt == "retrieval.query"

    write(MODELS["gte-multilingual-reranker"], tmp_path / "gte")
    (path / "config.json").write_bytes((tmp_path / "gte" / "config.json").read_bytes())
    with pytest.raises(UnsupportedModel, match=r"custom_st\.Transformer"):
        read_folder(path)
