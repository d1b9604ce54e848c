"""The same calls on bothways' `MultiVectorEncoder` and on sentence-transformers' own."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import torch
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from tests.support.drop_in import Both, assert_equal, bert_folder, load_both
from transformers import BertModel

from bothways import drop_in
from bothways.errors import InputError

TEXTS = ["a river bank", "water", "loans of a bank to a bank", "the shore: a stream"]


def save(base: Path, out: Path, **settings: Any) -> Path:
    inputs: dict[str, Any] = {"module_input_name": "token_embeddings"}
    model = sentence_transformers.MultiVectorEncoder(
        modules=[
            Transformer(str(base), **settings),
            Dense(32, 8, bias=False, activation_function=None, **inputs),
            MultiVectorMask(skiplist_words=[":", "water"]),
            Normalize(**inputs),
        ],
        device="cpu",
    )
    model.prompts = {"query": "find: ", "document": "a "}
    model.save_pretrained(str(out), create_model_card=False)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose queries are expanded and whose documents are short."""
    base = bert_folder(tmp_path_factory.mktemp("bert"), BertModel)
    expansion = {"strategy": "fixed", "length": 12}
    return save(
        base, tmp_path_factory.mktemp("multi"), document_length=9, query_expansion=expansion
    )


@pytest.fixture(scope="module")
def both(folder: Path) -> Both:
    return load_both("MultiVectorEncoder", folder)


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
@pytest.mark.parametrize("inputs", [TEXTS, "a river", tuple(TEXTS), np.array(TEXTS), []], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 2, "show_progress_bar": False, "chunk_size": 1, "device": "cpu"},
        {"convert_to_numpy": True},
        {"normalize_embeddings": True, "task": "query"},
        {"task": "document", "prompt_name": "query"},
        {"prompt": "to "},
    ],
    ids=str,
)
def test_encode_gives_the_same(inputs: Any, options: dict[str, Any], both: Both) -> None:
    assert_equal(*(m.encode(inputs, **options) for m in both))


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_queries_and_documents_are_read_the_same(both: Both) -> None:
    assert_equal(*(m.encode_query(TEXTS) for m in both))
    assert_equal(*(m.encode_document(TEXTS) for m in both))
    for model in both:
        model.max_seq_length = 5
    try:  # which limits neither, as both have lengths of their own
        assert_equal(*(m.encode_query(TEXTS) for m in both))
        assert_equal(*(m.encode_document(TEXTS) for m in both))
        assert_equal(*(m.encode(TEXTS) for m in both))
    finally:
        for model in both:
            model.max_seq_length = 48


@pytest.mark.parametrize("name", [None, "maxsim", "meanmaxsim"])
def test_scores_are_the_same(name: str | None, folder: Path) -> None:
    ours, theirs = load_both("MultiVectorEncoder", folder, similarity_fn_name=name)
    queries, documents = theirs.encode_query(TEXTS), theirs.encode_document(TEXTS[:2])
    assert_equal(ours.similarity(queries, documents), theirs.similarity(queries, documents))
    single = queries[0], documents[0]
    assert_equal(ours.similarity(*single), theirs.similarity(*single))
    pairs = queries[:2], [documents[0], torch.zeros(0, 8)]  # a document without tokens
    assert_equal(ours.similarity(*pairs), theirs.similarity(*pairs))
    assert_equal(ours.similarity_pairwise(*pairs), theirs.similarity_pairwise(*pairs))
    arrays = [np.asarray(each) for each in queries]
    np.testing.assert_allclose(
        ours.similarity(arrays, arrays), theirs.similarity(queries, queries), rtol=0, atol=1e-5
    )
    assert ours.similarity_fn_name == theirs.similarity_fn_name


def test_what_has_no_meaning_is_refused(both: Both, prompted_folder: Path) -> None:
    for options in (
        {"task": "other"},
        {"output_value": None},
        {"token_pooling": object()},
        {"convert_to_tensor": True},
    ):
        with pytest.raises(InputError, match=next(iter(options))):
            both.ours.encode(TEXTS, **options)
    with pytest.raises(InputError, match="similarity_fn_name='cosine'"):
        both.ours.similarity_fn_name = "cosine"
    with pytest.raises(InputError, match="4 queries and 1 documents"):
        both.ours.similarity_pairwise([np.zeros((1, 8))] * 4, [np.zeros((1, 8))])
    with pytest.raises(InputError, match="use SentenceTransformer"):
        drop_in.MultiVectorEncoder(prompted_folder, device="cpu")


def test_the_attributes_and_signatures_are_the_same(both: Both) -> None:
    for name in ("max_seq_length", "prompts", "default_prompt_name"):
        assert getattr(both.ours, name) == getattr(both.theirs, name), name
    assert both.ours.get_embedding_dimension() == both.theirs.get_embedding_dimension()
    for name in ("__init__", "encode", "encode_query", "encode_document"):
        theirs = inspect.signature(getattr(sentence_transformers.MultiVectorEncoder, name))
        ours = inspect.signature(getattr(drop_in.MultiVectorEncoder, name))
        expected = [p for p in theirs.parameters if p != "task"]
        assert [p for p in ours.parameters if p != "task"] == expected
