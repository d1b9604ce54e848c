"""Tagging of tokens, words, symbols and positions of series."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.support.heads import LABELS, LONG, SAME, TAGS, TEXTS, outputs_by_hand, pooled_head

import bothways
from bothways import Alphabet, EncoderConfig, Series
from bothways.errors import InputError, TruncationWarning
from bothways.inference.backends import BackendName
from bothways.reference import probabilities
from bothways.sequences import SeriesReader, SymbolReader

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel


def test_every_token_but_special_ones_gets_a_label(
    backend: BackendName, make_model: "MakeModel"
) -> None:
    path = make_model(TAGS)
    encoder = bothways.load(path, backend=backend)
    tags = encoder.tag(TEXTS)
    for text, tagged in zip(TEXTS, tags, strict=True):
        expected = probabilities(outputs_by_hand(path, encoder, text, "tags")[1:-1], "tags")
        np.testing.assert_allclose(tagged.probabilities, expected, rtol=0, atol=SAME)
        assert tagged.labels == [LABELS[row.argmax()] for row in expected]
        assert tagged.offsets is not None
        assert tagged.offsets[0].tolist() == [0, len(text.split()[0].removesuffix("ing"))]
    assert tags[2].tokens == ["walk", "##ing", "the", "shore", "##s"]
    assert tags[0].names == LABELS


def test_a_word_gets_the_label_of_its_first_token(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TAGS))
    words = ["walking", "the", "\u200b", "shores"]
    from_words, from_text = encoder.tag([words, " ".join(words)])
    assert from_words.tokens == words
    assert from_words.offsets is None
    first = [0, 2, 3, 4]
    assert from_text.tokens == ["walk", "##ing", "the", "[UNK]", "shore", "##s"]
    assert from_words.labels == [from_text.labels[i] for i in first]
    np.testing.assert_array_equal(from_words.probabilities, from_text.probabilities[first])


def test_a_word_that_was_cut_off_has_no_label(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TAGS))
    with pytest.warns(TruncationWarning, match="1 of 1 sequences"):
        (tagged,) = encoder.tag([LONG.split()])
    assert tagged.truncated
    assert tagged.tokens == LONG.split()
    labeled = [label is not None for label in tagged.labels]
    assert labeled == [True] * 8 + [False] * 5
    assert np.isnan(tagged.probabilities[8:]).all()
    assert not np.isnan(tagged.probabilities[:8]).any()


def test_the_special_tokens_between_two_texts_get_no_label(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TAGS))
    (tagged,) = encoder.tag([("a river", "the bank")])
    assert tagged.tokens == ["a", "river", "the", "bank"]


def test_a_model_of_symbols_labels_each_symbol(make_model: "MakeModel") -> None:
    alphabet = Alphabet.protein()
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=len(alphabet))
    reader = SymbolReader(alphabet)
    encoder = bothways.load(make_model(TAGS, pooled_head(outputs=2), config=config, reader=reader))
    as_text, as_list = encoder.tag(["MKV", ["M", "K", "V"]])
    assert as_text.tokens == as_list.tokens == ["M", "K", "V"]
    assert as_text.labels == as_list.labels
    assert as_text.offsets is not None
    assert as_text.offsets.tolist() == [[0, 1], [1, 2], [2, 3]]
    with pytest.raises(InputError, match="pairs of texts"):
        encoder.rerank("M", ["K"])


def test_a_model_of_series_labels_each_position(make_model: "MakeModel") -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=8, input="vectors", num_channels=2
    )
    reader = SeriesReader(Series.as_is(2))
    path = make_model(TAGS, pooled_head("values", outputs=1), config=config, reader=reader)
    encoder = bothways.load(path)
    (tagged,) = encoder.tag([np.ones((3, 2))])
    assert tagged.tokens == ["0", "1", "2"]
    assert tagged.offsets is None
    assert encoder.predict(np.ones((3, 2))).shape == ()
    with pytest.raises(InputError, match="no mask token"):
        _ = encoder.mask_token
