"""Vectors of tokens of ColBERT models, in the three formats of folders, and MaxSim."""

import json
import shutil
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
from safetensors.numpy import load_file, save_file
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from tests.inference.conftest import MakeModel
from tests.support.drop_in import VOCABULARY, bert_folder
from transformers import BertModel

import bothways
from bothways import Encoder, reference
from bothways.checkpoints import export, fingerprint, read_folder
from bothways.errors import CheckpointError, InputError, TruncationWarning, UnsupportedModel
from bothways.inference.backends import BackendName
from bothways.reference.maxsim import maxsim as maxsim_of_one

TOLERANCE = 1e-5
TEXTS = ["a river bank", "loans: a bank", "", "the shore of a stream : water", "bank " * 40]
FORMATS = ("sentence-transformers", "pylate", "stanford")


def write_json(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(values), encoding="utf-8")


def sentence_transformers_folder(base: Path, out: Path, **expansion: Any) -> Path:
    """A model as sentence-transformers saves it."""
    transformer = Transformer(
        str(base),
        document_length=20,
        query_expansion={"strategy": "fixed", "length": 12, **expansion},
    )
    inputs: dict[str, Any] = {"module_input_name": "token_embeddings"}
    modules = [
        transformer,
        Dense(32, 8, bias=False, activation_function=None, **inputs),
        MultiVectorMask(skiplist_words=[":", "the"]),
        Normalize(**inputs),
    ]
    model = sentence_transformers.MultiVectorEncoder(modules=modules, device="cpu")
    model.prompts = {"query": "find: ", "document": "a "}
    model.save_pretrained(str(out), create_model_card=False)
    return out


def pylate_folder(base: Path, out: Path, **settings: Any) -> Path:
    """The same files as PyLate writes them: two modules, and settings beside the prompts."""
    sentence_transformers_folder(base, out)
    modules = json.loads((out / "modules.json").read_text())[:2]
    modules[0]["type"] = "sentence_transformers.models.Transformer"
    modules[1]["type"] = "pylate.models.Dense.Dense"
    (out / "modules.json").write_text(json.dumps(modules))
    write_json(out / "sentence_bert_config.json", max_seq_length=11, do_lower_case=False)
    dense = out / modules[1]["path"] / "config.json"
    write_json(
        dense,
        in_features=32,
        out_features=8,
        bias=False,
        activation_function="torch.nn.modules.linear.Identity",
        use_residual=False,
    )
    about: dict[str, Any] = {
        "model_type": "ColBERT",
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "MaxSim",
        "query_prefix": "[unused0]",
        "document_prefix": "[unused1]",
        "query_length": 14,
        "document_length": 16,
        "attend_to_expansion_tokens": False,
        "skiplist_words": [*string.punctuation],
    }
    write_json(out / "config_sentence_transformers.json", **(about | settings))
    return out


def stanford_folder(base: Path, out: Path, **metadata: Any) -> Path:
    """The same weights as Stanford's ColBERT writes them, with the projection beside them."""
    shutil.copytree(base, out)
    arrays = load_file(out / "model.safetensors")
    weights = {f"bert.{name}": array for name, array in arrays.items()}
    projection = np.random.default_rng(3).standard_normal((8, 32)).astype(np.float32)
    save_file(weights | {"linear.weight": projection}, out / "model.safetensors")
    config = json.loads((out / "config.json").read_text())
    write_json(out / "config.json", **(config | {"architectures": ["HF_ColBERT"]}))
    settings = {"query_maxlen": 14, "doc_maxlen": 18, "attend_to_mask_tokens": False}
    write_json(out / "artifact.metadata", **(settings | metadata))
    return out


MAKERS = dict(
    zip(FORMATS, (sentence_transformers_folder, pylate_folder, stanford_folder), strict=True)
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = bert_folder(tmp_path_factory.mktemp("colbert") / "base", BertModel)
    words = {"to": "[unused0]", "##s": "[unused1]", "find": "the"}
    vocabulary = [words.get(word, word) for word in VOCABULARY]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=FORMATS)
def folder(request: pytest.FixtureRequest, base: Path) -> Path:
    return MAKERS[request.param](base, base.parent / request.param)


