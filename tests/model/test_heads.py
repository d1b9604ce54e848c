import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from bothways.errors import CheckpointError, ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadLayer, check_head, head_layout
from bothways.model.linear_terms import NgramTerm, SeriesTerm

CONFIG = EncoderConfig(
    num_layers=1, num_heads=2, d_model=8, d_ff=12, vocab_size=20, embedding_size=4
)
TAGS = Head(
    task="tags", layers=(HeadLayer(name="heads.classifier", outputs=2),), labels=("noun", "verb")
)
WORDS = Head(
    task="masked_tokens",
    layers=(
        HeadLayer(name="heads.dense", outputs=4, activation="gelu", norm="heads.norm"),
        HeadLayer(name="heads.words", outputs=20, tied=True),
    ),
)


def test_a_layout_names_every_weight_and_its_shape() -> None:
    assert head_layout(WORDS, CONFIG) == {
        "heads.dense.weight": (4, 8),
        "heads.dense.bias": (4,),
        "heads.norm.weight": (4,),
        "heads.norm.bias": (4,),
        "heads.words.bias": (20,),  # the matrix is the embedding's
    }
    assert head_layout(TAGS, CONFIG)["heads.classifier.weight"] == (2, 8)


NGRAMS = NgramTerm(features="counts", longest=3, buckets=64, normalized=True, layers_scale=0.5)
POSITIONS = SeriesTerm(features="positions", length=5, layers_scale=0.5)
WITH_NGRAMS = dataclasses.replace(TAGS, task="classes", pooling="mean", linear_term=NGRAMS)
WITH_POSITIONS = dataclasses.replace(WITH_NGRAMS, linear_term=POSITIONS)
OF_SERIES = dataclasses.replace(
    CONFIG, input="vectors", vocab_size=0, num_channels=3, embedding_size=None
)


def test_the_layout_of_a_linear_term_has_a_column_for_each_feature() -> None:
    added = head_layout(WITH_NGRAMS, CONFIG).items() - head_layout(TAGS, CONFIG).items()
    assert dict(added) == {
        "heads.linear_term.weight": (2, 64),
        "heads.linear_term.bias": (2,),
        "heads.linear_term.idf": (64,),
    }
    added = head_layout(WITH_POSITIONS, OF_SERIES).items() - head_layout(TAGS, OF_SERIES).items()
    assert dict(added) == {"heads.linear_term.weight": (2, 15), "heads.linear_term.bias": (2,)}


@pytest.mark.parametrize("head", [TAGS, WORDS, WITH_NGRAMS, WITH_POSITIONS])
def test_a_head_is_read_back_from_json_values_as_it_was(head: Head) -> None:
    assert Head.from_dict(head.to_dict()) == head


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "poetry"}, "task='poetry' of a head: expected one of masked_tokens"),
        ({"pooling": "mean"}, "pooling='mean' does not go with task='tags'"),
        ({"task": "classes"}, "pooling=None does not go with task='classes'"),
        (
            {"task": "classes", "pooling": "median"},
            "pooling='median' of a head: expected one of cls",
        ),
        ({"labels": ("noun",)}, "1 labels for a head of 2 outputs"),
        ({"task": "masked_tokens"}, "labels for task='masked_tokens'"),
        ({"layers": ()}, "at least one layer"),
        ({"dropout": 1.0}, "dropout=1.0 of a head: expected at least 0, below 1"),
        ({"dropout": "0.1"}, "dropout='0.1' of a head: expected float or int"),
        ({"layers": TAGS.layers * 2}, "every layer and norm needs its own name"),
        ({"layers": (WORDS.layers[1], TAGS.layers[0])}, "only the last layer"),
    ],
)
def test_a_head_that_contradicts_itself_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TAGS, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "classifier"}, "must begin with heads."),
        ({"norm": "norm"}, "must begin with heads."),
        ({"outputs": 0}, "outputs=0: expected at least 1"),
        ({"outputs": 2.0}, "outputs=2.0 of a head's layer: expected int"),
        ({"outputs": True}, "outputs=True of a head's layer: expected int"),
        ({"norm": 3}, "norm=3 of a head's layer: expected str or None"),
        (
            {"activation": "sine"},
            "activation='sine' of a head's layer: expected one of identity, tanh, relu",
        ),
        ({"norm_eps": -1.0}, "norm_eps=-1.0: expected at least 0"),
    ],
)
def test_an_invalid_layer_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TAGS.layers[0], **change)


