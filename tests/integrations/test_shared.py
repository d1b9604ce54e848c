"""What the adapters share; needs no framework."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.errors import CheckpointError, InputError
from bothways.integrations._shared import RoleEmbedder
from bothways.integrations.beir import BothwaysRetriever

TEXTS = ["the bank", "a loan"]


def test_queries_and_documents_have_the_prompts_of_their_roles(folder: Path) -> None:
    encoder, embedder = bothways.load(folder), RoleEmbedder(folder)
    np.testing.assert_array_equal(embedder.queries(TEXTS), encoder.encode(TEXTS, role="query"))
    np.testing.assert_array_equal(
        embedder.documents(iter(TEXTS)), encoder.encode(TEXTS, role="document")
    )
    plain = RoleEmbedder(folder, query_prompt="", document_prompt="a loan ")
    np.testing.assert_array_equal(plain.queries(TEXTS), encoder.encode(TEXTS, prompt=""))
    np.testing.assert_array_equal(plain.documents(TEXTS), encoder.encode(TEXTS, prompt="a loan "))


def test_vectors_of_no_texts_and_of_fewer_dimensions(folder: Path) -> None:
    embedder = RoleEmbedder(folder, dimensions=4)
    assert embedder.documents([]).shape == (0, 4)
    assert embedder.queries(["a river"]).shape == (1, 4)
    assert embedder.width == 4
    assert RoleEmbedder(folder).width == 8


def test_a_model_is_loaded_once_for_equal_arguments(folder: Path) -> None:
    first = RoleEmbedder(folder, dimensions=4).encoder
    assert RoleEmbedder(str(folder)).encoder is first
    assert RoleEmbedder(folder, threads=1).encoder is not first


def test_options_make_an_equal_embedder_and_refuse_another_model(
    folder: Path, other_folder: Path
) -> None:
    options = json.loads(json.dumps(RoleEmbedder(folder, dimensions=4).options()))
    fingerprint = bothways.load(folder).fingerprint
    assert options == {"model": str(folder), "dimensions": 4, "fingerprint": fingerprint}
    again = RoleEmbedder(**options)
    np.testing.assert_array_equal(
        again.queries(TEXTS), RoleEmbedder(folder, dimensions=4).queries(TEXTS)
    )
    changed = RoleEmbedder(**options | {"model": str(other_folder)})
    with pytest.raises(CheckpointError, match=f"fingerprint {fingerprint}: they cannot be"):
        changed.queries(TEXTS)


def test_a_loaded_encoder_is_used_as_it_is(folder: Path) -> None:
    encoder = bothways.load(folder, threads=1)
    embedder = RoleEmbedder(encoder)
    assert embedder.encoder is encoder
    assert embedder.options() == {
        "model": str(folder),
        "threads": 1,
        "fingerprint": encoder.fingerprint,
    }
    shorter = RoleEmbedder(bothways.load(folder, max_length=5))
    with pytest.raises(InputError, match="loaded with max_length=5, which this form cannot"):
        shorter.options()
    assert pickle.loads(pickle.dumps(shorter)).encoder.max_length == 5  # noqa: S301


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])  # noqa: S301
def test_a_copy_has_the_model_and_its_fingerprint(folder: Path, copied: Any) -> None:
    embedder = RoleEmbedder(folder, query_prompt="")
    again = copied(embedder)
    assert again.fingerprint == bothways.load(folder).fingerprint
    assert again.encoder is embedder.encoder
    np.testing.assert_array_equal(again.queries(TEXTS), embedder.queries(TEXTS))


def test_an_invalid_text_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="sequence 1: got None, a missing value"):
        RoleEmbedder(folder).documents(["a river", None])  # type: ignore[list-item]


def test_beir_reads_titles_and_texts_as_its_own_models(folder: Path) -> None:
    retriever = BothwaysRetriever(folder)
    documents = [{"title": "a bank", "text": "the shore"}, {"text": "a loan"}]
    expected = RoleEmbedder(folder).documents(["a bank the shore", "a loan"])
    np.testing.assert_array_equal(retriever.encode_corpus(documents, batch_size=1), expected)
    columns = {"title": ["a bank", ""], "text": ["the shore", "a loan"]}
    np.testing.assert_array_equal(
        retriever.encode_corpus(columns, convert_to_tensor=True), expected
    )
    np.testing.assert_array_equal(retriever.encode_corpus(["a bank the shore", "a loan"]), expected)
    np.testing.assert_array_equal(
        retriever.encode_queries(TEXTS, batch_size=1), RoleEmbedder(folder).queries(TEXTS)
    )
