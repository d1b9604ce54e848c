"""Every family's heads against transformers: tiny models of each class with random weights.

The models are built here, saved by transformers, read by bothways, and run by both.
"""

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

import bothways
from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.errors import InputError
from bothways.inference.backends import Backend
from bothways.model.config import EncoderConfig
from bothways.model.heads import HeadTask, head_layout
from bothways.model.packing import PackedBatch
from bothways.model.spec import ModelSpec
from bothways.native import NativeBackend, is_built
from bothways.nn.backend import TorchBackend
from bothways.reference import head_outputs
from bothways.reference.backend import ReferenceBackend
from bothways.training.objectives.heads import head_for

TOLERANCE = 1e-5
"""Of the scale of the logits: fp32 rounding through a few layers and the head, and no more."""

VOCABULARY = 60
LENGTHS = (1, 2, 7, 16)
IDS = np.arange(5, 12)

SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 18,
    "pad_token_id": 1,
}
DISTIL = {
    "vocab_size": VOCABULARY,
    "dim": 16,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 24,
    "max_position_embeddings": 16,
}
ESM = SMALL | {"position_embedding_type": "rotary", "mask_token_id": 4}
MODERN = SMALL | {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
DEBERTA = SMALL | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
DEBERTA |= {"position_buckets": 6, "share_att_key": True, "position_biased_input": False}
DEBERTA_V1 = SMALL | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}

LONGFORMER = SMALL | {"attention_window": 4}