@pytest.mark.parametrize(
    ("term", "change", "message"),
    [
        (NGRAMS, {"features": "pairs"}, "features='pairs' of an n-gram term: expected one of"),
        (NGRAMS, {"longest": 0}, "longest=0: expected 1 to 16 ids"),
        (NGRAMS, {"features": "positions"}, "longest=3: expected 1 with features='positions'"),
        (NGRAMS, {"buckets": 100}, "buckets=100: expected a power of 2"),
        (NGRAMS, {"buckets": 2**25}, "buckets=33554432: expected a power of 2 up to 16,777,216"),
        (NGRAMS, {"layers_scale": float("nan")}, "layers_scale=nan: expected at least 0"),
        (POSITIONS, {"features": "counts"}, "features='counts' of a series term: expected one of"),
        (POSITIONS, {"length": 0}, "length=0: expected 1 to"),
        (POSITIONS, {"features": "summary"}, "length=5: expected 0 to 0"),
        (POSITIONS, {"layers_scale": -1.0}, "layers_scale=-1.0: expected at least 0"),
    ],
)
def test_an_invalid_linear_term_is_refused(term: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        dataclasses.replace(term, **change)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (3, "linear_term of a head: expected an object"),
        ({}, "kind=None of a linear term: expected ngrams or series"),
        ({"kind": "series", "features": "summary"}, "field 'length'"),
        ({"kind": "series", "color": 1}, "unknown field 'color'"),
    ],
)
def test_a_linear_term_that_is_malformed_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Head.from_dict(WITH_NGRAMS.to_dict() | {"linear_term": fields})


def test_a_linear_term_fits_its_head_and_its_encoder() -> None:
    with pytest.raises(ConfigError, match="a linear term of a head: expected a pooling"):
        dataclasses.replace(TAGS, linear_term=NGRAMS)
    with pytest.raises(CheckpointError, match="a linear term of ngrams, and an encoder of vectors"):
        check_head(WITH_NGRAMS, OF_SERIES, {}, "file")
    with pytest.raises(CheckpointError, match="a linear term of series, and an encoder of tokens"):
        check_head(WITH_POSITIONS, CONFIG, {}, "file")


def test_an_unknown_or_missing_field_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown field 'color'; Head has task, layers"):
        Head.from_dict(TAGS.to_dict() | {"color": 1})
    with pytest.raises(ConfigError, match="field 'outputs' of HeadLayer is missing"):
        Head.from_dict(TAGS.to_dict() | {"layers": [{"name": "heads.x"}]})


def weights_of(head: Head) -> dict[str, np.ndarray]:
    return {name: np.zeros(shape) for name, shape in head_layout(head, CONFIG).items()}


def test_weights_of_a_head_are_checked_by_name_and_shape() -> None:
    weights = weights_of(WORDS)
    check_head(WORDS, CONFIG, weights | {"heads.other": np.zeros(1)}, "m")
    with pytest.raises(CheckpointError, match=r"m: weight 'heads\.dense\.bias' .* is missing"):
        check_head(
            WORDS, CONFIG, {n: a for n, a in weights.items() if n != "heads.dense.bias"}, "m"
        )
    with pytest.raises(CheckpointError, match=r"m: weight 'heads\.norm\.bias' has shape \(5,\)"):
        check_head(WORDS, CONFIG, weights | {"heads.norm.bias": np.zeros(5)}, "m")


def test_a_head_that_does_not_fit_its_encoder_is_refused() -> None:
    dense, words = WORDS.layers
    for layers, message in (
        ((words,), "has 8 inputs and 20 outputs; it is tied to the token embeddings"),
        ((dense, dataclasses.replace(words, outputs=21)), "21 outputs; expected 20"),
    ):
        head = dataclasses.replace(WORDS, layers=layers)
        with pytest.raises(CheckpointError, match=message):
            check_head(head, CONFIG, weights_of(head), "m")
