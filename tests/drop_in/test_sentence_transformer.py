"""The same calls on bothways' `SentenceTransformer` and on sentence-transformers' own."""

import copy
import inspect
import logging
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import torch
from sentence_transformers import SimilarityFunction, util
from sklearn.cluster import KMeans
from tests.support.drop_in import Both, assert_equal, load_both

from bothways import drop_in
from bothways.drop_in import loading
from bothways.errors import BackendError, BothwaysError, InputError, TruncationWarning
from bothways.native import is_built

TEXTS = ["a river bank", "water", "", "loans of a bank to a bank", "the shore: a stream", "a river"]
PAIRS = [("a river", "a bank"), ("loan", "water of a stream")]


def assert_same_bits(ours: Any, theirs: Any) -> None:
    assert (type(ours), ours.shape, ours.dtype) == (type(theirs), theirs.shape, theirs.dtype)
    different = np.asarray(ours).view(np.uint8) ^ np.asarray(theirs).view(np.uint8)
    assert np.unpackbits(different).mean() < 0.002  # signs of values that are nearly 0


@pytest.mark.parametrize("model", ["minilm", "prompted"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 2},
        {"prompt": "a stream "},
        {"prompt": ""},
        {"prompt_name": "query"},
        {"prompt": "water ", "prompt_name": "query"},
        {"normalize_embeddings": True},
        {"truncate_dim": 8},
        {"truncate_dim": 8, "normalize_embeddings": True},
        {"truncate_dim": 9999},
        {"convert_to_tensor": True},
        {"convert_to_numpy": False},
        {"output_value": "token_embeddings"},
        {"output_value": "token_embeddings", "prompt_name": "query"},
        {"precision": "int8"},
        {"precision": "uint8", "normalize_embeddings": True},
        {"precision": None},
        {"precision": "int8", "convert_to_tensor": True},
        {"precision": "int8", "convert_to_numpy": False},
        {"device": "cpu"},
        {"show_progress_bar": False, "chunk_size": 3},
        {"task": "query"},
    ],
    ids=str,
)
def test_encode_gives_the_same(
    model: str, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    both = request.getfixturevalue(model)
    assert_equal(both.ours.encode(TEXTS, **options), both.theirs.encode(TEXTS, **options))


@pytest.mark.parametrize(
    "inputs",
    ["a bank", "", tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), [], PAIRS,
     [list(pair) for pair in PAIRS], [TEXTS[0]]],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    "options", [{}, {"convert_to_tensor": True}, {"convert_to_numpy": False}], ids=str
)
def test_each_kind_of_input_gives_the_same(
    inputs: Any, options: dict[str, Any], prompted: Both
) -> None:
    assert_equal(prompted.ours.encode(inputs, **options), prompted.theirs.encode(inputs, **options))


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
@pytest.mark.parametrize("inputs", [TEXTS, "a river"], ids=str)
def test_bits_are_the_same(precision: str, inputs: Any, minilm: Both) -> None:
    assert_same_bits(*(m.encode(inputs, precision=precision) for m in minilm))


@pytest.mark.parametrize("inputs", ["a river bank", []], ids=str)
def test_token_embeddings_of_one_text_and_of_none_are_the_same(inputs: Any, prompted: Both) -> None:
    assert_equal(*(m.encode(inputs, output_value="token_embeddings") for m in prompted))


@pytest.mark.parametrize("method", ["encode_query", "encode_document"])
@pytest.mark.parametrize("options", [{}, {"prompt_name": "passage"}, {"prompt": "to "}], ids=str)
def test_queries_and_documents_get_the_same_prompts(
    method: str, options: dict[str, Any], prompted: Both
) -> None:
    assert_equal(*(getattr(m, method)(TEXTS, **options) for m in prompted))
    assert_equal(*(getattr(m, method)("a bank", options.get("prompt_name")) for m in prompted))


def test_prompts_of_the_constructor_take_precedence(prompted_folder: Path) -> None:
    both = load_both(
        "SentenceTransformer", prompted_folder, prompts={"query": "of a ", "new": "to "},
        default_prompt_name="new", truncate_dim=5, similarity_fn_name="manhattan",
    )  # fmt: skip
    ours, theirs = both
    assert ours.prompts == theirs.prompts
    for method in ("encode", "encode_query", "encode_document"):
        assert_equal(*(getattr(m, method)(TEXTS) for m in both))
    vectors = ours.encode(TEXTS)
    assert_equal(torch.from_numpy(ours.similarity(vectors, vectors)),
                 theirs.similarity(vectors, vectors))  # fmt: skip


