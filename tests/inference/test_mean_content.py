"""Pooling without special tokens: texts, ids, symbols, windows, prompts, and what has none."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.support.heads import LONG, SAME

import bothways
from bothways.checkpoints import export, read_folder
from bothways.errors import InputError, UnsupportedModel
from bothways.inference.backends import BackendName
from bothways.model.config import EncoderConfig
from bothways.model.pooling import Pooling
from bothways.sequences import Alphabet, OnOverflow, Series, SeriesReader, SymbolReader

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel

SERIES = EncoderConfig(
    num_layers=1, num_heads=1, d_model=8, d_ff=8, input="vectors", num_channels=2, max_length=12
)
PROTEINS = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=9, max_length=12)


@pytest.mark.parametrize("overflow", ["truncate", "window"])
@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_texts_are_pooled_without_their_special_tokens(
    overflow: OnOverflow, backend: BackendName, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(), backend=backend)
    texts = ["a river bank", LONG, "loan"]
    vectors = encoder.encode(texts, pooling="mean_content", on_overflow=overflow)
    for vector, tokens in zip(
        vectors, encoder.contextualize(texts, on_overflow=overflow), strict=True
    ):
        is_content = [token not in ("[CLS]", "[SEP]") for token in tokens.tokens]
        np.testing.assert_allclose(vector, tokens.vectors[is_content].mean(0), atol=SAME)


def test_an_empty_text_is_pooled_whole(backend: BackendName, make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(), backend=backend)
    expected = encoder.encode("", pooling="mean")
    np.testing.assert_allclose(encoder.encode("", pooling="mean_content"), expected, atol=SAME)


def test_ids_are_pooled_as_their_text(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model())
    text, ids = (encoder.encode([s], pooling="mean_content") for s in ("a bank", [2, 8, 6, 3]))
    np.testing.assert_array_equal(text, ids)


def test_pooling_without_the_prompt_leaves_out_both(make_model: "MakeModel") -> None:
    model = read_folder(make_model())
    path = model.path.parent / "prompted"
    export(model.with_spec(pooling=Pooling(include_prompt=False)), path, "bothways")
    encoder = bothways.load(path)
    states = encoder.contextualize("a bank", prompt="the ").vectors
    vector = encoder.encode("a bank", prompt="the ", pooling="mean_content")
    np.testing.assert_allclose(vector, states[2:-1].mean(0), atol=SAME)


def test_symbols_are_pooled_without_begin_and_end(make_model: "MakeModel") -> None:
    alphabet = Alphabet(symbols=("<", ">", *"MKVLAWG"), begin="<", end=">")
    proteins = bothways.load(make_model(config=PROTEINS, reader=SymbolReader(alphabet)))
    states = proteins.contextualize("MKV").vectors
    vector = proteins.encode("MKV", pooling="mean_content")
    np.testing.assert_allclose(vector, states[1:-1].mean(0), atol=SAME)


def test_a_series_has_no_special_tokens(make_model: "MakeModel") -> None:
    reader = SeriesReader(Series.as_is(2))
    series = bothways.load(make_model(config=SERIES, reader=reader))
    values = np.ones((5, 2), dtype=np.float32)
    np.testing.assert_array_equal(
        series.encode(values, pooling="mean_content"), series.encode(values, pooling="mean")
    )


def test_the_model_can_be_stored_and_exported(make_model: "MakeModel", tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from tokenizers import Tokenizer

    model = read_folder(make_model()).with_spec(pooling=Pooling(("mean_content",)))
    export(model, tmp_path / "stored", "bothways")
    (note,) = export(model, tmp_path / "graph", "onnx")
    assert "sentence-transformers has no pooling 'mean_content'" in note
    with pytest.raises(UnsupportedModel, match="no pooling 'mean_content'"):
        export(model, tmp_path / "sentences", "sentence-transformers")
    texts = ["a river bank", "loan", ""]
    encodings = Tokenizer.from_file(str(tmp_path / "graph/tokenizer.json")).encode_batch(texts)
    session = onnxruntime.InferenceSession(tmp_path / "graph/model.onnx")
    names = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    inputs = {n: np.array([getattr(e, field) for e in encodings]) for n, field in names.items()}
    (vectors,) = session.run(["sentence_embedding"], inputs)
    stored = bothways.load(tmp_path / "stored")
    np.testing.assert_allclose(vectors, stored.encode(texts), atol=SAME)


def test_a_model_without_a_tokenizer_cannot_tell(make_model: "MakeModel", tmp_path: Path) -> None:
    path = make_model()
    (path / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="has no tokenizer that says which ids"):
        bothways.load(path).encode([[2, 8, 3]], pooling="mean_content")
    model = read_folder(path).with_spec(pooling=Pooling(("mean_content",)))
    with pytest.raises(UnsupportedModel, match="no tokenizer that says which ids"):
        export(model, tmp_path / "graph", "onnx")