STEMS: dict[str, dict[str, Any]] = {
    "Bert": SMALL,
    "Roberta": SMALL | {"layer_norm_eps": 1e-5},
    "XLMRoberta": SMALL,
    "DistilBert": DISTIL,
    "Electra": SMALL | {"embedding_size": 8},
    "MPNet": SMALL,
    "Albert": SMALL | {"embedding_size": 8},
    "Esm": ESM,
    "ModernBert": MODERN,
    "NomicBert": SMALL,
    "Camembert": SMALL,
    "Data2VecText": SMALL,
    "XLMRobertaXL": SMALL,
    "RobertaPreLayerNorm": SMALL,
    "MegatronBert": SMALL,
    "Ernie": SMALL,
    "EuroBert": SMALL
    | {
        "bos_token_id": 2,
        "eos_token_id": 3,
        "mask_token_id": 4,
        "classifier_pooling": "mean",
        "num_key_value_heads": 2,
    },
    "Esmc": SMALL,
    "DebertaV2": DEBERTA,
    "Deberta": DEBERTA_V1,
    "BigBird": SMALL,
}
GROUPED = SMALL | {"num_key_value_heads": 2, "head_dim": 6}
SIZES: dict[str, Any] = {
    "num_layers": 2,
    "num_heads": 4,
    "d_model": 16,
    "d_ff": 24,
    "vocab_size": VOCABULARY,
    "max_length": 16,
}
LABELS = {"id2label": {0: "low", 1: "mid", 2: "high"}}
ENDINGS: dict[str, tuple[str, dict[str, Any], HeadTask]] = {
    "tokens": ("ForMaskedLM", {}, "masked_tokens"),
    "classes": ("ForSequenceClassification", LABELS, "classes"),
    "tags": ("ForTokenClassification", LABELS, "tags"),
}
VARIANTS: dict[str, tuple[str, dict[str, Any], HeadTask]] = {
    "bert, relu": ("BertForMaskedLM", SMALL | {"hidden_act": "relu"}, "masked_tokens"),
    "bert, untied": ("BertForMaskedLM", SMALL | {"tie_word_embeddings": False}, "masked_tokens"),
    "roberta, silu": ("RobertaForMaskedLM", SMALL | {"hidden_act": "silu"}, "masked_tokens"),
    "albert, gelu": ("AlbertForPreTraining", SMALL | {"hidden_act": "gelu"}, "masked_tokens"),
    "bert, two heads": ("BertForPreTraining", SMALL, "masked_tokens"),
    "modern, mean": (
        "ModernBertForSequenceClassification",
        MODERN | LABELS | {"classifier_pooling": "mean"},
        "classes",
    ),
    "modern, biases": (
        "ModernBertForTokenClassification",
        MODERN
        | LABELS
        | {"classifier_bias": True, "norm_bias": True, "classifier_activation": "silu"},
        "tags",
    ),
    "modern, no bias": (
        "ModernBertForMaskedLM",
        MODERN | {"decoder_bias": False, "norm_bias": True},
        "masked_tokens",
    ),
    "qwen3, classes": ("Qwen3ForSequenceClassification", GROUPED | LABELS, "classes"),
    "qwen3, score": ("Qwen3ForSequenceClassification", GROUPED | {"num_labels": 1}, "values"),
    "qwen3, tags": ("Qwen3ForTokenClassification", GROUPED | LABELS, "tags"),
    "qwen3, answers": ("Qwen3ForQuestionAnswering", GROUPED, "answer_spans"),
    "qwen2, answers": ("Qwen2ForQuestionAnswering", GROUPED, "answer_spans"),
    "mistral, answers": ("MistralForQuestionAnswering", GROUPED, "answer_spans"),
    "mistral, classes": ("MistralForSequenceClassification", GROUPED | LABELS, "classes"),
    "gemma3, classes": ("Gemma3TextForSequenceClassification", GROUPED | LABELS, "classes"),
    "t5, tags": (
        "T5ForTokenClassification",
        {"vocab_size": VOCABULARY, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2}
        | LABELS
        | {"num_heads": 2},
        "tags",
    ),
    "eurobert, bos": (
        "EuroBertForSequenceClassification",
        STEMS["EuroBert"] | LABELS | {"classifier_pooling": "bos"},
        "classes",
    ),
    "eurobert, late": (
        "EuroBertForSequenceClassification",
        STEMS["EuroBert"] | LABELS | {"classifier_pooling": "late"},
        "classes",
    ),
    "eurobert, tied": (
        "EuroBertForMaskedLM",
        STEMS["EuroBert"] | {"tie_word_embeddings": True, "mlp_bias": True},
        "masked_tokens",
    ),
    "deberta, new": ("DebertaV2ForMaskedLM", DEBERTA | {"legacy": False}, "masked_tokens"),
    "deberta, tanh": (
        "DebertaV2ForSequenceClassification",
        DEBERTA | LABELS | {"pooler_hidden_act": "tanh"},
        "classes",
    ),
    "deberta, score": (
        "DebertaV2ForSequenceClassification",
        DEBERTA | {"num_labels": 1},
        "values",
    ),
    "deberta, answers": ("DebertaV2ForQuestionAnswering", DEBERTA, "answer_spans"),
    "deberta v1, new": ("DebertaForMaskedLM", DEBERTA_V1 | {"legacy": False}, "masked_tokens"),
    "deberta v1, tanh": (
        "DebertaForSequenceClassification",
        DEBERTA_V1 | LABELS | {"pooler_hidden_act": "tanh"},
        "classes",
    ),
    "deberta v1, score": (
        "DebertaForSequenceClassification",
        DEBERTA_V1 | {"num_labels": 1},
        "values",
    ),
    "longformer, tokens": ("LongformerForMaskedLM", LONGFORMER, "masked_tokens"),
    "longformer, tags": ("LongformerForTokenClassification", LONGFORMER | LABELS, "tags"),
    "big bird, two heads": ("BigBirdForPreTraining", SMALL, "masked_tokens"),
    "several labels": (
        "BertForSequenceClassification",
        SMALL | LABELS | {"problem_type": "multi_label_classification"},
        "multilabel",
    ),
    "one value": ("RobertaForSequenceClassification", SMALL | {"num_labels": 1}, "values"),
    "three values": (
        "DistilBertForSequenceClassification",
        DISTIL | LABELS | {"problem_type": "regression"},
        "values",
    ),
}
POINTS = {
    f"{stem}, {kind}": (stem + ending, config | more, task)
    for stem, config in STEMS.items()
    for kind, (ending, more, task) in ENDINGS.items()
} | VARIANTS

