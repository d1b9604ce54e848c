"""The same calls on bothways' `SparseEncoder` and on sentence-transformers' own."""

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import torch
from tests.support.drop_in import Both, assert_equal, bert_folder, load_both
from transformers import BertForMaskedLM

from bothways import drop_in
from bothways.errors import InputError

TEXTS = ["a river bank", "water", "", "loans of a bank to a bank", "the shore: a stream"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sparse encoder, as sentence-transformers saves it."""
    base = bert_folder(tmp_path_factory.mktemp("mlm"), BertForMaskedLM)
    saved = tmp_path_factory.mktemp("sparse")
    model = sentence_transformers.SparseEncoder(str(base), device="cpu")
    model.prompts = {"query": "find: ", "document": ""}
    model.save_pretrained(str(saved), create_model_card=False)
    return saved


@pytest.fixture(scope="module")
def both(folder: Path) -> Both:
    return load_both("SparseEncoder", folder, max_active_dims=6)


def assert_same_tensors(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list):
        assert isinstance(ours, list)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same_tensors(one, other)
        return
    assert ours.layout == theirs.layout
    assert_equal(ours.to_dense(), theirs.to_dense())


@pytest.mark.parametrize("inputs", [TEXTS, "a river", tuple(TEXTS), np.array(TEXTS), []], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 2, "show_progress_bar": False, "chunk_size": 1, "device": "cpu"},
        {"convert_to_tensor": False},
        {"convert_to_sparse_tensor": False},
        {"convert_to_tensor": False, "convert_to_sparse_tensor": False, "save_to_cpu": True},
        {"max_active_dims": 2},
        {"max_active_dims": 99},
        {"prompt_name": "query"},
        {"prompt": "to "},
    ],
    ids=str,
)
def test_encode_gives_the_same(inputs: Any, options: dict[str, Any], both: Both) -> None:
    assert_same_tensors(*(m.encode(inputs, **options) for m in both))


def test_queries_and_documents_get_the_same_prompts(both: Both) -> None:
    assert_same_tensors(*(m.encode_query(TEXTS) for m in both))
    assert_same_tensors(*(m.encode_document(TEXTS) for m in both))


def test_the_saved_number_of_terms_is_kept(folder: Path, tmp_path: Path) -> None:
    saved = shutil.copytree(folder, tmp_path / "model")
    file = saved / "config_sentence_transformers.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_active_dims": 3}))
    both = load_both("SparseEncoder", saved)
    for options in ({}, {"max_active_dims": 5}, {"max_active_dims": 99}):
        assert_same_tensors(*(m.encode(TEXTS, **options) for m in both))
    assert both.ours.max_active_dims == both.theirs.max_active_dims == 3


@pytest.mark.parametrize("top_k", [None, 2])
def test_terms_are_decoded_the_same(top_k: int | None, both: Both) -> None:
    vectors = both.theirs.encode(TEXTS, max_active_dims=99)
    for embeddings in (vectors, vectors[0], vectors.to_dense(), torch.zeros(2, vectors.shape[1])):
        ours, theirs = (m.decode(embeddings, top_k=top_k) for m in both)
        assert ours == theirs


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_statistics_and_intersections_are_the_same(both: Both) -> None:
    vectors = both.theirs.encode(TEXTS, max_active_dims=4)
    for embeddings in (vectors, vectors[0], vectors.to_dense(), torch.zeros(0, 3)):
        ours, theirs = (m.sparsity(embeddings) for m in both)
        assert ours == pytest.approx(theirs)
    for other in (vectors, vectors[3]):
        assert_same_tensors(*(m.intersection(vectors[0], other) for m in both))


@pytest.mark.parametrize("name", ["dot", "cosine", "euclidean", "manhattan"])
def test_similarities_are_the_same(name: str, folder: Path) -> None:
    ours, theirs = load_both("SparseEncoder", folder, similarity_fn_name=name)
    vectors = theirs.encode(TEXTS)
    dense = vectors.to_dense()
    for method in ("similarity", "similarity_pairwise"):
        expected = getattr(theirs, method)(dense, dense)
        for a, b in ((vectors, vectors), (vectors, dense), (dense, vectors)):
            assert_equal(getattr(ours, method)(a, b), expected)
    assert_equal(ours.similarity(vectors[0], vectors), theirs.similarity(dense[0], dense))


def test_the_attributes_and_signatures_are_the_same(both: Both, folder: Path) -> None:
    for name in ("max_active_dims", "similarity_fn_name", "max_seq_length", "prompts"):
        assert getattr(both.ours, name) == getattr(both.theirs, name), name
    assert both.ours.get_embedding_dimension() == both.theirs.get_embedding_dimension()
    assert drop_in.SparseEncoder(str(folder), max_active_dims=3).max_active_dims == 3
    for name in ("__init__", "encode", "encode_query", "encode_document", "decode"):
        theirs = inspect.signature(getattr(sentence_transformers.SparseEncoder, name)).parameters
        ours = inspect.signature(getattr(drop_in.SparseEncoder, name)).parameters
        assert list(ours) == list(theirs)


def test_what_is_no_sparse_vector_is_refused(both: Both, prompted_folder: Path) -> None:
    with pytest.raises(InputError, match="got ndarray; expected a torch tensor"):
        both.ours.decode(np.ones(17))
    with pytest.raises(InputError, match=r"shape \(3,\); expected \(17,\)"):
        both.ours.decode(torch.ones(3))
    with pytest.raises(InputError, match=r"embeddings_1 has shape \(2, 17\)"):
        both.ours.intersection(torch.ones(2, 17), torch.ones(17))
    with pytest.raises(InputError, match="max_active_dims=0"):
        both.ours.encode("a", max_active_dims=0)
    with pytest.raises(InputError, match="SparseEncoder needs a head for masked_tokens"):
        drop_in.SparseEncoder(str(prompted_folder))
