"""spaCy: vectors of documents and tokens, in a pipeline on disk."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import bothways
from bothways.errors import CheckpointError

pytest.importorskip("spacy", reason="spacy is not installed; make test-integrations installs it")

import spacy
from spacy.language import Language

import bothways.integrations.spacy

TEXTS = ["A river bank, walking.", "the loan"]

pytestmark = pytest.mark.filterwarnings("ignore::bothways.errors.UnknownTokenWarning")


@pytest.fixture
def nlp(folder: Path) -> Language:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("bothways", config={"model": str(folder)})
    return pipeline


def test_documents_have_the_vectors_of_encode(nlp: Language, folder: Path) -> None:
    docs = list(nlp.pipe(TEXTS))
    expected = bothways.load(folder).encode(TEXTS, role="document")
    np.testing.assert_array_equal([doc.vector for doc in docs], expected)
    assert docs[0].has_vector
    cosine = expected[0] @ expected[1] / np.linalg.norm(expected, axis=1).prod()
    assert docs[0].similarity(docs[1]) == pytest.approx(cosine, abs=1e-6)
    np.testing.assert_array_equal(nlp(TEXTS[0]).vector, expected[0])


def test_tokens_have_the_mean_of_the_pieces_that_they_overlap(nlp: Language, folder: Path) -> None:
    doc = nlp(TEXTS[0])
    tokens = bothways.load(folder).contextualize(TEXTS[0], role="document")
    assert tokens.offsets is not None
    pieces = [TEXTS[0][start:end] for start, end in tokens.offsets]
    river, walking = pieces.index("river"), pieces.index("walk")
    assert [token.text for token in doc] == ["A", "river", "bank", ",", "walking", "."]
    np.testing.assert_array_equal(doc[1].vector, tokens.vectors[river])
    np.testing.assert_allclose(doc[4].vector, tokens.vectors[walking : walking + 2].mean(0))
    np.testing.assert_allclose(doc[1:3].vector, doc.tensor[1:3].mean(0))
    assert doc.tensor.shape == (6, 8)


def test_tokens_behind_the_longest_text_have_zeros(nlp: Language) -> None:
    with pytest.warns(bothways.errors.TruncationWarning):
        doc = nlp("a river " * 10)
    assert doc.tensor[0].any()
    assert not doc[19].vector.any()


def test_a_pipeline_from_disk_has_the_same_vectors_and_refuses_another_model(
    nlp: Language, other_folder: Path, tmp_path: Path
) -> None:
    nlp.to_disk(tmp_path)
    doc = nlp(TEXTS[0])
    np.testing.assert_array_equal(spacy.load(tmp_path)(TEXTS[0]).vector, doc.vector)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(doc)).vector, doc.vector)  # noqa: S301
    settings = tmp_path / "bothways" / "model.json"
    options = json.loads(settings.read_text("utf-8"))
    settings.write_text(json.dumps(options | {"model": str(other_folder)}), "utf-8")
    with pytest.raises(CheckpointError, match="they cannot be compared"):
        spacy.load(tmp_path)


def test_vectors_of_tokens_may_be_left_out(folder: Path) -> None:
    nlp = spacy.blank("en")
    config = {"model": str(folder), "options": {"dimensions": 4}, "tokens": False}
    nlp.add_pipe("bothways", config=config)
    doc = nlp(TEXTS[1])
    assert doc.vector.shape == (4,)
    assert doc.tensor.shape == (0,)
