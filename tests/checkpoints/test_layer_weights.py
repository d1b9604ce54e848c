"""`WeightedLayerPooling`: vectors of tokens that are a mean of several layers."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, WeightedLayerPooling
from tests.support.drop_in import bert_folder
from transformers import BertModel

import bothways
from bothways import drop_in
from bothways.checkpoints import export, read_folder
from bothways.checkpoints.export import Format
from bothways.errors import CheckpointError, ConfigError, UnsupportedModel
from bothways.training.setup.base_model import load_base_model

TEXTS = ["a river bank", "water", "loans of a bank to a bank", "the shore: a stream"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mean of both layers of a BERT, by weights."""
    base = bert_folder(tmp_path_factory.mktemp("bert"), BertModel, output_hidden_states=True)
    mix = WeightedLayerPooling(32, num_hidden_layers=2, layer_start=1)
    with torch.no_grad():
        mix.layer_weights.copy_(torch.tensor([0.3, 1.7]))
    model = SentenceTransformer(
        modules=[Transformer(str(base)), mix, Pooling(32, "max"), Normalize()], device="cpu"
    )
    out = tmp_path_factory.mktemp("mixed") / "model"
    model.save(str(out))
    return out


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("backend", ["native", "torch", "reference"])
def test_vectors_are_those_of_sentence_transformers(folder: Path, backend: Any) -> None:
    theirs = SentenceTransformer(str(folder), device="cpu")
    encoder = bothways.load(folder, backend=backend, threads=1)
    assert encoder.spec.layer_weights == pytest.approx((0, 0.3, 1.7))
    expected = theirs.encode(TEXTS)
    found = encoder.encode(TEXTS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    for row, text in zip(found, TEXTS, strict=True):
        assert np.array_equal(encoder.encode(text), row)  # whatever else is encoded
    ours: Any = drop_in.SentenceTransformer(folder, device="cpu", backend=backend)
    tokens: Any = theirs.encode(TEXTS, output_value="token_embeddings")
    for mixed, wanted in zip(
        ours.encode(TEXTS, output_value="token_embeddings"), tokens, strict=True
    ):
        np.testing.assert_allclose(mixed, wanted, rtol=0, atol=1e-5)


def test_each_layer_is_as_it_is_and_the_last_is_the_mean(folder: Path) -> None:
    encoder = bothways.load(folder, threads=1)
    states = encoder.contextualize(TEXTS[0], layers=[0, 1, 2]).vectors
    plain = bothways.load(folder, threads=1, backend="reference").session
    assert plain.backend.name == "reference"
    assert encoder.attention(TEXTS[0]).probabilities.shape[0] == 2
    (last,) = (encoder.contextualize(TEXTS[0]).vectors,)
    assert np.array_equal(states[2], last)
    unmixed = (last - np.float32(0.3 / 2) * states[1]) / np.float32(1.7 / 2)
    theirs = BertModel.from_pretrained(folder).eval()
    (row,) = encoder.session.tokenize([TEXTS[0]], "")
    with torch.no_grad():
        expected = theirs(torch.tensor(row.values[None])).last_hidden_state[0].numpy()
    np.testing.assert_allclose(unmixed, expected, rtol=0, atol=1e-4)


def test_without_all_hidden_states_the_module_does_nothing(folder: Path, tmp_path: Path) -> None:
    plain = shutil.copytree(folder, tmp_path / "model")
    edit(plain / "config.json", output_hidden_states=False)
    theirs = SentenceTransformer(str(plain), device="cpu").encode(TEXTS)
    encoder = bothways.load(plain, threads=1)
    assert encoder.spec.layer_weights is None
    np.testing.assert_allclose(encoder.encode(TEXTS), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("to", ["sentence-transformers", "bothways"])
def test_an_export_keeps_the_mean(folder: Path, tmp_path: Path, to: Format) -> None:
    expected = bothways.load(folder, threads=1).encode(TEXTS)
    export(read_folder(folder), tmp_path / "out", to)
    assert np.array_equal(bothways.load(tmp_path / "out", threads=1).encode(TEXTS), expected)
    if to == "sentence-transformers":
        theirs = SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(TEXTS)
        np.testing.assert_allclose(theirs, expected, rtol=0, atol=1e-6)


def test_what_cannot_compute_the_mean_says_so(folder: Path, tmp_path: Path) -> None:
    model = read_folder(folder)
    with pytest.raises(UnsupportedModel, match="a mean of several layers"):
        export(model, tmp_path / "onnx", "onnx")
    assert "the mean of layers" in export(model, tmp_path / "out", "transformers")[0]
    with pytest.raises(ConfigError, match="which training does not compute"):
        load_base_model(folder, fields={})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding_dimension": 8}, "embedding_dimension=8; the encoder has 32"),
        ({"num_hidden_layers": 3}, "num_hidden_layers=3 and layer_start=1; the encoder has 2"),
        ({"layer_start": 0}, r"expected layer_weights of shape \(3,\)"),
    ],
)
def test_settings_of_another_encoder_are_refused(
    changes: dict[str, int], message: str, folder: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(folder, tmp_path / "model")
    (file,) = other.glob("1_*/config.json")
    edit(file, **changes)
    with pytest.raises(CheckpointError, match=message):
        read_folder(other)


@pytest.mark.parametrize("weights", [[1, -1, 0], [1, 1], ["a", 1, 1], [0, 0, 0]])
def test_malformed_weights_are_refused(weights: list[Any], folder: Path, tmp_path: Path) -> None:
    export(read_folder(folder), tmp_path / "out", "bothways")
    edit(tmp_path / "out" / "bothways.json", layer_weights=weights)
    with pytest.raises(CheckpointError, match="layer_weights"):
        read_folder(tmp_path / "out")
