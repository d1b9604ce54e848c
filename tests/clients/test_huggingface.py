"""The client of huggingface_hub gets what encoders compute offline."""

from typing import Any

import numpy as np
import pytest
from huggingface_hub import InferenceClient


def test_feature_extraction_gets_the_bits_of_encode(minilm: str, offline: dict[str, Any]) -> None:
    client = InferenceClient(minilm)
    for text, expected in zip(offline["texts"], offline["unit"], strict=True):
        vector = client.feature_extraction(text, normalize=True)
        assert (np.ravel(vector).astype(np.float32) == np.array(expected, np.float32)).all()


def test_sentence_similarity(minilm: str, offline: dict[str, Any]) -> None:
    first, *others = offline["texts"]
    scores = InferenceClient(minilm).sentence_similarity(first, other_sentences=others)
    assert scores == pytest.approx(offline["similarities"], abs=1e-6)


def test_text_classification(heads: str, offline: dict[str, Any]) -> None:
    best, *_ = InferenceClient(heads).text_classification(offline["text"])
    assert (best.label, best.score) == (offline["label"], offline["probability"])


def test_fill_mask(heads: str, offline: dict[str, Any]) -> None:
    filled = InferenceClient(heads).fill_mask(offline["masked"], top_k=3)
    assert [mask.token_str for mask in filled] == offline["tokens"]
    assert [mask.score for mask in filled] == offline["token_probabilities"]


def test_token_classification(tagger: str, offline: dict[str, Any]) -> None:
    tags = InferenceClient(tagger).token_classification(offline["text"])
    assert [[tag.word, tag.entity, tag.score] for tag in tags] == offline["tags"]