BACKENDS: dict[str, Callable[[ModelBundle], Backend]] = {
    "reference": lambda f: ReferenceBackend(f.transformer, f.weights),
    "torch": lambda f: TorchBackend(f.config, f.weights, device="cpu"),
}
if is_built():
    BACKENDS["native"] = lambda f: NativeBackend(f.transformer, f.weights, threads=1)


@dataclasses.dataclass(frozen=True)
class Built:
    """A model of transformers in float64, and the folder that it was saved to, as read."""

    model: Any
    folder: ModelBundle


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@functools.cache
def build(name: str, scratch: Path) -> Built:
    class_name, config, _ = POINTS[name]
    torch.manual_seed(1)
    model_class = getattr(transformers, class_name)
    model = model_class(model_class.config_class(**config)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # fresh weights are too small to tell layers apart
            parameter += 0.2 * torch.randn_like(parameter)
    path = scratch / name
    model.save_pretrained(path)
    return Built(model.double(), read_folder(path))


def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(5, VOCABULARY, length) for length in LENGTHS]


def theirs(model: Any) -> list[np.ndarray]:
    """The logits of each sequence by itself."""
    outputs = []
    for ids in sequences():
        with torch.no_grad():
            output = model(torch.tensor(ids[None]), attention_mask=torch.ones(1, len(ids)))
        if "start_logits" in output:
            logits = torch.stack((output["start_logits"], output["end_logits"]), -1)
        else:
            logits = output["prediction_logits" if "prediction_logits" in output else "logits"]
        outputs.append(logits[0].double().numpy())
    return outputs


def agree(found: np.ndarray, wanted: np.ndarray) -> None:
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", POINTS)
def test_every_head_equals_transformers(name: str, backend: str, scratch: Path) -> None:
    built = build(name, scratch)
    folder = built.folder
    (head,) = folder.spec.heads
    assert head.task == POINTS[name][2]
    batch = PackedBatch.of(sequences())
    (states_TD,) = BACKENDS[backend](folder).hidden_states(batch, [folder.config.num_layers])
    weights = folder.all_weights
    for x_LD, wanted in zip(batch.split(states_TD), theirs(built.model), strict=True):
        agree(head_outputs(x_LD, weights, head), wanted)


@pytest.mark.parametrize("name", POINTS)
def test_an_exported_head_equals_the_one_that_was_read(
    name: str, scratch: Path, tmp_path: Path
) -> None:
    built = build(name, scratch)
    assert export(built.folder, tmp_path / "out", "transformers") == ()
    model_class = getattr(transformers, POINTS[name][0])
    model, report = model_class.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for found, wanted in zip(theirs(model.double().eval()), theirs(built.model), strict=True):
        agree(found, wanted)
    back = read_folder(tmp_path / "out")
    assert back.spec.heads == built.folder.spec.heads
    assert bool(back.unread_heads) == bool(built.folder.unread_heads)


def test_labels_are_those_of_the_config(scratch: Path) -> None:
    for name, (_, config, task) in POINTS.items():
        if "id2label" in config:
            (head,) = build(name, scratch).folder.spec.heads
            assert head.labels == ("low", "mid", "high")
        elif task == "values":
            assert build(name, scratch).folder.spec.heads[0].labels == ("LABEL_0",)


def test_a_class_that_bothways_does_not_run_is_left_unread(scratch: Path) -> None:
    model = transformers.BertForMultipleChoice(transformers.BertConfig(**SMALL))
    model.save_pretrained(scratch / "choice")
    folder = read_folder(scratch / "choice")
    assert folder.spec.heads == ()
    assert "architectures=['BertForMultipleChoice']" in folder.unread_heads


