"""Every family against its implementation in transformers, on tiny models with random weights.

The models are built here, saved by transformers, read by bothways, and run by both.
"""

import dataclasses
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import bothways
from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.checkpoints.export import Format
from bothways.checkpoints.families import FAMILIES
from bothways.errors import CheckpointError, LengthWarning, TruncationWarning, UnsupportedModel
from bothways.inference.backends import Backend, BackendName
from bothways.model.packing import PackedBatch
from bothways.nn.backend import TorchBackend
from bothways.reference.backend import ReferenceBackend

TOLERANCE = 1e-5
"""Of the scale of a layer's hidden states: fp32 rounding through a few layers, and no more."""

VOCABULARY = 60
PADDING = 2
"""Ids below are the padding token of one family or another, which RoBERTa and its like do not count
as a position."""


@dataclasses.dataclass(frozen=True)
class Point:
    """A tiny model: transformers' class, its config, and the lengths to try.

    mask: an id to sprinkle over the input. half: save the weights in fp16.
    """

    model: str
    config: dict[str, Any]
    lengths: tuple[int, ...] = (1, 2, 3, 7, 12, 16, 16)
    mask: int | None = None
    half: bool = False

    @property
    def segments(self) -> int:
        return int(self.config.get("type_vocab_size", 0))


SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 16,
}
WITH_SEGMENTS = SMALL | {"type_vocab_size": 2}
OFFSET = WITH_SEGMENTS | {"max_position_embeddings": 18}  # positions from row 2, so 16 of them
DISTIL = {
    "vocab_size": VOCABULARY,
    "dim": 16,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 24,
    "max_position_embeddings": 16,
}
ALBERT = WITH_SEGMENTS | {"embedding_size": 8}
FAR = SMALL | {"max_position_embeddings": 302}
FAR_LENGTHS = (1, 2, 17, 40, 129, 300)
ESM = SMALL | {"mask_token_id": 4, "pad_token_id": 1, "position_embedding_type": "rotary"}
ESM |= {"max_position_embeddings": 200}
MODERN = SMALL | {"max_position_embeddings": 64, "local_attention": 8, "pad_token_id": 0}
MODERN |= {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
AROUND_WINDOWS = (*range(1, 22), 64)

GROUPED = SMALL | {
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
EUROBERT = GROUPED | {"bos_token_id": 1, "eos_token_id": 2, "mask_token_id": 3}
GEMMA = GROUPED | {"query_pre_attn_scalar": 8, "sliding_window": 8, "num_hidden_layers": 4}
T5 = {"vocab_size": VOCABULARY, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 3}
T5 |= {"num_heads": 4, "num_decoder_layers": 1}
ESMC = SMALL | {"max_position_embeddings": 64}
DEBERTA = SMALL | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
DEBERTA_V3 = DEBERTA | {
    "max_position_embeddings": 300,
    "position_buckets": 16,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_biased_input": False,
}

POINTS = {
    "bert": Point("BertModel", WITH_SEGMENTS),
    "bert-masked": Point("BertForMaskedLM", WITH_SEGMENTS | {"hidden_act": "gelu_new"}, half=True),
    "bert-pretraining": Point("BertForPreTraining", WITH_SEGMENTS | {"layer_norm_eps": 1e-5}),
    "bert-relu": Point(
        "BertForTokenClassification", SMALL | {"hidden_act": "relu", "type_vocab_size": 1}
    ),
    "roberta": Point("RobertaModel", OFFSET | {"type_vocab_size": 1}),
    "roberta-masked": Point("RobertaForMaskedLM", OFFSET | {"layer_norm_eps": 1e-5}),
    "roberta-pad-0": Point("RobertaForSequenceClassification", OFFSET | {"pad_token_id": 0}),
    "xlm-roberta": Point("XLMRobertaModel", OFFSET | {"type_vocab_size": 1}),
    "xlm-roberta-masked": Point("XLMRobertaForMaskedLM", OFFSET),
    "xlm-roberta-tokens": Point(
        "XLMRobertaForTokenClassification", OFFSET | {"hidden_act": "silu"}
    ),
    "distilbert": Point("DistilBertModel", DISTIL),
    "distilbert-masked": Point("DistilBertForMaskedLM", DISTIL | {"sinusoidal_pos_embds": True}),
    "distilbert-classes": Point(
        "DistilBertForSequenceClassification", DISTIL | {"activation": "relu"}
    ),
    "electra": Point("ElectraModel", WITH_SEGMENTS | {"embedding_size": 16}),
    "electra-generator": Point("ElectraForMaskedLM", WITH_SEGMENTS | {"embedding_size": 8}),
    "electra-discriminator": Point("ElectraForPreTraining", WITH_SEGMENTS | {"embedding_size": 24}),
    "mpnet": Point("MPNetModel", FAR, FAR_LENGTHS),
    "mpnet-masked": Point("MPNetForMaskedLM", FAR | {"layer_norm_eps": 1e-5}, FAR_LENGTHS),
    "mpnet-pad-0": Point("MPNetForSequenceClassification", FAR | {"pad_token_id": 0}, FAR_LENGTHS),
    "albert": Point("AlbertModel", ALBERT | {"num_hidden_layers": 4}),
    "albert-groups": Point("AlbertForMaskedLM", ALBERT | {"num_hidden_groups": 2}),
    "albert-wide": Point(
        "AlbertForPreTraining", ALBERT | {"embedding_size": 16, "hidden_act": "gelu"}
    ),
    "esm2": Point("EsmModel", ESM | {"token_dropout": True}, mask=4),
    "esm2-masked": Point("EsmForMaskedLM", ESM | {"emb_layer_norm_before": True}, (1, 3, 200)),
    "esm2-half": Point(
        "EsmForTokenClassification",
        ESM | {"token_dropout": True, "num_attention_heads": 1},
        (1, 3, 200),
        mask=4,
        half=True,
    ),
    "esm1b": Point(
        "EsmForMaskedLM",
        ESM
        | {
            "position_embedding_type": "absolute",
            "max_position_embeddings": 18,
            "emb_layer_norm_before": True,
            "token_dropout": True,
        },
        mask=4,
    ),
    "modernbert": Point("ModernBertModel", MODERN | {"num_hidden_layers": 4}, AROUND_WINDOWS),
    "modernbert-masked": Point(
        "ModernBertForMaskedLM",
        MODERN
        | {
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "local_attention": 5,
            "attention_bias": True,
            "mlp_bias": True,
            "norm_bias": True,
        },
        AROUND_WINDOWS,
    ),
    "modernbert-classes": Point(
        "ModernBertForSequenceClassification",
        MODERN | {"global_attn_every_n_layers": 1, "hidden_activation": "silu"},
        AROUND_WINDOWS,
    ),
    "nomic": Point(
        "NomicBertModel", WITH_SEGMENTS | {"max_position_embeddings": 64}, (1, 2, 16, 64)
    ),
    "nomic-masked": Point("NomicBertForMaskedLM", WITH_SEGMENTS | {"hidden_act": "gelu"}),
    "nomic-classes": Point(
        "NomicBertForSequenceClassification",
        WITH_SEGMENTS | {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
    ),
    "camembert": Point("CamembertForMaskedLM", OFFSET),
    "camembert-tokens": Point("CamembertForTokenClassification", OFFSET | {"pad_token_id": 0}),
    "data2vec": Point("Data2VecTextModel", OFFSET),
    "data2vec-masked": Point("Data2VecTextForMaskedLM", OFFSET | {"type_vocab_size": 1}),
    "xlm-roberta-xl": Point("XLMRobertaXLModel", OFFSET),
    "xlm-roberta-xl-masked": Point("XLMRobertaXLForMaskedLM", OFFSET | {"type_vocab_size": 1}),
    "roberta-pre-norm": Point("RobertaPreLayerNormModel", OFFSET),
    "roberta-pre-norm-masked": Point("RobertaPreLayerNormForMaskedLM", OFFSET, half=True),
    "megatron": Point("MegatronBertModel", WITH_SEGMENTS),
    "megatron-masked": Point("MegatronBertForMaskedLM", WITH_SEGMENTS | {"hidden_act": "gelu_new"}),
    "ernie": Point("ErnieModel", WITH_SEGMENTS),
    "ernie-masked": Point("ErnieForMaskedLM", WITH_SEGMENTS | {"hidden_act": "relu"}),
    "dpr": Point("DPRContextEncoder", WITH_SEGMENTS),
    "qwen3": Point("Qwen3Model", GROUPED, AROUND_WINDOWS),
    "qwen3-both-ways": Point(
        "Qwen3Model",
        GROUPED
        | {
            "is_causal": False,
            "use_sliding_window": True,
            "sliding_window": 3,
            "max_window_layers": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
        AROUND_WINDOWS,
    ),
    "qwen3-classes": Point(
        "Qwen3ForSequenceClassification",
        GROUPED
        | {
            "head_dim": 4,
            "num_key_value_heads": 1,
            "attention_bias": True,
            "use_sliding_window": True,
            "sliding_window": 3,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        AROUND_WINDOWS,
    ),
    "qwen2": Point("Qwen2Model", GROUPED | {"head_dim": 4}, AROUND_WINDOWS),
    "qwen2-both-ways": Point(
        "Qwen2Model",
        GROUPED | {"is_causal": False, "head_dim": 6, "num_key_value_heads": None},
        AROUND_WINDOWS,
    ),
    "qwen2-classes": Point(
        "Qwen2ForSequenceClassification",
        GROUPED | {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2},
        AROUND_WINDOWS,
    ),
    "mistral": Point("MistralModel", GROUPED | {"sliding_window": None}, AROUND_WINDOWS),
    "mistral-windows": Point("MistralModel", GROUPED | {"sliding_window": 4}, AROUND_WINDOWS),
    "mistral-tags": Point(
        "MistralForTokenClassification",
        GROUPED
        | {
            "is_causal": False,
            "head_dim": None,
            "sliding_window": 3,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
        },
        AROUND_WINDOWS,
    ),
    "qwen3-yarn": Point(
        "Qwen3Model",
        GROUPED
        | {
            "rope_parameters": {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 16,
                "beta_slow": 0.5,
                "beta_fast": 4,
                "rope_theta": 500.0,
            }
        },
        AROUND_WINDOWS,
    ),
    "qwen2-llama3": Point(
        "Qwen2Model",
        GROUPED
        | {
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
                "rope_theta": 100.0,
            },
        },
        AROUND_WINDOWS,
    ),
    "mistral-longrope": Point(
        "MistralModel",
        GROUPED
        | {
            "sliding_window": None,
            "max_position_embeddings": 256,
            "rope_parameters": {
                "rope_type": "longrope",
                "original_max_position_embeddings": 64,
                "short_factor": [1.0, 1.5, 2.0, 3.0],
                "long_factor": [2.0, 4.0, 8.0, 16.0],
                "rope_theta": 300.0,
            },
        },
        AROUND_WINDOWS,
    ),
    "eurobert-dynamic": Point(
        "EuroBertModel",
        EUROBERT
        | {"rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 100.0}},
        AROUND_WINDOWS,
    ),
    "gemma3-scaled": Point(
        "Gemma3TextModel",
        GEMMA
        | {
            "use_bidirectional_attention": True,
            "sliding_window_pattern": 2,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 300.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
        },
        AROUND_WINDOWS,
    ),
    "modernbert-scaled": Point(
        "ModernBertModel",
        MODERN
        | {
            "rope_parameters": {
                kind: {
                    "rope_type": "yarn",
                    "factor": 2.0,
                    "original_max_position_embeddings": 32,
                    "mscale": 1.0,
                    "mscale_all_dim": 0.5,
                    "rope_theta": theta,
                }
                for kind, theta in (("full_attention", 900.0), ("sliding_attention", 100.0))
            }
        },
        AROUND_WINDOWS,
    ),
    "nomic-scaled": Point(
        "NomicBertModel",
        WITH_SEGMENTS
        | {
            "max_position_embeddings": 64,
            "hidden_size": 32,
            "rope_parameters": {
                "rope_type": "yarn",
                "factor": 4.0,
                "truncate": False,
                "attention_factor": 1.3,
                "original_max_position_embeddings": 16,
                "rope_theta": 200.0,
            },
        },
        (1, 2, 16, 64),
    ),
    "eurobert": Point("EuroBertModel", EUROBERT | {"num_key_value_heads": None}),
    "eurobert-masked": Point(
        "EuroBertForMaskedLM", EUROBERT | {"mlp_bias": True, "attention_bias": True}
    ),
    "eurobert-classes": Point(
        "EuroBertForSequenceClassification",
        EUROBERT | {"classifier_pooling": "bos", "hidden_act": "gelu", "head_dim": None},
    ),
    "gemma3": Point(
        "Gemma3TextModel", GEMMA | {"use_bidirectional_attention": True}, AROUND_WINDOWS
    ),
    "gemma3-causal": Point("Gemma3TextModel", GEMMA | {"head_dim": 4}, AROUND_WINDOWS),
    "gemma3-classes": Point(
        "Gemma3TextForSequenceClassification",
        GEMMA
        | {
            "use_bidirectional_attention": True,
            "sliding_window": 5,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
            },
        },
        AROUND_WINDOWS,
    ),
    "t5": Point("T5EncoderModel", T5, FAR_LENGTHS),
    "t5-gated": Point(
        "T5EncoderModel",
        T5
        | {
            "d_kv": 6,
            "feed_forward_proj": "gated-gelu",
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 20,
        },
        FAR_LENGTHS,
        half=True,
    ),
    "t5-tags": Point(
        "T5ForTokenClassification", T5 | {"feed_forward_proj": "gated-silu", "num_heads": 2}
    ),
    "esmc": Point("EsmcModel", ESMC),
    "esmc-masked": Point("EsmcForMaskedLM", ESMC | {"mlp_bias": True, "attention_bias": True}),
    "esmc-classes": Point(
        "EsmcForSequenceClassification",
        ESMC | {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
    ),
    "deberta-v3": Point("DebertaV2Model", DEBERTA_V3, FAR_LENGTHS),
    "deberta-v3-classes": Point(
        "DebertaV2ForSequenceClassification",
        DEBERTA_V3 | {"pos_att_type": "c2p", "position_buckets": 9, "max_relative_positions": 40},
        FAR_LENGTHS,
        half=True,
    ),
    "deberta-v2": Point(
        "DebertaV2Model", DEBERTA | {"type_vocab_size": 2, "max_relative_positions": 5}
    ),
    "deberta-v2-masked": Point("DebertaV2ForMaskedLM", DEBERTA | {"pos_att_type": ["p2c"]}),
    "deberta-v2-new-masked": Point(
        "DebertaV2ForMaskedLM",
        DEBERTA | {"legacy": False, "share_att_key": True, "position_buckets": 8},
    ),
    "deberta-v2-absolute": Point(
        "DebertaV2ForTokenClassification", SMALL | {"hidden_act": "gelu_new"}
    ),
    "deberta-v2-convolution": Point(
        "DebertaV2Model",
        DEBERTA_V3 | {"conv_kernel_size": 3, "conv_act": "gelu", "type_vocab_size": 2},
        FAR_LENGTHS,
    ),
    "deberta-v2-convolution-groups": Point(
        "DebertaV2ForTokenClassification",
        DEBERTA | {"conv_kernel_size": 5, "conv_groups": 4, "num_hidden_layers": 1},
        half=True,
    ),
    "deberta-v2-convolution-channels": Point(
        "DebertaV2ForMaskedLM",
        SMALL | {"conv_kernel_size": 1, "conv_groups": 16, "conv_act": "gelu_new"},
    ),
    "deberta": Point("DebertaModel", DEBERTA | {"type_vocab_size": 2}),
    "deberta-far": Point(
        "DebertaForSequenceClassification",
        DEBERTA
        | {
            "pos_att_type": "c2p",
            "max_relative_positions": 40,
            "max_position_embeddings": 300,
            "position_biased_input": False,
        },
        FAR_LENGTHS,
        half=True,
    ),
    "deberta-masked": Point("DebertaForMaskedLM", DEBERTA | {"pos_att_type": ["p2c"]}),
    "deberta-new-masked": Point(
        "DebertaForMaskedLM", DEBERTA | {"legacy": False, "max_relative_positions": 5}
    ),
    "deberta-absolute": Point(
        "DebertaForTokenClassification", SMALL | {"hidden_act": "gelu_new", "layer_norm_eps": 1e-5}
    ),
}

LONGFORMER = OFFSET | {"attention_window": 4}
BIG_BIRD = WITH_SEGMENTS | {"max_position_embeddings": 64}
POINTS |= {
    "longformer": Point("LongformerModel", LONGFORMER),
    "longformer-layers": Point(
        "LongformerForMaskedLM",
        LONGFORMER
        | {"attention_window": [4, 16, 8], "max_position_embeddings": 66, "type_vocab_size": 1},
        AROUND_WINDOWS,
        half=True,
    ),
    "longformer-tags": Point(
        "LongformerForTokenClassification",
        LONGFORMER | {"attention_window": 64, "pad_token_id": 0, "layer_norm_eps": 1e-5},
    ),
    "big-bird": Point("BigBirdModel", BIG_BIRD, (1, 2, 17, 64)),
    "big-bird-full": Point(
        "BigBirdForMaskedLM",
        BIG_BIRD | {"attention_type": "original_full", "block_size": 1, "rescale_embeddings": True},
        (1, 2, 17, 64),
    ),
    "big-bird-classes": Point(
        "BigBirdForSequenceClassification",
        BIG_BIRD | {"block_size": 8, "num_random_blocks": 2, "hidden_act": "silu"},
        (1, 2, 17, 64),
    ),
}

GTE = SMALL | {"pad_token_id": 0, "max_position_embeddings": 64}
POINTS |= {
    "gte": Point("GteModel", GTE | {"type_vocab_size": 2}, (1, 2, 16, 64)),
    "gte-scaled": Point(
        "GteModel",
        GTE
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
                "rope_theta": 50.0,
            }
        },
        (1, 2, 16, 64),
    ),
    "gte-masked": Point("GteForMaskedLM", GTE | {"type_vocab_size": 0, "hidden_act": "silu"}),
    "gte-classes": Point(
        "GteForSequenceClassification",
        GTE | {"rope_parameters": {"rope_type": "linear", "factor": 1.5, "rope_theta": 50.0}},
    ),
    "jina-v3": Point("JinaEmbeddingsV3Model", WITH_SEGMENTS, (1, 2, 16)),
    "jina-v3-masked": Point("JinaEmbeddingsV3ForMaskedLM", GTE | {"layer_norm_eps": 1e-12}),
    "jina-v3-classes": Point(
        "JinaEmbeddingsV3ForSequenceClassification",
        SMALL | {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
    ),
}

BACKENDS: dict[str, Callable[[ModelBundle], Backend]] = {
    "reference": lambda f: ReferenceBackend(f.transformer, f.weights, dtype=np.float64),
    "torch": lambda f: TorchBackend(f.config, f.weights, device="cpu"),
}


@dataclasses.dataclass(frozen=True)
class Built:
    """A model of transformers in float64, the folder it was saved to, and that folder as read."""

    model: Any
    path: Path
    folder: ModelBundle


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@functools.cache
def build(name: str, scratch: Path) -> Built:
    point = POINTS[name]
    torch.manual_seed(1)
    model_class = getattr(transformers, point.model)
    model = model_class(model_class.config_class(**point.config)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # fresh weights are too small to tell layers apart
            parameter += 0.2 * torch.randn_like(parameter)
    if point.half:
        model = model.half()
    path = scratch / name
    model.save_pretrained(path)
    return Built(model.double(), path, read_folder(path))


def sequences(point: Point) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    drawn = [rng.integers(0, VOCABULARY, length) for length in point.lengths]
    for ids in drawn:
        is_padding = rng.random(len(ids)) < 0.2
        ids[is_padding] = rng.integers(0, PADDING, is_padding.sum())
        if point.mask is not None:
            ids[rng.random(len(ids)) < 0.3] = point.mask
            ids[0] = VOCABULARY - 1  # never a mask in all positions: that gives them NaN
    return drawn


def segments_of(point: Point) -> list[np.ndarray] | None:
    if point.segments < 2:
        return None
    rng = np.random.default_rng(3)
    return [rng.integers(0, point.segments, length) for length in point.lengths]


def bare(model: Any) -> Any:
    """The encoder of a model; DPR's has the one of BERT inside."""
    return getattr(model.base_model, "bert_model", model.base_model)


def theirs(model: Any, point: Point) -> list[np.ndarray]:
    """Hidden states (layers, length, D) of each sequence, by transformers."""
    segments = segments_of(point)
    states = []
    for i, ids in enumerate(sequences(point)):
        inputs = {"input_ids": torch.tensor(ids[None]), "attention_mask": torch.ones(1, len(ids))}
        if segments is not None:
            inputs["token_type_ids"] = torch.tensor(segments[i][None])
        with torch.no_grad():
            output = bare(model)(**inputs, output_hidden_states=True)
        states.append(torch.cat(output.hidden_states).double().numpy())
        assert np.isfinite(states[-1]).all()
    return states


def check_equal(backend: Backend, point: Point, expected: list[np.ndarray]) -> None:
    batch = PackedBatch.of(sequences(point), segments_of(point))
    layers = range(backend.config.num_layers + 1)
    ours = np.split(backend.hidden_states(batch, layers), np.cumsum(point.lengths)[:-1], axis=1)
    for states, want in zip(ours, expected, strict=True):
        for layer in layers:
            scale = np.abs(want[layer]).max()
            np.testing.assert_allclose(
                states[layer],
                want[layer],
                rtol=0,
                atol=TOLERANCE * scale,
                err_msg=f"layer {layer}, {states.shape[1]} tokens",
            )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", POINTS)
def test_every_layer_equals_transformers(name: str, backend: str, scratch: Path) -> None:
    built = build(name, scratch)
    check_equal(BACKENDS[backend](built.folder), POINTS[name], theirs(built.model, POINTS[name]))


@pytest.mark.parametrize("name", POINTS)
def test_an_exported_folder_is_the_same_model_to_transformers(
    name: str, scratch: Path, tmp_path: Path
) -> None:
    built, point = build(name, scratch), POINTS[name]
    export(built.folder, tmp_path / "out", "transformers")

    loader = transformers.AutoModel
    if point.model == "T5EncoderModel" or not point.model.endswith(
        "Model"
    ):  # the class with the head that the file has
        loader = getattr(transformers, point.model)
    model, report = loader.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert type(model).__name__ == point.model
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    loaded = model.state_dict()
    for key, parameter in built.model.state_dict().items():  # heads too
        assert torch.equal(loaded[key].double(), parameter.double()), key
    for want, states in zip(
        theirs(built.model, point), theirs(model.double().eval(), point), strict=True
    ):
        np.testing.assert_allclose(states, want, rtol=0, atol=TOLERANCE * np.abs(want).max())


@pytest.mark.parametrize("to", ["transformers", "bothways"])
@pytest.mark.parametrize("name", POINTS)
def test_reading_an_export_gives_the_same_folder(
    name: str, to: Format, scratch: Path, tmp_path: Path
) -> None:
    folder = build(name, scratch).folder
    export(folder, tmp_path / "out", to)

    back = read_folder(tmp_path / "out")
    assert back.config == folder.config
    assert back.spec.max_length == folder.spec.max_length
    assert back.family == ("bothways" if to == "bothways" else folder.family)
    settings = dict(folder.source_settings)
    assert {name: back.source_settings[name] for name in settings} == settings
    for ours, again in ((folder.weights, back.weights), (folder.head_weights, back.head_weights)):
        assert again.keys() == ours.keys()
        assert all(np.array_equal(again[name], ours[name]) for name in ours)


def test_the_embedding_of_the_task_is_that_of_ernie(tmp_path: Path) -> None:
    point = Point("ErnieModel", WITH_SEGMENTS | {"use_task_id": True, "task_type_vocab_size": 4})
    torch.manual_seed(1)
    model = transformers.ErnieModel(transformers.ErnieConfig(**point.config)).eval().double()
    torch.nn.init.normal_(model.embeddings.task_type_embeddings.weight)
    model.float().save_pretrained(tmp_path / "ernie")
    folder = read_folder(tmp_path / "ernie")
    check_equal(BACKENDS["reference"](folder), point, theirs(model.double(), point))

    export(folder, tmp_path / "out", "transformers")
    again = transformers.AutoModel.from_pretrained(tmp_path / "out").double().eval()
    assert not again.config.use_task_id
    check_equal(BACKENDS["reference"](folder), point, theirs(again, point))


@pytest.mark.parametrize("side", ["Question", "Context"])
def test_vectors_of_dpr_are_those_of_its_own_class(side: str, tmp_path: Path) -> None:
    kind = getattr(transformers, f"DPR{side}Encoder")
    torch.manual_seed(1)
    model = kind(transformers.DPRConfig(**WITH_SEGMENTS)).eval()
    model.save_pretrained(tmp_path)
    ids = np.arange(3, 12)
    with torch.no_grad():
        (want,) = model(torch.tensor(ids[None])).pooler_output.numpy()
    vector = bothways.load(tmp_path, backend="reference").encode(ids)
    np.testing.assert_allclose(vector, want, rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="module")
def qwen3_sentences(scratch: Path) -> Path:
    """A folder as Qwen3-Embedding is published: last position, unit length, and a query prompt."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = scratch / "qwen3-base"
    shutil.copytree(build("qwen3", scratch).path, folder)
    names = ["the", "of", "a", "river", "bank", "flows", "find", "Instruct", ":", "Query", "text"]
    vocabulary = {word: index for index, word in enumerate(["<unk>", "<end>", *names])}
    special = {"unk_token": "<unk>", "pad_token": "<end>", "eos_token": "<end>"}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, special["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<end>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <end>", pair="$A $B <end>", special_tokens=[("<end>", 1)]
    )
    settings = special | {"padding_side": "left"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **settings)
    fast.save_pretrained(folder)
    model = SentenceTransformer(
        modules=[
            Transformer(str(folder), max_seq_length=16),
            Pooling(16, "lasttoken"),
            Normalize(),
        ],
        prompts={"query": "Instruct: find text\nQuery: ", "document": ""},
        device="cpu",
    )
    saved = scratch / "qwen3-sentences"
    model.save_pretrained(str(saved), create_model_card=False)
    return saved


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
def test_instructions_and_the_last_position_are_as_in_sentence_transformers(
    backend: BackendName, qwen3_sentences: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(qwen3_sentences), device="cpu", local_files_only=True)
    ours = bothways.load(qwen3_sentences, backend=backend)
    texts = ["the river flows", "bank", "of a river bank " * 9]  # the last is truncated
    for prompt in ("query", "document"):
        want = theirs.encode(texts, prompt_name=prompt)
        found = ours.encode(texts, prompt_name=prompt)
        np.testing.assert_allclose(found, want, rtol=0, atol=TOLERANCE)
    assert np.abs(want - theirs.encode(texts, prompt_name="query")).max() > 0.01


def test_a_causal_folder_is_pooled_by_its_last_position(scratch: Path) -> None:
    assert build("qwen3", scratch).folder.spec.pooling.modes == ("last",)
    assert build("qwen3-both-ways", scratch).folder.spec.pooling.modes == ("mean",)


@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
def test_a_text_that_contains_the_padding_token_is_encoded_as_transformers_encodes_it(
    backend: BackendName, roberta_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "roberta"
    shutil.copytree(roberta_folder, folder)
    tokenizer = transformers.RobertaTokenizerFast.from_pretrained(folder)
    torch.manual_seed(1)
    config = OFFSET | {"vocab_size": len(tokenizer), "max_position_embeddings": 42}
    model = transformers.RobertaModel(transformers.RobertaConfig(**config)).eval()
    torch.nn.init.normal_(model.embeddings.position_embeddings.weight)
    model.save_pretrained(folder)
    texts = ["<pad>the river", "the <pad><pad> river", "a river<pad>"]
    encoder = bothways.load(folder, backend=backend)
    for text, vector in zip(texts, encoder.encode(texts), strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        assert tokenizer.pad_token_id in inputs["input_ids"]
        with torch.no_grad():
            states = model(**inputs).last_hidden_state[0].numpy()
        np.testing.assert_allclose(vector, states.mean(0), rtol=0, atol=TOLERANCE)


def big_bird(folder: Path, **changes: Any) -> tuple[Any, Point]:
    """A model whose attention is full for up to 28 tokens, and block-sparse beyond."""
    blocks = {"block_size": 4, "num_random_blocks": 1}
    point = Point("BigBirdModel", BIG_BIRD | blocks | changes, (1, 17, 28))
    torch.manual_seed(1)
    model = transformers.BigBirdModel(transformers.BigBirdConfig(**point.config)).eval()
    model.save_pretrained(folder)
    return model.double(), point


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_longest_sequence_of_big_bird_has_full_attention(backend: str, tmp_path: Path) -> None:
    model, point = big_bird(tmp_path / "model")
    told = r"block-sparse in sequences of more than 28 tokens.*at most 28 of its 64 tokens"
    with pytest.warns(LengthWarning, match=told) as warnings:
        folder = read_folder(tmp_path / "model")
    assert len(warnings) == 1
    assert folder.spec.max_length == 28
    check_equal(BACKENDS[backend](folder), point, theirs(model, point))

    # Beyond that, transformers sees fewer positions.
    ids = torch.arange(29)[None]
    sparse = transformers.BigBirdModel(model.config).double().eval()
    sparse.load_state_dict(model.state_dict())
    assert sparse(ids).last_hidden_state.sub(model(ids).last_hidden_state).abs().max() > 1e-4


def test_an_exported_big_bird_has_the_positions_that_bothways_takes(tmp_path: Path) -> None:
    _, point = big_bird(tmp_path / "model")
    with pytest.warns(LengthWarning):
        folder = read_folder(tmp_path / "model")
    export(folder, tmp_path / "out", "transformers")
    again = transformers.BigBirdModel.from_pretrained(tmp_path / "out")
    assert again.config.attention_type == "original_full"
    assert again.config.max_position_embeddings == 28
    check_equal(BACKENDS["reference"](folder), point, theirs(again.double().eval(), point))
    assert read_folder(tmp_path / "out").config == folder.config  # without a warning


def test_big_bird_with_full_attention_takes_all_its_positions(tmp_path: Path) -> None:
    big_bird(tmp_path / "model", attention_type="original_full")
    assert read_folder(tmp_path / "model").spec.max_length == 64
    big_bird(tmp_path / "short", max_position_embeddings=20)
    assert read_folder(tmp_path / "short").spec.max_length == 20
    edit_config(tmp_path / "short", {"attention_type": "linear"})
    with pytest.raises(UnsupportedModel, match="attention_type='linear'"):
        read_folder(tmp_path / "short")


def test_padding_to_windows_changes_no_vector_of_longformer(
    roberta_folder: Path, tmp_path: Path
) -> None:
    """Of a batch that sentence-transformers pads, and transformers pads to the window again."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    shutil.copytree(roberta_folder, tmp_path / "base")
    vocabulary = transformers.RobertaTokenizerFast.from_pretrained(roberta_folder)
    torch.manual_seed(1)
    config = LONGFORMER | {"vocab_size": len(vocabulary), "attention_window": [4, 16, 8]}
    config |= {"max_position_embeddings": 42}
    model = transformers.LongformerModel(transformers.LongformerConfig(**config)).eval()
    torch.nn.init.normal_(model.embeddings.position_embeddings.weight)
    model.save_pretrained(tmp_path / "base")
    modules = [Transformer(str(tmp_path / "base"), max_seq_length=40), Pooling(16, "mean")]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(
        str(tmp_path / "model"), create_model_card=False
    )
    texts = ["the river", "the river bank " * 9, "a", "river bank " * 40]
    theirs = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    with pytest.warns(TruncationWarning):
        found = bothways.load(tmp_path / "model").encode(texts)
    np.testing.assert_allclose(found, theirs.encode(texts), rtol=0, atol=TOLERANCE)


class GatedByHalves(torch.nn.Module):
    """The feed-forward of Nucleotide Transformer v2 (Dalla-Torre et al. 2025): SwiGLU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(width, 2 * inner, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.dense(x).chunk(2, -1)
        gated: torch.Tensor = torch.nn.functional.silu(first) * second
        return gated


NUCLEOTIDES = {
    "add_bias_fnn": False,
    "auto_map": {
        "AutoConfig": "esm_config.EsmConfig",
        "AutoModelForMaskedLM": "modeling_esm.EsmForMaskedLM",
        "AutoModelForTokenClassification": "modeling_esm.EsmForTokenClassification",
        "AutoModelForSequenceClassification": "modeling_esm.EsmForSequenceClassification",
    },
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_second_nucleotide_transformer_is_esm2_with_a_gate(
    backend: str, tmp_path: Path
) -> None:
    point = Point("EsmForMaskedLM", ESM | {"tie_word_embeddings": False})
    torch.manual_seed(1)
    model = transformers.EsmForMaskedLM(transformers.EsmConfig(**point.config)).eval()
    for layer in model.esm.encoder.layer:
        layer.intermediate = GatedByHalves(16, 24)
        layer.output.dense = torch.nn.Linear(24, 16, bias=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path)
    edit_config(tmp_path, NUCLEOTIDES)
    folder = read_folder(tmp_path)
    assert (folder.transformer.gated, folder.transformer.feed_forward_bias) == (True, False)
    assert [head.task for head in folder.spec.heads] == ["masked_tokens"]
    check_equal(BACKENDS[backend](folder), point, theirs(model.double(), point))
    with pytest.raises(UnsupportedModel, match="no family of transformers"):
        export(folder, tmp_path / "out", "transformers")
    export(folder, tmp_path / "own", "bothways")
    assert read_folder(tmp_path / "own").config == folder.config


def test_other_code_for_esm_is_refused(scratch: Path, tmp_path: Path) -> None:
    shutil.copytree(build("esm2", scratch).path, tmp_path / "esm")
    edit_config(tmp_path / "esm", {"auto_map": {"AutoModel": "modeling_other.EsmModel"}})
    with pytest.raises(UnsupportedModel, match="auto_map"):
        read_folder(tmp_path / "esm")


def test_the_rounded_frequencies_of_esm2_matter(scratch: Path) -> None:
    folder = build("esm2-half", scratch).folder
    assert folder.transformer.rotary_precision == "float16"

    exact = dataclasses.replace(folder.transformer, rotary_precision="exact")
    batch = PackedBatch.of(sequences(POINTS["esm2-half"]))
    rounded_states, exact_states = (
        ReferenceBackend(config, folder.weights).hidden_states(batch, [config.num_layers])
        for config in (folder.transformer, exact)
    )
    scale = np.abs(exact_states).max()
    assert np.abs(rounded_states - exact_states).max() > 10 * TOLERANCE * scale


REQUIRED = {"esm": {"vocab_size": 33, "pad_token_id": 1}}
"""What the configs of a family cannot do without."""


@pytest.mark.parametrize(
    "model_type", [name for name, family in FAMILIES.items() if family.in_transformers]
)
def test_an_absent_field_stands_for_what_transformers_takes_it_for(model_type: str) -> None:
    minimal = {"model_type": model_type} | REQUIRED.get(model_type, {})
    config = transformers.AutoConfig.for_model(**minimal)
    full = json.loads(config.to_json_string(use_diff=False))
    read = FAMILIES[model_type].read_config
    assert read(minimal, "minimal")[0] == read(full, "full")[0]


def edit_config(folder: Path, changes: dict[str, Any], without: tuple[str, ...] = ()) -> None:
    config = json.loads((folder / "config.json").read_text())
    kept = {name: value for name, value in config.items() if name not in without}
    (folder / "config.json").write_text(json.dumps(kept | changes))


NOMIC_ORIGINAL = {
    "activation_function": "swiglu",
    "attn_pdrop": 0.0,
    "auto_map": {
        "AutoConfig": "nomic-ai/nomic-bert-2048--configuration_hf_nomic_bert.NomicBertConfig",
        "AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel",
    },
    "causal": False,
    "dense_seq_output": True,
    "embd_pdrop": 0.0,
    "fused_bias_fc": True,
    "fused_dropout_add_ln": True,
    "layer_norm_epsilon": 1e-12,
    "max_trained_positions": 32,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "n_embd": 16,
    "n_head": 4,
    "n_inner": 24,
    "n_layer": 3,
    "n_positions": 64,
    "pad_vocab_size_multiple": 4,
    "parallel_block": False,
    "parallel_block_tied_norm": False,
    "prenorm": False,
    "qkv_proj_bias": False,
    "reorder_and_upcast_attn": False,
    "resid_pdrop": 0.0,
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "summary_activation": None,
    "summary_first_dropout": 0.0,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "type_vocab_size": 2,
    "use_flash_attn": True,
    "use_rms_norm": False,
    "use_xentropy": True,
    "vocab_size": VOCABULARY - 3,  # padded to a multiple of 4
}


@pytest.mark.parametrize("words", ["original", "both"])
def test_nomic_bert_is_read_in_the_words_it_was_published_in(
    words: str, scratch: Path, tmp_path: Path
) -> None:
    built = build("nomic", scratch)
    folder = tmp_path / "nomic"
    shutil.copytree(built.path, folder)
    changes = NOMIC_ORIGINAL | {"model_type": "nomic_bert", "architectures": ["NomicBertModel"]}
    if words == "original":
        (folder / "config.json").write_text(json.dumps(changes))
    else:
        edit_config(folder, changes | {"max_position_embeddings": 32})
    assert read_folder(folder).config == built.folder.config


def test_nomic_bert_refuses_words_that_disagree(scratch: Path, tmp_path: Path) -> None:
    folder = tmp_path / "nomic"
    shutil.copytree(build("nomic", scratch).path, folder)
    edit_config(folder, {"n_embd": 32})
    with pytest.raises(CheckpointError, match="hidden_size=16 and n_embd=32"):
        read_folder(folder)


def test_modernbert_is_read_in_the_words_of_transformers_4(scratch: Path, tmp_path: Path) -> None:
    built = build("modernbert", scratch)
    folder = tmp_path / "modernbert"
    shutil.copytree(built.path, folder)
    edit_config(
        folder,
        {
            "global_attn_every_n_layers": 3,
            "global_rope_theta": 160000.0,
            "local_rope_theta": 10000.0,
            "layer_norm_eps": 1e-5,
            "position_embedding_type": "absolute",
            "reference_compile": None,
        },
        without=("layer_types", "rope_parameters"),
    )
    assert read_folder(folder).config == built.folder.config
    edit_config(folder, {"local_rope_theta": None})  # the same as the global one
    assert read_folder(folder).transformer.rotary_base_of(1) == 160000.0
