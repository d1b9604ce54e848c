"""Static embeddings of sentence-transformers and model2vec: a table and a mean."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    StaticEmbedding,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import bothways
from bothways.checkpoints import export
from bothways.checkpoints.folder import fingerprint, read_folder
from bothways.errors import CheckpointError, TruncationWarning, UnsupportedModel

TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "river", "bank", "loan", "##s")
TEXTS = ["the river banks", "loan", "", "unheard words, the bank", "   ", "the the river"]
TABLE = np.random.default_rng(0).standard_normal((len(TOKENS), 6)).astype(np.float32)


def tokenizer() -> Tokenizer:
    """A tokenizer that puts special tokens around a text, as BERT's does."""
    vocabulary = {token: index for index, token in enumerate(TOKENS)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def expected(folder: Path, texts: list[str], **options: Any) -> np.ndarray:
    """The vectors of sentence-transformers."""
    model = SentenceTransformer(str(folder), device="cpu")
    vectors: np.ndarray = model.encode(texts, show_progress_bar=False, **options)
    return vectors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer(), embedding_weights=TABLE), Normalize()],
        prompts={"query": "the loan "},
        device="cpu",
    )
    model.save(str(tmp_path / "static"))
    return tmp_path / "static"


def replace_weights(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    save_file(arrays, folder / "model.safetensors")


@pytest.mark.parametrize("backend", ["native", "torch", "reference"])
def test_vectors_are_those_of_sentence_transformers(folder: Path, backend: Any) -> None:
    encoder = bothways.load(folder, backend=backend, threads=1)
    assert encoder.session.family == "static-embedding"
    found = encoder.encode(TEXTS, on_unknown="ignore")
    assert np.abs(found - expected(folder, TEXTS)).max() < 1e-6
    assert not found[2].any()  # nothing to average
    prompted = encoder.encode(TEXTS, prompt_name="query", on_unknown="ignore")
    assert np.abs(prompted - expected(folder, TEXTS, prompt_name="query")).max() < 1e-6


def test_the_table_can_be_in_a_subfolder(folder: Path) -> None:
    whole = bothways.load(folder, threads=1).encode(TEXTS, on_unknown="ignore")
    (folder / "0_StaticEmbedding").mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).rename(folder / "0_StaticEmbedding" / name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0] |= {"path": "0_StaticEmbedding"}
    modules[0]["type"] = "sentence_transformers.models.StaticEmbedding"  # of releases before 6
    (folder / "modules.json").write_text(json.dumps(modules))
    moved = bothways.load(folder, threads=1).encode(TEXTS, on_unknown="ignore")
    assert np.array_equal(moved, whole)


def test_a_dense_layer_may_follow(tmp_path: Path) -> None:
    table = StaticEmbedding(tokenizer(), embedding_weights=TABLE)
    SentenceTransformer(modules=[table, Dense(6, 4)], device="cpu").save(str(tmp_path / "m"))
    found = bothways.load(tmp_path / "m", threads=1).encode(TEXTS, on_unknown="ignore")
    assert np.abs(found - expected(tmp_path / "m", TEXTS)).max() < 1e-6


@pytest.mark.parametrize("has_mapping", [False, True])
@pytest.mark.parametrize("has_weights", [False, True])
def test_weights_of_model2vec_are_folded(
    folder: Path, has_mapping: bool, has_weights: bool
) -> None:
    arrays: dict[str, np.ndarray] = {"embeddings": TABLE}
    if has_mapping:
        arrays = {
            "embeddings": TABLE[:3],
            "mapping": np.arange(len(TOKENS), dtype=np.int64) % 3,
        }
    if has_weights:
        arrays["weights"] = np.linspace(0.1, 2, len(TOKENS))
    replace_weights(folder, arrays)
    (folder / "config.json").write_text('{"model_type": "model2vec"}')
    found = bothways.load(folder, threads=1).encode(TEXTS, on_unknown="ignore")
    assert np.abs(found - expected(folder, TEXTS)).max() < 1e-6


def test_eight_bit_rows_with_weights_are_multiplied(folder: Path) -> None:
    rows = np.arange(-27, 27, dtype=np.int8).reshape(len(TOKENS), 6)
    replace_weights(folder, {"embeddings": rows, "weights": np.ones(len(TOKENS), np.float32) / 9})
    found = bothways.load(folder, threads=1).encode(TEXTS, on_unknown="ignore")
    assert np.abs(found - expected(folder, TEXTS)).max() < 1e-6


def test_a_limit_of_the_tokenizer_is_kept(folder: Path, tmp_path: Path) -> None:
    limited = tokenizer()
    limited.enable_truncation(2)
    limited.save(str(folder / "tokenizer.json"))
    encoder = bothways.load(folder, threads=1)
    assert encoder.max_length == 2
    with pytest.warns(TruncationWarning):
        found = encoder.encode(TEXTS, on_unknown="ignore")
    assert np.abs(found - expected(folder, TEXTS)).max() < 1e-6
    export(read_folder(folder), tmp_path / "out", "sentence-transformers")
    assert np.abs(found - expected(tmp_path / "out", TEXTS)).max() < 1e-6


