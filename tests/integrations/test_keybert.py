"""KeyBERT: keywords by the similarity of words with their document."""

from pathlib import Path

import pytest

import bothways

pytest.importorskip(
    "keybert", reason="keybert is not installed; make test-integrations installs it"
)

from keybert import KeyBERT

from bothways.integrations.keybert import BothwaysEmbedder


def test_keywords_are_the_words_nearest_to_the_document(folder: Path) -> None:
    text = "a river bank the loan shore"
    found = KeyBERT(BothwaysEmbedder(folder)).extract_keywords(text, stop_words=None, top_n=3)
    words = ["bank", "loan", "river", "shore", "the"]
    encoder = bothways.load(folder)
    vectors, document = (encoder.encode(x, role="document", normalize=True) for x in (words, text))
    scores = dict(zip(words, vectors @ document, strict=True))
    best = sorted(words, key=lambda word: -scores[word])[:3]
    assert [word for word, _ in found] == best