def test_the_attributes_are_the_same(prompted: Both, minilm: Both) -> None:
    for ours, theirs in (prompted, minilm):
        for name in ("prompts", "default_prompt_name", "max_seq_length", "similarity_fn_name",
                     "truncate_dim", "modalities"):  # fmt: skip
            assert getattr(ours, name) == getattr(theirs, name), name
        assert ours.device == str(theirs.device)
        assert ours.get_embedding_dimension() == theirs.get_embedding_dimension()
        assert ours.get_sentence_embedding_dimension() == theirs.get_embedding_dimension()
        assert ours.get_max_seq_length() == theirs.get_max_seq_length()
        assert ours.tokenizer(TEXTS)["input_ids"] == theirs.tokenizer(TEXTS)["input_ids"]


def test_max_seq_length_can_be_set(prompted_folder: Path) -> None:
    both = load_both("SentenceTransformer", prompted_folder)
    for model in both:
        model.max_seq_length = 7
    with pytest.warns(TruncationWarning):
        assert_equal(*(m.encode(["a river bank to a stream of water", "a"]) for m in both))
    with pytest.raises(InputError, match="max_length=99: this model takes 1 to 64 tokens"):
        both[0].max_seq_length = 99
    assert both[0].max_seq_length == 7
    both[0].max_seq_length = None
    assert both[0].max_seq_length == 24


def test_truncation_in_a_context_is_the_same(prompted: Both) -> None:
    for dimensions in (None, 3):
        results = []
        for model in prompted:
            with model.truncate_embeddings(dimensions):
                results.append(model.encode(TEXTS))
                assert model.get_embedding_dimension() == results[-1].shape[1]
        assert_equal(*results)
    assert prompted.ours.truncate_dim == 12


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarities_are_the_same(name: str, prompted: Both) -> None:
    ours, theirs = (copy.copy(model) for model in prompted)
    ours.similarity_fn_name = SimilarityFunction(name)
    theirs.similarity_fn_name = name
    vectors = ours.encode(TEXTS, normalize_embeddings=True)
    others = vectors[::-1]
    tensor = torch.from_numpy(vectors)
    for method in ("similarity", "similarity_pairwise"):
        expected = getattr(theirs, method)(vectors, others.copy())
        compare = getattr(ours, method)
        assert isinstance(compare(vectors, others), np.ndarray)
        assert_equal(torch.from_numpy(compare(vectors, others)), expected)
        for a, b in ((tensor, others), (list(tensor), others.tolist()), (vectors, tensor.flip(0))):
            assert_equal(compare(a, b), expected)
        assert_equal(compare(tensor.to_sparse(), others), expected)
        one = compare(tensor[0], tensor[1])
        assert_equal(one, getattr(theirs, method)(tensor[0], tensor[1]))
    assert_equal(ours.similarity(tensor, tensor[0]), theirs.similarity(tensor, tensor[0]))
    codes = (vectors * 100).astype(np.int8)  # sentence-transformers refuses or overflows
    wide = codes.astype(np.float32)
    np.testing.assert_array_equal(ours.similarity(codes, codes), ours.similarity(wide, wide))


def test_vectors_of_different_widths_cannot_be_compared(prompted: Both) -> None:
    with pytest.raises(InputError, match=r"shapes \(2, 3\) and \(2, 4\)"):
        prompted.ours.similarity(np.ones((2, 3)), np.ones((2, 4)))


def test_scripts_give_the_same_results(minilm: Both) -> None:
    """Semantic search, paraphrase mining, communities and clusters."""
    corpus = ["A man eats food.", "A man is eating pasta.", "A woman plays violin.",
              "Someone plays the violin.", "Rates rise.", "The bank raised its rates."]  # fmt: skip
    results = []
    for model in minilm:
        tensor = model.encode(corpus, convert_to_tensor=True)
        hits = util.semantic_search(model.encode_query(["dinner"]), tensor, top_k=3)
        best = torch.topk(
            model.similarity(model.encode(["music"], convert_to_tensor=True), tensor), 2
        )
        pairs = util.paraphrase_mining(model, corpus, batch_size=2, top_k=3)
        communities = util.community_detection(tensor, min_community_size=2, threshold=0.5)
        clusters = KMeans(3, n_init=3, random_state=0).fit_predict(model.encode(corpus))
        results.append(
            (
                [hit["corpus_id"] for hit in hits[0]],
                best.indices.tolist(),
                [pair[1:] for pair in pairs[:5]],
                communities,
                clusters.tolist(),
            )
        )
    assert results[0] == results[1]


