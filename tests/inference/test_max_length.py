"""The longest sequence that an encoder reads: of a load and of a call."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.errors import InputError, SequenceTooLong, TruncationWarning
from bothways.sequences import SymbolReader

PROTEIN = "MKVLAAGIVGLL"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=16, d_ff=32, max_length=10, vocab_size=len(alphabet)
    )
    path = tmp_path_factory.mktemp("models") / "protein"
    return bothways.create(path, config, SymbolReader(alphabet))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return bothways.load(folder, backend="native")


def test_a_call_and_a_load_cut_at_the_same_length(folder: Path, encoder: Encoder) -> None:
    loaded = bothways.load(folder, backend="native", max_length=6)
    assert (loaded.max_length, encoder.max_length) == (6, 10)
    with pytest.warns(TruncationWarning, match="1 of 2 sequences were longer than 6 tokens"):
        by_call = encoder.encode([PROTEIN, "MK"], max_length=6)
    with pytest.warns(TruncationWarning, match="longer than 6 tokens"):
        by_load = loaded.encode([PROTEIN, "MK"])
    np.testing.assert_array_equal(by_call, by_load)
    np.testing.assert_array_equal(by_call[0], encoder.encode(PROTEIN[:4]))
    assert loaded.encode_detailed([PROTEIN], max_length=9).num_tokens.tolist() == [9]
    assert pickle.loads(pickle.dumps(loaded)).max_length == 6  # noqa: S301


def test_every_method_takes_a_maximum_length(encoder: Encoder) -> None:
    with pytest.warns(TruncationWarning, match="longer than 5 tokens"):
        assert len(encoder.contextualize(PROTEIN, max_length=5).tokens) == 5
    with pytest.raises(SequenceTooLong, match="the model takes 5"):
        encoder.encode(PROTEIN, max_length=5, on_overflow="error")
    windows = encoder.contextualize(PROTEIN, max_length=5, on_overflow="window")
    assert len(windows.tokens) == len(PROTEIN) + 2
    for method in (encoder.classify, encoder.predict, encoder.tag, encoder.fill_mask,
                   encoder.sparse, encoder.encode_detailed):  # fmt: skip
        call: Any = method
        with pytest.raises(InputError):  # for want of a head, or of the length
            call(PROTEIN, max_length=11)


@pytest.mark.parametrize("max_length", [11, 2**70])
def test_a_length_that_the_model_does_not_take_is_refused(
    folder: Path, encoder: Encoder, max_length: int
) -> None:
    expected = f"max_length={max_length}: this model takes 1 to 10 tokens"
    with pytest.raises(InputError, match=expected):
        encoder.encode(PROTEIN, max_length=max_length)
    with pytest.raises(InputError, match=expected):
        bothways.load(folder, max_length=max_length)
