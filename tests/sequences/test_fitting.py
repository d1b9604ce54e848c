"""Long sequences: refused, truncated as in transformers, or split into windows and merged."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.checkpoints.readers import open_folder_reader
from bothways.errors import InputError, SequenceTooLong
from bothways.model.config import EncoderConfig
from bothways.sequences import (
    Alphabet,
    FittedSequence,
    SymbolReader,
    Tokenized,
    fit_to_length,
    read_ids,
    window_shares,
)
from bothways.sequences.reader import Description

ROUNDING = 1e-6
"""Relative error of a float32 mean of a few vectors."""

SOON_SECONDS = 30
"""For a million tokens, which take well under a second on a quiet core."""


def sequence(
    content: int, prefix: int = 1, suffix: int = 1, prompt: int = 0, segments: bool = False
) -> Tokenized:
    """Ids equal to their positions."""
    length = prefix + content + suffix
    tokens = [f"t{position}" for position in range(length)]
    offsets = np.stack([np.arange(length), np.arange(length) + 1], axis=1)
    return Tokenized(
        np.arange(length),
        lambda: Description(tokens, offsets),
        prefix,
        suffix,
        prompt,
        np.ones(length, dtype=np.int64) if segments else None,
    )


def identity(fitted: FittedSequence, width: int = 3) -> list[np.ndarray]:
    """As if the encoder gave each token its id as a vector."""
    return [np.repeat(piece[:, None], width, axis=1).astype(np.float32) for piece in fitted.windows]


@given(st.integers(6, 60), st.integers(4, 20), st.integers(0, 2), st.integers(0, 2))
def test_window_shares_merge_as_fitted_sequences_do(
    content: int, max_length: int, prefix: int, suffix: int
) -> None:
    tokenized = sequence(content, prefix, suffix)
    max_length = min(max(max_length, prefix + suffix + 1), len(tokenized) - 1)
    fitted = fit_to_length(tokenized, max_length, "window")
    rng = np.random.default_rng(content)
    vectors = [rng.normal(size=(len(window), 3)) for window in fitted.windows]
    merged = np.zeros((len(tokenized), 3))
    shares = window_shares(len(tokenized), max_length, prefix, suffix)
    for (positions, share), window in zip(shares, vectors, strict=True):
        merged[positions] += share[:, None] * window
    np.testing.assert_allclose(merged, fitted.merge(vectors), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("on_overflow", ["error", "truncate", "window"])
def test_a_sequence_that_fits_is_one_window_and_not_copied(on_overflow: Any) -> None:
    tokenized = sequence(6, segments=True)
    fitted = fit_to_length(tokenized, 8, on_overflow)
    assert fitted.windows[0] is tokenized.values
    assert fitted.segments[0] is tokenized.segments
    assert not fitted.truncated
    vectors = identity(fitted)
    assert fitted.merge(vectors) is vectors[0]
    assert fitted.tokens is tokenized.tokens
    assert fitted.offsets is tokenized.offsets
    assert fitted.num_tokens == 8
    assert fitted.positions.tolist() == list(range(8))


def test_an_error_names_the_sequence_its_tokens_and_the_limit() -> None:
    with pytest.raises(
        SequenceTooLong, match=r"^sequence 7: 12 tokens, but the model takes 8"
    ) as e:
        fit_to_length(sequence(10), 8, "error", index=7)
    assert e.value.sequence == 7


def test_a_truncated_sequence_keeps_its_special_tokens_and_its_beginning() -> None:
    fitted = fit_to_length(sequence(10, prefix=2, suffix=1, segments=True), 6, "truncate")
    assert fitted.truncated
    assert [piece.tolist() for piece in fitted.windows] == [[0, 1, 2, 3, 4, 12]]
    assert fitted.segments[0] is not None
    assert len(fitted.segments[0]) == 6
    assert fitted.tokens == ["t0", "t1", "t2", "t3", "t4", "t12"]
    assert fitted.offsets is not None
    assert fitted.offsets[:, 0].tolist() == [0, 1, 2, 3, 4, 12]
    assert fitted.num_tokens == 6
    vectors = identity(fitted)
    assert fitted.merge(vectors) is vectors[0]


def test_ids_without_special_tokens_are_truncated_at_the_end() -> None:
    (tokenized,) = read_ids([[5, 6, 7, 8]], 10)
    fitted = fit_to_length(tokenized, 3, "truncate")
    assert fitted.windows[0].tolist() == [5, 6, 7]
    assert fitted.tokens == ["5", "6", "7"]
    assert fitted.offsets is None


def test_vectors_are_truncated_and_windowed_like_ids() -> None:
    x = np.arange(20.0, dtype=np.float32).reshape(10, 2)
    tokenized = Tokenized(x, lambda: Description([], None))
    np.testing.assert_array_equal(fit_to_length(tokenized, 4, "truncate").windows[0], x[:4])
    fitted = fit_to_length(tokenized, 4, "window")
    np.testing.assert_allclose(fitted.merge(fitted.windows), x, rtol=ROUNDING)


@pytest.mark.parametrize("on_overflow", ["error", "truncate", "window"])
@pytest.mark.parametrize("max_length", [-1, 0, 1, 2, 3])
def test_a_limit_without_room_for_content_is_refused(on_overflow: Any, max_length: int) -> None:
    with pytest.raises(InputError, match=r"^sequence 3: max_length=.*expected at least 4"):
        fit_to_length(sequence(10, prefix=2, suffix=1), max_length, on_overflow, index=3)


@pytest.mark.parametrize("folder_name", ["bert_folder", "roberta_folder", "minilm_folder"])
@pytest.mark.parametrize("max_length", [5, 6, 9, 16, 64])
def test_texts_and_pairs_are_truncated_as_in_transformers(
    request: pytest.FixtureRequest,
    folder_name: str,
    max_length: int,
    strange_texts: list[str],
    config_of: Callable[..., EncoderConfig],
) -> None:
    folder: Path = request.getfixturevalue(folder_name)
    theirs = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(folder)
    reader = open_folder_reader(folder, config_of())
    assert reader is not None
    pairs = list(zip(strange_texts[1:], reversed(strange_texts), strict=False))
    expected = theirs(strange_texts, truncation="longest_first", max_length=max_length)
    for index, tokenized in enumerate(reader.read(strange_texts)):
        fitted = fit_to_length(tokenized, max_length, "truncate")
        assert fitted.windows[0].tolist() == expected["input_ids"][index]
        assert fitted.truncated == (len(tokenized) > max_length)
    expected = theirs(
        [a for a, _ in pairs],
        [b for _, b in pairs],
        truncation="longest_first",
        max_length=max_length,
        return_token_type_ids=True,
    )
    for index, tokenized in enumerate(reader.read(pairs)):
        fitted = fit_to_length(tokenized, max_length, "truncate")
        assert fitted.windows[0].tolist() == expected["input_ids"][index]
        assert fitted.segments[0] is not None
        assert fitted.segments[0].tolist() == expected["token_type_ids"][index]


def test_windows_are_refused_for_a_pair(
    minilm_folder: Path, config_of: Callable[..., EncoderConfig]
) -> None:
    reader = open_folder_reader(minilm_folder, config_of())
    assert reader is not None
    (pair,) = reader.read([("a river", "a bank")])
    with pytest.raises(InputError, match=r"^sequence 0: a pair of 7 tokens"):
        fit_to_length(pair, 6, "window", index=0)


@pytest.mark.parametrize(
    ("prefix", "suffix", "prompt"), [(1, 1, 0), (0, 0, 0), (2, 1, 3), (0, 1, 2)]
)
@pytest.mark.parametrize("max_length", [7, 8, 12, 33])
def test_merged_windows_have_each_position_once(
    prefix: int, suffix: int, prompt: int, max_length: int
) -> None:
    for content in range(prompt, 3 * max_length + 1):
        tokenized = sequence(content, prefix, suffix, prompt)
        if not len(tokenized):
            continue
        fitted = fit_to_length(tokenized, max_length, "window")
        assert not fitted.truncated
        assert fitted.num_tokens == len(tokenized)
        assert fitted.tokens == tokenized.tokens
        if len(tokenized) > max_length:
            assert {len(piece) for piece in fitted.windows} == {max_length}
        for piece in fitted.windows:
            assert piece[: prefix + prompt].tolist() == list(range(prefix + prompt))
            assert (
                piece[len(piece) - suffix :].tolist()
                == list(range(len(tokenized)))[-suffix or 999 :]
            )
            inner = piece[prefix + prompt : len(piece) - suffix]
            assert (np.diff(inner) == 1).all()
        merged = fitted.merge(identity(fitted))
        np.testing.assert_allclose(merged[:, 0], np.arange(len(tokenized)), rtol=ROUNDING)


@settings(deadline=None)
@given(content=st.integers(1, 200), max_length=st.integers(5, 40), seed=st.integers(0, 99))
def test_a_position_in_one_window_keeps_its_vector_bit_for_bit(
    content: int, max_length: int, seed: int
) -> None:
    fitted = fit_to_length(sequence(content), max_length, "window")
    generator = np.random.default_rng(seed)
    vectors = [generator.normal(size=(len(p), 4)).astype(np.float32) for p in fitted.windows]
    merged = fitted.merge(vectors)
    places = np.concatenate(fitted.windows)
    count = np.bincount(places, minlength=content + 2)
    rows = np.concatenate(vectors)
    for place in np.flatnonzero(count == 1):
        assert (merged[place] == rows[places == place][0]).all()
    # And in several windows it is between its vectors.
    for place in np.flatnonzero(count > 1):
        vectors = rows[places == place]
        assert (merged[place] >= vectors.min(axis=0) - ROUNDING * 10).all()
        assert (merged[place] <= vectors.max(axis=0) + ROUNDING * 10).all()


def test_a_token_near_a_cut_has_less_weight() -> None:
    fitted = fit_to_length(sequence(12, prefix=0, suffix=0), 8, "window")  # windows at 0 and 4
    assert [piece.tolist() for piece in fitted.windows] == [list(range(8)), list(range(4, 12))]
    first, second = (np.full((8, 1), value, dtype=np.float32) for value in (1.0, 0.0))
    merged = fitted.merge([first, second])[:, 0]
    # In positions 4 to 7, the first window is 3, 2, 1, 0 tokens from its cut, the second 0 to 3.
    np.testing.assert_allclose(merged, [1, 1, 1, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5, 0, 0, 0, 0])


def test_tokens_of_every_window_get_the_plain_mean() -> None:
    fitted = fit_to_length(sequence(20, prompt=1), 9, "window")
    values = np.arange(len(fitted.windows), dtype=np.float32)
    merged = fitted.merge([np.full((9, 1), value, dtype=np.float32) for value in values])
    for place in (0, 1, 21):  # begin, prompt, end
        assert merged[place, 0] == pytest.approx(values.mean(), rel=ROUNDING)


def test_several_layers_merge_at_once() -> None:
    fitted = fit_to_length(sequence(20), 9, "window")
    vectors = identity(fitted)
    merged = fitted.merge([np.stack([v, 2 * v]) for v in vectors])
    np.testing.assert_array_equal(merged[0], fitted.merge(vectors))
    np.testing.assert_allclose(merged[1], 2 * merged[0], rtol=ROUNDING)


def test_vectors_for_another_number_of_windows_are_refused() -> None:
    fitted = fit_to_length(sequence(20), 9, "window")
    with pytest.raises(ValueError, match="shorter"):
        fitted.merge([np.zeros((9, 2), dtype=np.float32)])


def test_a_prompt_too_long_for_any_window_is_refused() -> None:
    with pytest.raises(InputError, match=r"^sequence 2: a prompt of 7 tokens leaves no room"):
        fit_to_length(sequence(20, prompt=7), 9, "window", index=2)
    assert fit_to_length(sequence(20, prompt=7), 9, "truncate").num_tokens == 9


def test_a_million_tokens_in_windows_take_linear_time() -> None:
    (tokenized,) = SymbolReader(Alphabet.protein()).read(["MKTAYIAKQR" * 100_000])
    start = time.monotonic()
    fitted = fit_to_length(tokenized, 512, "window")
    merged = fitted.merge(identity(fitted, width=4))
    assert time.monotonic() - start < SOON_SECONDS
    np.testing.assert_allclose(merged[:, 0], tokenized.values, rtol=ROUNDING)
    # A quarter of each window is read twice.
    assert sum(map(len, fitted.windows)) < 1.4 * len(tokenized)