@pytest.mark.parametrize(
    ("class_name", "config", "reason"),
    [
        ("LongformerForSequenceClassification", LONGFORMER, "its first position attends globally"),
        ("LongformerForQuestionAnswering", LONGFORMER, "the question attends globally"),
        ("BigBirdForQuestionAnswering", SMALL, "its head has a feed-forward layer of its own"),
    ],
)
def test_a_head_that_is_refused_is_named_with_the_reason_and_kept(
    class_name: str, config: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    model = getattr(transformers, class_name)
    model = model(model.config_class(**config))
    model.save_pretrained(tmp_path / "model")
    folder = read_folder(tmp_path / "model")
    assert folder.spec.heads == ()
    assert f"{class_name}: {reason}" in folder.unread_heads
    encoder = bothways.load(tmp_path / "model")
    predict = encoder.answer if "Answering" in class_name else encoder.classify
    with pytest.raises(InputError, match=f"{class_name}: {reason}"):
        predict(*[IDS, IDS][: 2 if "Answering" in class_name else 1])
    export(folder, tmp_path / "out", "transformers")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("model", "out"))
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], array) for name, array in before.items())


TRAINED = {
    "with segments": EncoderConfig(**SIZES, num_segments=2),
    "without segments": EncoderConfig(**SIZES),
    "narrow embedding": EncoderConfig(**SIZES, embedding_size=8, block_of_layer=(0, 0)),
    "pre-norm, gated": EncoderConfig(
        **SIZES,
        position_embedding="none",
        attention_positions="rotary",
        norm_placement="pre",
        first_attention_norm=False,
        final_norm=True,
        gated=True,
        norm_bias=False,
        windows=(None, 3),
    ),
}
PRE_NORM = EncoderConfig(
    **SIZES,
    position_embedding="none",
    attention_positions="rotary",
    norm_placement="pre",
    final_norm=True,
)
LOADERS: dict[HeadTask, Any] = {
    "classes": transformers.AutoModelForSequenceClassification,
    "multilabel": transformers.AutoModelForSequenceClassification,
    "values": transformers.AutoModelForSequenceClassification,
    "tags": transformers.AutoModelForTokenClassification,
    "masked_tokens": transformers.AutoModelForMaskedLM,
}
PROBLEMS = {
    "classes": "single_label_classification",
    "multilabel": "multi_label_classification",
    "values": "regression",
}


@pytest.mark.parametrize(
    ("config", "task"),
    [
        *(
            pytest.param(config, task, id=f"{name}-{task}")
            for name, config in TRAINED.items()
            for task in LOADERS
        ),
        pytest.param(PRE_NORM, "masked_tokens", id="pre-norm-masked_tokens"),
    ],
)
def test_a_head_that_bothways_trained_loads_in_transformers(
    config: EncoderConfig,
    task: HeadTask,
    make_weights: Callable[..., dict[str, np.ndarray]],
    tmp_path: Path,
) -> None:
    labels = () if task == "masked_tokens" else ("low", "mid", "high")
    head = head_for(task, config, labels, pooling="cls")
    rng = np.random.default_rng(4)
    shapes = head_layout(head, config)
    folder = ModelBundle.of(
        ModelSpec(config=config, heads=(head,), max_length=config.max_length),
        {
            **make_weights(config),
            **{n: rng.standard_normal(s, dtype=np.float32) for n, s in shapes.items()},
        },
        path=tmp_path,
    )
    assert export(folder, tmp_path / "out", "transformers") == ()
    model, report = LOADERS[task].from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    if labels:
        assert model.config.id2label == {0: "low", 1: "mid", 2: "high"}
    if task in PROBLEMS:
        assert model.config.problem_type == PROBLEMS[task]
    backend = ReferenceBackend(config, folder.weights, dtype=np.float64)
    for ids, wanted in zip(sequences(), theirs(model.double().eval()), strict=True):
        (states,) = backend.hidden_states(PackedBatch.of([ids]), [config.num_layers])
        agree(np.asarray(head_outputs(states, folder.all_weights, head)), wanted)
    back = read_folder(tmp_path / "out")
    assert [(h.task, h.labels) for h in back.spec.heads] == [(task, labels)]
