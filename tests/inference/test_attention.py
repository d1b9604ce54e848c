"""Attention maps: the array, its tokens, and the selection of layers and heads."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways import Alphabet, AttentionMaps, Encoder, EncoderConfig
from bothways.errors import InputError
from bothways.sequences import SymbolReader


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=2, num_heads=2, d_model=16, d_ff=32, max_length=10, vocab_size=len(alphabet)
    )
    folder = tmp_path_factory.mktemp("models") / "protein"
    return bothways.load(bothways.create(folder, config, SymbolReader(alphabet)), backend="native")


@pytest.fixture(scope="module")
def maps(encoder: Encoder) -> AttentionMaps:
    return encoder.attention("MKV")


def test_maps_have_the_tokens_of_their_positions(maps: AttentionMaps, encoder: Encoder) -> None:
    assert maps.tokens == encoder.contextualize("MKV").tokens
    assert maps.tokens[1:4] == ["M", "K", "V"]
    assert maps.offsets is not None
    assert maps.offsets[1:4].tolist() == [[0, 1], [1, 2], [2, 3]]


def test_maps_can_be_used_as_an_array(maps: AttentionMaps) -> None:
    array = np.asarray(maps)
    assert array is maps.probabilities
    assert np.array(maps, copy=True) is not maps.probabilities
    assert np.asarray(maps, dtype=np.float64).dtype == np.float64
    assert (maps.shape, maps.ndim, maps.dtype, len(maps)) == ((2, 2, 5, 5), 4, np.float32, 2)
    np.testing.assert_array_equal(maps[1, 0], array[1, 0])
    np.testing.assert_array_equal(maps.mean(axis=1), array.mean(axis=1))
    np.testing.assert_array_equal(1 - 2 * maps, 1 - 2 * array)
    np.testing.assert_array_equal(np.log(maps), np.log(array))
    np.testing.assert_array_equal(np.concatenate(list(maps)), np.concatenate(list(array)))
    assert (maps == array).all()
    with pytest.raises(AttributeError, match="transposed"):
        maps.transposed  # noqa: B018


def test_maps_can_be_copied_and_pickled(maps: AttentionMaps) -> None:
    for again in (copy.deepcopy(maps), pickle.loads(pickle.dumps(maps))):  # noqa: S301
        assert again.tokens == maps.tokens
        np.testing.assert_array_equal(again, maps)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (b"x", "layers=b'x': expected an index, a list of indices, or 'all'"),
        (1.5, "layers=1.5: expected an index"),
        ([0, 1.0], "layers: got float; expected indices, or 'all'"),
        (["1"], "layers: got str"),
        ([True], "layers: got bool"),
        (2, "layer 2: expected -2 to 1"),
    ],
)
def test_a_selection_that_is_none_is_refused(encoder: Encoder, layers: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoder.attention("MKV", layers=layers)


def test_layers_may_be_an_array_or_a_range(encoder: Encoder, maps: AttentionMaps) -> None:
    for layers in (np.array([1, 0]), range(1, -1, -1)):
        np.testing.assert_array_equal(encoder.attention("MKV", layers=layers), maps[[1, 0]])


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Path("a.txt"), r"got .*Path; .*read it first, as in path.read_text\(\)"),
        (b"MKV", r"got bytes; .*decode it first, as in value.decode\('utf-8'\)"),
        (bytearray(b"MKV"), "got bytearray; .*decode it first"),
    ],
)
def test_a_path_and_bytes_are_refused_with_what_to_pass(
    encoder: Encoder, value: Any, hint: str
) -> None:
    for call in (encoder.encode, encoder.contextualize, encoder.encode_detailed):
        with pytest.raises(InputError, match=f"sequence 1: {hint}"):
            call(["MKV", value])
    with pytest.raises(InputError, match=f"sequence 0: {hint}"):
        encoder.attention(value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": b"x"}, "prompt: got bytes; expected a str"),
        ({"prompt_name": Path("x")}, "prompt_name: got .*Path; expected a str"),
        ({"max_length": "5"}, "max_length='5': expected a whole number"),
        ({"max_length": 5.0}, "max_length=5.0: expected a whole number"),
        ({"max_tokens": True}, "max_tokens=True: expected a whole number"),
        ({"dimensions": "8"}, "dimensions='8': expected a whole number"),
    ],
)
def test_an_argument_of_another_type_is_refused(
    encoder: Encoder, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        encoder.encode("MKV", **arguments)


def test_representations_have_shapes_and_no_arrays(encoder: Encoder, maps: AttentionMaps) -> None:
    several = encoder.encode_detailed(["MKV"] * 100)
    assert repr(several).startswith(
        "SequenceVectors(vectors=float32 (100, 16), num_tokens=int64 (100,), truncated=bool (100,)"
    )
    assert repr(several[0]).startswith("SequenceVector(vector=float32 (16,), num_tokens=5")
    assert repr(encoder.contextualize("MKVLAA")) == (
        "TokenVectors(vectors=float32 (8, 16), tokens=['<begin>', 'M', 'K', 'V', ...], "
        "offsets=int64 (8, 2), truncated=False)"
    )
    assert repr(maps).startswith("AttentionMaps(probabilities=float32 (2, 2, 5, 5), tokens=[")
    assert len(repr(Alphabet(symbols=tuple(map(str, range(10_000)))))) < 300
    assert "16 dimensions, 10 tokens, native on cpu in fp32)" in repr(encoder)
