"""Finite weights whose vectors are not finite."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.conftest import MakeModel
from tests.support.heads import TAGS, TOKENS, pooled_head

import bothways
from bothways import Alphabet, Encoder, EncoderConfig, checkpoints
from bothways.errors import InputError
from bothways.inference.backends import create_backend
from bothways.inference.finite import check_module_outputs
from bothways.inference.options import VectorOptions
from bothways.inference.predict import head_run
from bothways.inference.session import Session
from bothways.model.heads import Head, HeadLayer
from bothways.model.weights import Weights
from bothways.reference.heads import apply_layer
from bothways.sequences import SymbolReader

ALPHABET = Alphabet.protein()
CONFIG = EncoderConfig(
    num_layers=2, num_heads=2, d_model=16, d_ff=32, max_length=10, vocab_size=len(ALPHABET)
)

Load = Callable[[str, float], Encoder]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load an encoder with one weight changed."""

    def load(name: str, value: float) -> Encoder:
        folder = bothways.create(tmp_path / "protein", CONFIG, SymbolReader(ALPHABET))
        model = checkpoints.read_folder(folder)
        weights = {key: np.array(array) for key, array in model.weights.items()}
        weights[name][...] = value
        backend = create_backend("native", CONFIG, weights)
        return Encoder(Session(model, SymbolReader(ALPHABET), backend))

    return load


@pytest.mark.filterwarnings("ignore:overflow|invalid:RuntimeWarning")
@pytest.mark.parametrize(
    ("weight", "value", "place"),
    [
        ("embedding.norm.weight", 3e38, r"the embeddings \(layer 0\)"),
        ("blocks.0.feed_forward.up.weight", 3e38, "layer 1 of 2"),
        ("blocks.1.feed_forward_norm.weight", 3e38, "layer 2 of 2"),
    ],
)
def test_the_sequence_and_the_layer_are_named(
    load: Load, weight: str, value: float, place: str
) -> None:
    encoder = load(weight, value)
    message = f"sequence 0: the output of {place} has NaN or infinite values; the weights"
    for call in (encoder.encode, encoder.encode_detailed, encoder.contextualize):
        with pytest.raises(InputError, match=message):
            call(["MKV", "GAV"])
    with pytest.raises(InputError, match=message):
        encoder.encode(["MKVGAVLAGVMKV"], on_overflow="window")


def test_pooling_may_be_what_overflows(load: Load) -> None:
    encoder = load("blocks.1.feed_forward_norm.bias", 3e38)
    with pytest.raises(InputError, match="sequence 0: the pooled vector has NaN or infinite"):
        encoder.encode(["MKV"], pooling="mean")


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_dense_layers_after_pooling_are_named(load: Load) -> None:
    session = load("embedding.norm.bias", 0.0).session
    with pytest.raises(InputError, match="sequence 1: the output of the dense layers after pool"):
        session.finish(np.array([[1.0], [np.inf]], dtype=np.float32), VectorOptions())


def test_another_precision_is_the_advice_where_it_is_a_narrow_one() -> None:
    with pytest.raises(InputError, match="choose another precision than 'fp16'"):
        check_module_outputs(np.array([[np.nan]]), "fp16")


ANSWERS = Head(task="answer_spans", layers=(HeadLayer(name="heads.spans", outputs=2),))


@pytest.mark.parametrize(
    ("head", "method", "arguments"),
    [
        (pooled_head(), "classify", (["bank", "river"],)),
        (pooled_head("values"), "predict", (["bank", "river"],)),
        (pooled_head("values", outputs=1), "rerank", ("bank", ["river", "loan"])),
        (TAGS, "tag", (["bank", "river"],)),
        (TAGS, "tag", ([["bank"], ["river"]],)),
        (TOKENS, "fill_mask", (["a [MASK]"],)),
        (TOKENS, "sparse", (["bank", "river"],)),
        (ANSWERS, "answer", ("bank", ["river"])),
    ],
)
def test_outputs_of_heads_are_named(
    head: Head,
    method: str,
    arguments: tuple[Any, ...],
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def overflow(x_ND: np.ndarray, weights: Weights, layer: HeadLayer) -> np.ndarray:
        largest = np.full_like(apply_layer(x_ND, weights, layer), np.finfo(np.float32).max)
        return np.asarray(largest * 10, x_ND.dtype)

    encoder = bothways.load(make_model(head))
    monkeypatch.setattr(head_run, "apply_layer", overflow)
    with pytest.raises(InputError, match=r"sequence \d: the output of the head for .* has NaN"):
        getattr(encoder, method)(*arguments)