def test_signatures_are_the_same() -> None:
    theirs = sentence_transformers.SentenceTransformer
    for name in ("__init__", "encode", "encode_query", "encode_document", "encode_multi_process",
                 "similarity", "similarity_pairwise", "truncate_embeddings",
                 "get_embedding_dimension", "start_multi_process_pool"):  # fmt: skip
        expected = inspect.signature(getattr(theirs, name)).parameters
        found = inspect.signature(getattr(drop_in.SentenceTransformer, name)).parameters
        assert list(found) == list(expected), name
        for parameter, other in zip(found.values(), expected.values(), strict=True):
            assert parameter.kind == other.kind, (name, parameter)
            if (name, parameter.name) != ("__init__", "backend"):
                assert parameter.default == other.default, (name, parameter)


def test_earlier_names_of_arguments_are_accepted(prompted: Both) -> None:
    model = prompted.ours
    for method in (model.encode, model.encode_query, model.encode_document):
        np.testing.assert_array_equal(method(sentences=TEXTS), method(TEXTS))
    with model.truncate_sentence_embeddings(4):
        assert model.encode("a").shape == (4,)


def test_pools_are_accepted_with_one_line(prompted: Both, caplog: pytest.LogCaptureFixture) -> None:
    model = prompted.ours
    pool = model.start_multi_process_pool(["cpu", "cpu"])
    expected = model.encode(TEXTS)
    np.testing.assert_array_equal(model.encode(TEXTS, pool=pool, chunk_size=2), expected)
    np.testing.assert_array_equal(model.encode_multi_process(TEXTS, pool), expected)
    np.testing.assert_array_equal(model.encode(TEXTS, device=["cpu", "cpu"]), expected)
    model.stop_multi_process_pool(pool)
    assert len(caplog.messages) == 2  # of the pool, and of the list of devices
    assert all(m.startswith("bothways needs no pool of processes") for m in caplog.messages)


def test_the_progress_bar_follows_the_level_of_the_logger(
    prompted: Both, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown = []
    encode = prompted.ours.encoder.encode

    def record(*arguments: Any, progress: bool, **options: Any) -> np.ndarray:
        shown.append(progress)
        vectors: np.ndarray = encode(*arguments, **options)
        return vectors

    monkeypatch.setattr(prompted.ours.encoder, "encode", record)
    for level, asked in ((logging.INFO, None), (logging.WARNING, None), (logging.WARNING, True)):
        with caplog.at_level(level, "bothways"):
            prompted.ours.encode(TEXTS, show_progress_bar=asked)
    assert shown == [True, False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt_name": "answer"}, "prompt_name='answer': expected one of 'query', 'document'"),
        ({"batch_size": 0}, "batch_size=0: expected at least 1"),
        ({"truncate_dim": 0}, "truncate_dim=0: expected at least 1"),
        ({"precision": "int4"}, "precision='int4': expected one of int8, uint8"),
        ({"output_value": None}, "output_value=None gives the tensors of padded batches"),
        ({"output_value": "x"}, "output_value='x': expected 'sentence_embedding'"),
        ({"output_value": "token_embeddings", "precision": "int8"}, "precision='int8': bothways"),
        ({"temperature": 1}, "temperature=1: the model takes no such argument"),
        ({"processing_kwargs": {"text": {}}}, "processing_kwargs: no tokenizer"),
    ],
)
def test_what_cannot_mean_the_same_is_refused(
    options: dict[str, Any], message: str, prompted: Both
) -> None:
    with pytest.raises(InputError, match=message):
        prompted.ours.encode(TEXTS, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modules": [1]}, "modules"),
        ({"cache_folder": "x"}, "cache_folder='x': set the environment variable HF_HUB_CACHE"),
        ({"token": "hf_x"}, "token"),
        ({"tokenizer_kwargs": {"padding_side": "left"}}, "processor_kwargs"),
        ({"config_kwargs": {"num_labels": 2}}, "config_kwargs"),
        ({"model_kwargs": {"file_name": "x.onnx"}}, r"model_kwargs\['file_name'\]"),
        ({"model_kwargs": {"torch_dtype": "int4"}}, "expected one of auto, float32"),
        ({"backend": "onnx"}, "backend='onnx': bothways computes from the model's weights"),
        ({"similarity_fn_name": "maxsim"}, "similarity_fn_name='maxsim': expected one of cosine"),
        ({"default_prompt_name": "x"}, "default_prompt_name='x': expected one of 'query'"),
        ({"truncate_dim": -1}, "truncate_dim=-1"),
    ],
)
def test_constructor_arguments_without_a_meaning_are_refused(
    options: dict[str, Any], message: str, prompted_folder: Path
) -> None:
    with pytest.raises(InputError, match=message):
        drop_in.SentenceTransformer(str(prompted_folder), **options)


