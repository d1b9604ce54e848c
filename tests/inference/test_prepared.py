"""Sequences that are tokenized before they are encoded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.errors import InputError
from bothways.sequences import SymbolReader

SEQUENCES = ["MKV", "LATCDEF", "M" * 20]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=len(alphabet), max_length=16
    )
    folder: Path = tmp_path_factory.mktemp("models") / "proteins"
    return bothways.load(bothways.create(folder, config, SymbolReader(alphabet)))


def test_prepared_sequences_have_the_vectors_of_the_sequences(encoder: Encoder) -> None:
    prepared = encoder.prepare(SEQUENCES, on_overflow="window")
    assert list(prepared) == SEQUENCES
    assert len(prepared) == 3
    result: Any = encoder.encode_detailed(prepared, on_overflow="window", max_tokens=7)
    expected = encoder.encode_detailed(SEQUENCES, on_overflow="window")
    assert np.array_equal(result.vectors, expected.vectors)
    assert np.array_equal(result.num_tokens, expected.num_tokens)


def test_other_options_are_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="prepared with other options"):
        encoder.encode_detailed(encoder.prepare(SEQUENCES), on_overflow="window")


def test_a_sequence_that_cannot_be_encoded_is_refused_when_it_is_prepared(
    encoder: Encoder,
) -> None:
    with pytest.raises(InputError, match="sequence 2"):
        encoder.prepare(SEQUENCES, on_overflow="error")