def vectors_of(encoder: Encoder, role: Any) -> list[np.ndarray]:
    return encoder.multi_vector(TEXTS, role=role, on_unknown="ignore")


def assert_same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    assert [vectors.shape for vectors in ours] == [vectors.shape for vectors in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_vectors_are_those_of_sentence_transformers(folder: Path) -> None:
    theirs = sentence_transformers.MultiVectorEncoder(
        str(folder), device="cpu", local_files_only=True
    )
    names: tuple[BackendName, ...] = ("reference", "torch", "native")
    for backend in names:
        encoder = bothways.load(folder, backend=backend)
        assert_same(vectors_of(encoder, "query"), theirs.encode_query(TEXTS))
        assert_same(vectors_of(encoder, "document"), theirs.encode_document(TEXTS))


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
@pytest.mark.parametrize("expansion", [{"attend": True}, {"strategy": "min"}, {"token": "bank"}])
def test_expansions_are_those_of_sentence_transformers(
    base: Path, tmp_path: Path, expansion: dict[str, Any]
) -> None:
    folder = sentence_transformers_folder(base, tmp_path / "model", **expansion)
    theirs = sentence_transformers.MultiVectorEncoder(
        str(folder), device="cpu", local_files_only=True
    )
    assert_same(vectors_of(bothways.load(folder), "query"), theirs.encode_query(TEXTS))


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_pylate_without_expansion(base: Path, tmp_path: Path) -> None:
    folder = pylate_folder(base, tmp_path / "model", do_query_expansion=False, skiplist_words=[])
    theirs = sentence_transformers.MultiVectorEncoder(
        str(folder), device="cpu", local_files_only=True
    )
    encoder = bothways.load(folder)
    assert_same(vectors_of(encoder, "query"), theirs.encode_query(TEXTS))
    assert_same(vectors_of(encoder, "document"), theirs.encode_document(TEXTS))


def test_an_export_to_bothways_gives_the_same_vectors(folder: Path, tmp_path: Path) -> None:
    export(read_folder(folder), tmp_path / "copy", "bothways")
    ours, copy = bothways.load(folder), bothways.load(tmp_path / "copy")
    text = "a river bank"
    np.testing.assert_array_equal(
        ours.multi_vector(text, role="query"), copy.multi_vector(text, role="query")
    )


@pytest.mark.parametrize("to", ["sentence-transformers", "onnx"])
def test_exports_that_would_change_its_meaning_are_refused(
    base: Path, tmp_path: Path, to: Any
) -> None:
    model = read_folder(stanford_folder(base, tmp_path / "model"))
    with pytest.raises(UnsupportedModel, match="late interaction"):
        export(model, tmp_path / "copy", to)
    assert not (tmp_path / "copy").exists()


def test_added_positions_attend_without_being_attended_to(base: Path, tmp_path: Path) -> None:
    folder = stanford_folder(base, tmp_path / "model")
    encoder = bothways.load(folder)
    query = encoder.multi_vector("a river", role="query")
    assert query.shape == (14, 8)
    short = stanford_folder(base, tmp_path / "short", query_maxlen=9)
    fewer = bothways.load(short).multi_vector("a river", role="query")
    np.testing.assert_allclose(query[:9], fewer, atol=1e-6)
    attended = stanford_folder(base, tmp_path / "attended", attend_to_mask_tokens=True)
    other = bothways.load(attended).multi_vector("a river", role="query")
    assert abs(query - other).max() > 0.01


def test_settings_of_stanford_are_part_of_the_fingerprint(base: Path, tmp_path: Path) -> None:
    one = stanford_folder(base, tmp_path / "one")
    other = stanford_folder(base, tmp_path / "other", query_maxlen=9)
    assert fingerprint(one) != fingerprint(other)


def test_long_documents_are_cut_with_a_warning_or_refused(base: Path, tmp_path: Path) -> None:
    encoder = bothways.load(stanford_folder(base, tmp_path / "model"))
    with pytest.warns(TruncationWarning, match="1 of 2 sequences were longer than 18 tokens"):
        vectors = encoder.multi_vector(["a", TEXTS[-1]], role="document")
    assert vectors[1].shape == (18, 8)
    with pytest.raises(InputError, match="sequence 1"):
        encoder.multi_vector(["a", TEXTS[-1]], role="document", on_overflow="error")


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_documents_are_reranked_by_maxsim(base: Path, tmp_path: Path) -> None:
    encoder = bothways.load(stanford_folder(base, tmp_path / "model"))
    documents = ["a loan of a bank", "the river shore", "water", "stream " * 40]
    ranking = encoder.rerank("a river bank", documents)
    vectors = encoder.multi_vector(documents, role="document")
    scores = bothways.maxsim(encoder.multi_vector("a river bank", role="query"), vectors)
    np.testing.assert_allclose(ranking.scores, scores, rtol=1e-6)
    assert ranking.order.tolist() == np.argsort(-scores).tolist()
    assert ranking.truncated.tolist() == [False, False, False, True]


def test_models_and_methods_that_do_not_fit_are_errors(
    base: Path, tmp_path: Path, make_model: MakeModel
) -> None:
    encoder = bothways.load(stanford_folder(base, tmp_path / "model-1"))
    with pytest.raises(InputError, match="use multi_vector and maxsim, or choose a pooling"):
        encoder.encode("a river")
    with pytest.raises(InputError, match="use multi_vector and maxsim, or choose a pooling"):
        encoder.encode_chunks("a river", chunks=2)
    with pytest.raises(InputError, match="role='passage'"):
        encoder.multi_vector("a river", role="passage")  # type: ignore[call-overload]
    with pytest.raises(InputError, match="sequence 1: expected a text"):
        encoder.multi_vector(["a", ("a", "b")], role="query")
    with pytest.raises(InputError, match="multi_vector needs a model of late interaction"):
        bothways.load(make_model()).multi_vector("a river", role="query")


def test_folders_with_wrong_settings_are_errors(base: Path, tmp_path: Path) -> None:
    stanford = stanford_folder(base, tmp_path / "stanford")
    arrays = load_file(stanford / "model.safetensors")
    save_file(
        arrays | {"linear.weight": np.zeros((8, 3), np.float32)}, stanford / "model.safetensors"
    )
    with pytest.raises(CheckpointError, match=r"linear\.weight of shape \(any, 32\)"):
        read_folder(stanford)
    folder = sentence_transformers_folder(base, tmp_path / "st")
    mask = next(folder.glob("*MultiVectorMask")) / "config.json"
    write_json(mask, **(json.loads(mask.read_text()) | {"keep_only_token_ids": [3]}))
    with pytest.raises(UnsupportedModel, match="keep_only_token_ids"):
        read_folder(folder)


def test_maxsim_is_the_sum_of_the_largest_products() -> None:
    rng = np.random.default_rng(1)
    queries = [rng.standard_normal((n, 8)).astype(np.float32) for n in (3, 0, 5, 1)]
    documents = [rng.standard_normal((n, 8)).astype(np.float32) for n in (7, 1, 0, 4, 90_000)]
    scores = bothways.maxsim(queries, documents)
    assert scores.shape == (4, 5)
    assert scores.dtype == np.float32
    expected = [[maxsim_of_one(query, document) for document in documents] for query in queries]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(bothways.maxsim(queries[0], documents), scores[0], rtol=1e-6)
    np.testing.assert_allclose(bothways.maxsim(queries, documents[0]), scores[:, 0], rtol=1e-6)
    assert bothways.maxsim(queries[0], documents[0]).shape == ()
    assert bothways.maxsim([], documents).shape == (0, 5)
    assert bothways.maxsim(queries, []).shape == (4, 0)
    assert reference.maxsim is maxsim_of_one


@pytest.mark.parametrize(
    ("queries", "documents", "message"),
    [
        ([np.zeros((2, 3)), np.zeros(3)], [], "query 1: float64 array of shape"),
        ([np.zeros((2, 3))], [np.zeros((2, 3)), np.zeros((2, 4))], "document 1 has 4 dimensions"),
        (["a"], [], "query 0"),
    ],
)
def test_vectors_that_cannot_be_compared_are_errors(
    queries: Any, documents: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        bothways.maxsim(queries, documents)