@pytest.mark.parametrize("to", ["sentence-transformers", "bothways"])
def test_an_export_gives_the_same_vectors(folder: Path, tmp_path: Path, to: Any) -> None:
    out = tmp_path / "out"
    assert export(read_folder(folder), out, to) == ()
    before, after = (bothways.load(each, threads=1) for each in (folder, out))
    options: dict[str, Any] = {"on_unknown": "ignore", "prompt_name": "query"}
    assert np.array_equal(before.encode(TEXTS, **options), after.encode(TEXTS, **options))
    if to == "sentence-transformers":
        found = expected(out, TEXTS, prompt_name="query")
        assert np.abs(found - before.encode(TEXTS, **options)).max() < 1e-6


def test_a_graph_gives_the_same_vectors(folder: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    out = tmp_path / "out"
    export(read_folder(folder), out, "onnx")
    encoded = Tokenizer.from_file(str(out / "tokenizer.json")).encode_batch([TEXTS[0], TEXTS[5]])
    graph = runtime.InferenceSession(str(out / "model.onnx"), providers=["CPUExecutionProvider"])
    inputs = {
        "input_ids": np.array([e.ids for e in encoded]),
        "attention_mask": np.array([e.attention_mask for e in encoded]),
    }
    (found,) = graph.run(["sentence_embedding"], inputs)
    assert np.abs(found - expected(folder, [TEXTS[0], TEXTS[5]])).max() < 1e-6


def test_transformers_has_no_class_for_it(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="export them to sentence-transformers"):
        export(read_folder(folder), tmp_path / "out", "transformers")


def test_a_vector_of_empty_texts_is_not_lost(folder: Path, tmp_path: Path) -> None:
    model = read_folder(folder)
    table = model.weights["embedding.token.weight"].copy()
    table[-1] = 1
    changed = model.with_weights({"embedding.token.weight": table})
    with pytest.raises(UnsupportedModel, match="texts without tokens"):
        export(changed, tmp_path / "out", "sentence-transformers")


def test_it_has_tokens_and_no_attention(folder: Path) -> None:
    encoder = bothways.load(folder, threads=1)
    vectors = encoder.contextualize("the banks")
    assert vectors.tokens == ["the", "bank", "##s"]
    assert np.array_equal(vectors.vectors, TABLE[[4, 6, 8]])
    assert encoder.contextualize("").tokens == [""]
    for call in (encoder.attention, encoder.attend):
        with pytest.raises(UnsupportedModel, match="no layers"):
            call("the river")


def test_the_fingerprint_depends_on_table_and_tokenizer(folder: Path) -> None:
    prints = {fingerprint(folder)}
    replace_weights(folder, {"embedding.weight": 2 * TABLE})
    prints.add(fingerprint(folder))
    changed = tokenizer()
    changed.enable_truncation(9)
    changed.save(str(folder / "tokenizer.json"))
    assert len(prints | {fingerprint(folder)}) == 3


NAN = np.full_like(TABLE, np.nan)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"table": TABLE}, "no table of static embeddings"),
        ({"embedding.weight": TABLE[0]}, r"shape \(6,\); expected a table"),
        ({"embedding.weight": TABLE[:, :0]}, "expected a table"),
        ({"embedding.weight": TABLE[:5]}, "tokenizer has ids up to 8.* vocab_size is 5"),
        ({"embedding.weight": NAN}, "finite|NaN"),
        ({"embeddings": TABLE.astype(np.int8)}, "floating point|int8"),
        ({"embeddings": TABLE, "mapping": np.array([0, 9])}, "from 0 to 8"),
        ({"embeddings": TABLE, "mapping": np.array([-1, 0])}, "from 0 to 8"),
        ({"embeddings": TABLE, "mapping": np.array([0.0])}, "weight mapping"),
        ({"embeddings": TABLE, "mapping": np.array([[0]])}, "weight mapping"),
        ({"embeddings": TABLE, "weights": np.ones(3)}, "for each of 9 tokens"),
        ({"embeddings": TABLE, "weights": np.ones((9, 1))}, "for each of 9 tokens"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    folder: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    replace_weights(folder, arrays)
    with pytest.raises(CheckpointError, match=message):
        bothways.load(folder, threads=1)


def edit(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": {"type": "Other"}}, "not a tokenizer"),
        (
            {
                "truncation": {
                    "max_length": 3,
                    "stride": 0,
                    "strategy": "LongestFirst",
                    "direction": "Left",
                }
            },
            "cuts long sequences",
        ),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(
    folder: Path, fields: dict[str, Any], message: str
) -> None:
    edit(folder / "tokenizer.json", **fields)
    with pytest.raises(CheckpointError, match=message):
        bothways.load(folder, threads=1)


def test_a_tokenizer_is_required(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        bothways.load(folder, threads=1)


def test_pooling_cannot_follow(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    pooling = {"idx": 2, "name": "2", "path": "", "type": "sentence_transformers.models.Pooling"}
    (folder / "modules.json").write_text(json.dumps([*modules, pooling]))
    with pytest.raises(UnsupportedModel, match="Pooling after pooling"):
        read_folder(folder)


def test_the_empty_token_of_a_bothways_folder_must_exist(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(read_folder(folder), out, "bothways")
    edit(out / "bothways.json", empty_token=99)
    with pytest.raises(CheckpointError, match="empty_token=99"):
        read_folder(out)
