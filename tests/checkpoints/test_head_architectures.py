"""Heads are read from and written to transformers files; conformance compares their outputs."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bothways.checkpoints import export, read_folder
from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import read_heads
from bothways.checkpoints.head_export import export_head
from bothways.model.config import EncoderConfig, HeadPooling
from bothways.model.heads import Head, HeadLayer, HeadTask, head_layout

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

CONFIG = EncoderConfig(
    num_layers=1, num_heads=2, d_model=8, d_ff=12, vocab_size=20, num_segments=2, norm_eps=1e-5
)
LABELS = ("red", "green", "blue")
BERT = FAMILIES["bert"]


def arrays(heads: tuple[Head, ...]) -> dict[str, np.ndarray]:
    shapes = {name: s for head in heads for name, s in head_layout(head, CONFIG).items()}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def pooled(task: HeadTask, pooling: HeadPooling = "cls", outputs: int = 3) -> Head:
    """A head for sequences as in training: with a dense layer for cls pooling."""
    dense = HeadLayer(name="heads.pooler", outputs=8, activation="tanh")
    last = HeadLayer(name="heads.classifier", outputs=outputs)
    layers = (dense, last) if pooling == "cls" else (last,)
    return Head(task=task, layers=layers, pooling=pooling, labels=LABELS[:outputs], dropout=0.1)


TAGS = Head(
    task="tags",
    layers=(HeadLayer(name="heads.classifier", outputs=3),),
    labels=LABELS,
    dropout=0.1,
)
WORDS = Head(
    task="masked_tokens",
    layers=(
        HeadLayer(
            name="heads.masked_tokens.dense",
            outputs=8,
            activation="gelu",
            norm="heads.masked_tokens.norm",
            norm_eps=1e-5,
        ),
        HeadLayer(name="heads.masked_tokens", outputs=20, tied=True),
    ),
)


def placed(head: Head, family: Family = BERT, given: dict[str, Any] | None = None) -> Any:
    return export_head(family.heads, family.stem, CONFIG, head, given or {})


def read(settings: dict[str, Any], weights: dict[str, np.ndarray]) -> tuple[tuple[Head, ...], str]:
    return read_heads(BERT.heads, BERT.stem, CONFIG, settings, weights)


@pytest.mark.parametrize(
    "head", [pooled("classes"), pooled("multilabel"), pooled("values"), TAGS, WORDS]
)
def test_an_exported_head_is_read_unchanged(head: Head) -> None:
    place = placed(head)
    assert place is not None
    settings = {"architectures": [place.class_name], **place.settings}
    assert read(settings, arrays((head,))) == ((head,), "")


def test_a_class_is_named_for_each_task() -> None:
    heads = {"classes": pooled("classes"), "tags": TAGS, "masked_tokens": WORDS}
    names = {task: placed(head).class_name for task, head in heads.items()}
    assert names == {
        "classes": "BertForSequenceClassification",
        "tags": "BertForTokenClassification",
        "masked_tokens": "BertForMaskedLM",
    }
    kept = placed(WORDS, given={"architectures": ["BertForPreTraining"]})
    assert kept.class_name == "BertForPreTraining"


DECODERS = {"qwen2", "qwen3", "mistral", "eurobert", "gemma3_text"}
"""Families whose heads are those of decoders."""


@pytest.mark.parametrize(
    ("head", "families"),
    [
        (
            pooled("classes"),
            set(FAMILIES)
            - DECODERS
            - {"distilbert", "electra", "modernbert", "dpr", "t5", "longformer", "big_bird"},
        ),
        (pooled("classes", "mean"), set()),
        (pooled("classes", "max"), set()),
        (TAGS, set(FAMILIES) - {"modernbert", "dpr", "gemma3_text", "neobert"}),
        (WORDS, set(FAMILIES) - DECODERS - {"dpr", "t5", "neobert"}),
    ],
)
def test_a_head_is_exported_if_a_class_computes_the_same(head: Head, families: set[str]) -> None:
    assert {name for name in FAMILIES if placed(head, FAMILIES[name])} == families


def test_pooling_bias_and_activation_of_a_modernbert_head_are_exported() -> None:
    modern = FAMILIES["modernbert"]
    dense = HeadLayer(
        name="heads.a", outputs=8, activation="relu", norm="heads.b", norm_eps=CONFIG.norm_eps
    )
    head = dataclasses.replace(
        pooled("classes", "mean"), layers=(dense, HeadLayer(name="heads.c", outputs=3))
    )
    place = placed(head, modern)
    assert place.names["heads.a.weight"] == "heads.classifier.dense.weight"
    assert place.names["heads.b.bias"] == "heads.classifier.norm.bias"
    assert place.settings["classifier_pooling"] == "mean"
    assert place.settings["classifier_activation"] == "relu"
    assert place.settings["classifier_bias"] is True


@pytest.mark.parametrize(
    ("settings", "outputs", "task"),
    [
        ({}, 3, "classes"),
        ({}, 1, "values"),
        ({"problem_type": None}, 3, "classes"),
        ({"problem_type": "regression"}, 3, "values"),
        ({"problem_type": "multi_label_classification"}, 1, "multilabel"),
        ({"problem_type": "single_label_classification"}, 2, "classes"),
    ],
)
def test_problem_type_and_number_of_labels_determine_the_task(
    settings: dict[str, Any], outputs: int, task: str
) -> None:
    weights = arrays((pooled("classes", outputs=outputs),))
    named = {"architectures": ["BertForSequenceClassification"]}
    (head,), unread = read(named | settings, weights)
    assert (head.task, unread) == (task, "")
    assert head.labels == tuple(f"LABEL_{i}" for i in range(outputs))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "architectures=None: the weights 'heads.classifier.bias', 'heads.classifier.weight'"),
        ({"architectures": ["BertForMultipleChoice"]}, "belong to no head that bothways runs"),
        ({"architectures": "BertForSequenceClassification"}, "belong to no head"),
        ({"architectures": [["Bert"]]}, "belong to no head"),
        ({"problem_type": "ranking"}, "problem_type='ranking' with 3 labels"),
        ({"problem_type": ["regression"]}, "problem_type="),
        ({"id2label": {"0": "a", "1": "b"}}, "expected a label for each of 3 outputs"),
        ({"id2label": ["a", "b", "c"]}, "expected a label for each of 3 outputs"),
        ({"id2label": {"0": "a", "1": "b", "3": "c"}}, "expected a label for each of 3"),
        ({"classifier_dropout": "much"}, "dropout='much'"),
    ],
)
def test_an_ambiguous_head_is_not_read(settings: dict[str, Any], reason: str) -> None:
    named = {"architectures": ["BertForSequenceClassification"]}
    given = named | settings if settings else {}
    heads, unread = read(given, arrays((pooled("classes"),)))
    assert heads == ()
    assert reason in unread


@pytest.mark.parametrize("outputs", [1, 3])
def test_default_labels_of_another_number_count_as_none(outputs: int) -> None:
    default = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "num_labels": outputs}
    named = {"architectures": ["BertForSequenceClassification"]}
    weights = arrays((pooled("classes", outputs=outputs),))
    (head,), unread = read(named | default, weights)
    assert (head.labels, unread) == (tuple(f"LABEL_{i}" for i in range(outputs)), "")
    heads, _ = read(named | default | {"id2label": {"0": "no", "1": "yes"}}, weights)
    assert heads == ()


def test_labels_are_written_as_strings() -> None:
    weights = arrays((pooled("classes", outputs=2),))
    named = {"architectures": ["BertForSequenceClassification"], "id2label": {"1": True, "0": 7}}
    assert read(named, weights)[0][0].labels == ("7", "True")


@pytest.mark.parametrize(
    ("gone", "named", "reason"),
    [
        ("heads.classifier.weight", "BertForSequenceClassification", "no matrix heads.classifier"),
        ("heads.pooler.bias", "BertForSequenceClassification", "'heads.pooler.bias' of the head"),
        ("heads.classifier.bias", "BertForTokenClassification", "'heads.classifier.bias' of the"),
        ("heads.masked_tokens.bias", "BertForMaskedLM", "'heads.masked_tokens.bias' of the head"),
    ],
)
def test_a_head_with_missing_weights_is_not_read(gone: str, named: str, reason: str) -> None:
    head = WORDS if "masked" in gone else pooled("classes")
    weights = {name: array for name, array in arrays((head,)).items() if name != gone}
    heads, unread = read({"architectures": [named]}, weights)
    assert heads == ()
    assert reason in unread


def test_a_masked_token_head_is_recognized_by_its_weight_names() -> None:
    assert read({}, arrays((WORDS,))) == ((WORDS,), "")


def test_a_head_with_two_different_biases_is_not_read() -> None:
    weights = arrays((WORDS,)) | {"heads.masked_tokens.decoder.bias": np.ones(20)}
    heads, unread = read({}, weights)
    assert heads == ()
    assert "two biases, and they differ" in unread


def test_an_untied_decoder_is_a_weight_of_the_head() -> None:
    weights = arrays((WORDS,)) | {"heads.masked_tokens.weight": np.zeros((20, 8))}
    (head,), _ = read({"tie_word_embeddings": False}, weights)
    assert not head.layers[-1].tied
    assert "heads.masked_tokens.weight" in head_layout(head, CONFIG)
    assert placed(head).settings == {"tie_word_embeddings": False}
    assert placed(WORDS, given={"tie_word_embeddings": False}).settings == {
        "tie_word_embeddings": True
    }


def trained(tiny: "Tiny", *heads: Head) -> Any:
    rng = np.random.default_rng(4)
    shapes = {n: s for head in heads for n, s in head_layout(head, tiny.config).items()}
    drawn = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}
    read = read_folder(tiny.path)
    return read.with_weights({**read.weights, **drawn}, heads=heads)


def test_an_export_names_the_heads_that_it_omits(tiny: "Tiny", tmp_path: Path) -> None:
    mean = pooled("classes", "mean")
    (note,) = export(trained(tiny, mean), tmp_path / "out", "transformers")
    assert note.startswith("the head for classes: no class of bert has mean pooling and one layer")
    back = read_folder(tmp_path / "out")
    assert (dict(back.head_weights), back.spec.heads) == ({}, ())
    assert back.source_settings["architectures"] == ["BertModel"]


def test_one_head_with_labels_and_one_for_tokens_fit_in_a_file(
    tiny: "Tiny", tmp_path: Path
) -> None:
    words = dataclasses.replace(
        WORDS, layers=(dataclasses.replace(WORDS.layers[0], norm_eps=1e-12), WORDS.layers[1])
    )
    folder = trained(tiny, words, pooled("classes"), TAGS)
    (note,) = export(folder, tmp_path / "out", "transformers")
    assert note == "the head for tags: a file of this family has room for one head"
    back = read_folder(tmp_path / "out")
    assert back.source_settings["architectures"] == ["BertForSequenceClassification"]
    assert {head.task for head in back.spec.heads} == {"classes", "masked_tokens"}
    for name, array in back.head_weights.items():
        assert np.array_equal(array, folder.head_weights[name]) or name.startswith(
            "heads.classifier"
        )