def test_constructor_arguments_that_change_nothing_are_accepted(prompted_folder: Path) -> None:
    drop_in.SentenceTransformer(
        str(prompted_folder), trust_remote_code=True, revision="main", token=True,
        model_kwargs={"torch_dtype": torch.float32, "attn_implementation": "sdpa"},
        backend="reference", local_files_only=True,
    ).encode("a")  # fmt: skip


def test_a_model_is_needed() -> None:
    with pytest.raises(InputError, match="expected the name or folder of a model"):
        drop_in.SentenceTransformer()


@pytest.mark.parametrize(
    ("name", "revision", "source"),
    [
        ("minilm", None, "minilm"),
        ("all-MiniLM-L6-v2", None, "minilm"),
        ("sentence-transformers/all-MiniLM-L6-v2", None, "minilm"),
        ("all-MiniLM-L6-v2", "main", "hf:sentence-transformers/all-MiniLM-L6-v2@main"),
        ("all-mpnet-base-v2", None, "sentence-transformers/all-mpnet-base-v2"),
        ("BAAI/bge-small-en", None, "BAAI/bge-small-en"),
        ("BAAI/bge-small-en", "abc", "hf:BAAI/bge-small-en@abc"),
        ("hf:a/b@c", None, "hf:a/b@c"),
        ("./mine", "main", "./mine"),
        (Path("mine"), None, Path("mine")),
    ],
)
def test_names_of_models_are_those_of_sentence_transformers(
    name: Any, revision: str | None, source: Any
) -> None:
    assert loading.source_of(name, "sentence-transformers", revision) == source


def test_a_folder_takes_precedence_over_the_organization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert loading.source_of("mine", "sentence-transformers", None) == "mine"


def test_a_device_that_is_missing_is_named(prompted: Both) -> None:
    with pytest.raises(BothwaysError, match=r"cuda:7|torch"):
        prompted.ours.encode("a", device="cuda:7")
    assert prompted.ours.device == "cpu"


@pytest.mark.skipif(not is_built(), reason="bothways was installed without its engine")
def test_moving_loads_the_model_on_the_device(prompted_folder: Path) -> None:
    model = drop_in.SentenceTransformer(str(prompted_folder), backend="native", device="cpu")
    encoder = model.encoder
    assert model.to("cpu").eval().encoder is encoder
    with pytest.raises(BackendError, match="the native backend computes on the CPU"):
        model.to(0)


def test_training_and_saving_are_elsewhere(prompted: Both) -> None:
    with pytest.raises(AttributeError, match="has no 'fit': it only runs models"):
        _ = prompted.ours.fit


def test_a_model_can_be_pickled_and_copied(prompted: Both) -> None:
    again = pickle.loads(pickle.dumps(prompted.ours))  # noqa: S301
    np.testing.assert_array_equal(again.encode(TEXTS), prompted.ours.encode(TEXTS))
    assert copy.deepcopy(prompted.ours).prompts == prompted.ours.prompts


def test_nothing_imports_torch_unless_tensors_are_requested(prompted_folder: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
from bothways.drop_in import SentenceTransformer
model = SentenceTransformer({str(prompted_folder)!r}, backend="reference")
vectors = model.encode(["a bank", "a river"], precision="float32")
assert model.similarity(vectors, vectors).shape == model.encode(["a", "a"])[:, :2].shape
try:
    model.encode("a", convert_to_tensor=True)
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "convert_to_tensor=True, which gives tensors, needs an extra" in done.stdout
