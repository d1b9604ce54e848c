"""Late chunking: means over spans of the token vectors of the whole document."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.conftest import MakeModel
from tests.support.models import TEXT, write_model

import bothways
from bothways import Encoder
from bothways.errors import InputError, SequenceTooLong, TruncationWarning, UnknownTokenWarning
from bothways.inference.backends import BackendName
from bothways.inference.late_chunking import ChunkVectors

DOCUMENT = "A river bank. The loan walks! A shore"
LONG = "River bank. " * 8


def mean_of(encoder: Encoder, text: str, start: int, end: int, **options: Any) -> np.ndarray:
    """The mean of the vectors of the tokens in a span, in float64."""
    states = encoder.contextualize(text, **({"on_overflow": "window"} | options))
    assert states.offsets is not None
    inside = [start < b and a < end and a < b for a, b in states.offsets.tolist()]
    return np.asarray(states.vectors[inside].astype(np.float64).mean(axis=0))


@pytest.fixture
def encoder(make_model: MakeModel) -> Encoder:
    return bothways.load(make_model())


@pytest.mark.parametrize("text", [DOCUMENT, LONG])
@pytest.mark.parametrize("chunks", [1, 3, "sentences", [(0, 7), (2, 13), (4, 5)]])
def test_a_chunk_is_the_mean_of_its_hidden_states(
    make_model: MakeModel, backend: BackendName, chunks: Any, text: str
) -> None:
    encoder = bothways.load(make_model(), backend=backend)
    result = encoder.encode_chunks(text, chunks=chunks, normalize=False)
    assert isinstance(result, ChunkVectors)
    assert len(result) > 2
    for vector, start, end, _ in result:
        np.testing.assert_allclose(vector, mean_of(encoder, text, start, end), atol=1e-6)


def test_chunks_have_spans_and_counts(encoder: Encoder) -> None:
    result = encoder.encode_chunks(DOCUMENT, chunks="sentences")
    sentences = [DOCUMENT[chunk.start : chunk.end] for chunk in result]
    assert sentences == ["A river bank.", "The loan walks!", "A shore"]
    assert result.num_tokens.tolist() == [4, 5, 2]
    assert result.num_unknown.tolist() == [1, 1, 0]  # the punctuation
    tokens = encoder.encode_chunks(DOCUMENT, chunks=3)
    assert tokens.num_tokens.tolist() == [3, 3, 3, 2]
    assert [DOCUMENT[c.start : c.end] for c in tokens][:2] == ["A river bank", ". The loan"]


def test_several_documents_and_their_spans(encoder: Encoder) -> None:
    documents = [DOCUMENT, "", "a river"]
    spans = [np.array([[0, 7]]), [], [(0, 1), (2, 7)]]
    results = encoder.encode_chunks(documents, chunks=spans)
    assert [result.vectors.shape for result in results] == [(1, 8), (0, 8), (2, 8)]
    one = encoder.encode_chunks("a river", chunks=[(0, 1), (2, 7)])
    np.testing.assert_allclose(results[2].vectors, one.vectors, atol=1e-6)
    assert [len(r) for r in encoder.encode_chunks(documents, chunks="sentences")] == [3, 0, 1]
    assert encoder.encode_chunks([], chunks=2) == []


def test_vectors_are_finished_as_those_of_sequences(encoder: Encoder) -> None:
    whole = encoder.encode_chunks("a river bank", chunks=100, dimensions=4, normalize=True)
    expected = mean_of(encoder, "a river bank", 0, 12)[:4]
    np.testing.assert_allclose(whole.vectors[0], expected / np.linalg.norm(expected), atol=1e-6)
    maximum = encoder.encode_chunks("a river bank", chunks=100, pooling="max", normalize=False)
    states = encoder.contextualize("a river bank").vectors[1:-1]
    np.testing.assert_allclose(maximum.vectors[0], states.max(axis=0), atol=1e-6)


def test_a_prompt_is_in_no_chunk(encoder: Encoder) -> None:
    result = encoder.encode_chunks("a river bank", chunks=2, prompt="the loan ", normalize=False)
    assert result.spans.tolist() == [[0, 7], [8, 12]]
    expected = mean_of(encoder, "a river bank", 0, 7, prompt="the loan ")
    np.testing.assert_allclose(result.vectors[0], expected, atol=1e-6)


def test_long_documents_are_cut_or_refused(encoder: Encoder) -> None:
    with pytest.warns(TruncationWarning):
        cut = encoder.encode_chunks(LONG, chunks="sentences", on_overflow="truncate")
    assert cut.truncated
    assert len(cut) == 4
    with pytest.raises(SequenceTooLong, match="sequence 1"):
        encoder.encode_chunks(["a", LONG], chunks="sentences", on_overflow="error")
    with pytest.raises(InputError, match="has no tokens; the document was cut"), pytest.warns():
        encoder.encode_chunks(LONG, chunks=[(0, 5), (80, 90)], on_overflow="truncate")


@pytest.mark.parametrize(
    ("documents", "chunks", "message"),
    [
        ("a river", "words", "chunks='words': expected a number of tokens, 'sentences', or spans"),
        ("a river", 0, "chunks=0: expected at least 1 token"),
        (["a", "b"], [[(0, 1)]], "spans of 1 documents, and there are 2"),
        (["a", "bank"], [[(0, 1)], [(0, 5)]], r"sequence 1: .*\(0, 5\).*4 characters"),
        ("a bank", [(2, 2)], r"chunk 0 is \(2, 2\)"),
        ("a bank", [(0, 1), (1, 2)], r"chunk 1, \(1, 2\), has no tokens$"),
        ("a bank", [(0.0, 1.0)], "pairs of whole numbers"),
        ("a bank", [(0, 1), (2,)], "pairs of whole numbers"),
        (np.array([2, 5, 3]), 2, "pass the document as a string"),
        (("a", "bank"), 2, "pass the document as a string"),
    ],
)
def test_bad_documents_and_chunks_are_errors(
    encoder: Encoder, documents: Any, chunks: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        encoder.encode_chunks(documents, chunks=chunks)


def test_a_model_of_first_tokens_needs_another_pooling(
    make_weights: Callable[..., dict[str, np.ndarray]], tmp_path: Path
) -> None:
    folder = write_model(tmp_path, make_weights(TEXT))
    encoder = bothways.load(folder)
    with pytest.raises(InputError, match="choose pooling='mean'"):
        encoder.encode_chunks("a river", chunks=2, pooling="cls")


def test_documents_of_unknown_tokens_are_warned_of(encoder: Encoder) -> None:
    with pytest.warns(UnknownTokenWarning):
        encoder.encode_chunks("xyzzy", chunks=2)


def test_white_space_before_a_token_is_not_of_the_chunk_before(minilm_folder: Path) -> None:
    encoder = bothways.load(minilm_folder)
    text = "The river rose.  It fell. " * 40
    result = encoder.encode_chunks(text, chunks="sentences")
    assert [text[c.start : c.end] for c in result][:2] == ["The river rose.", "It fell."]
    assert result.num_tokens.tolist() == [4, 3] * 40
