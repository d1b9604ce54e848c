"""Mask filling, compared with the outputs of the head computed by hand."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.support.heads import LONG, SAME, TOKENS, outputs_by_hand

import bothways
from bothways import Alphabet, EncoderConfig
from bothways.errors import InputError, TruncationWarning
from bothways.inference.backends import BackendName
from bothways.reference import probabilities
from bothways.sequences import SymbolReader

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel


def test_masks_are_filled_with_the_most_probable_tokens(
    backend: BackendName, make_model: "MakeModel"
) -> None:
    path = make_model(TOKENS)
    encoder = bothways.load(path, backend=backend)
    texts = ["a [MASK] bank [MASK]", "the [MASK]"]
    predictions = encoder.fill_mask(texts, top=3)
    assert [[mask.position for mask in masks] for masks in predictions] == [[2, 4], [2]]
    for text, masks in zip(texts, predictions, strict=True):
        logits = outputs_by_hand(path, encoder, text, "masked_tokens")
        for mask in masks:
            share = probabilities(logits[mask.position], "masked_tokens")
            best = np.argsort(-share)[:3]
            assert mask.ids.tolist() == best.tolist()
            np.testing.assert_allclose(mask.probabilities, share[best], rtol=0, atol=SAME)
    assert encoder.mask_token == "[MASK]"  # noqa: S105
    (single,) = encoder.fill_mask(texts[1], top=16)
    assert sorted(single.ids.tolist()) == list(range(16))
    assert {"river", "##ing", "15"} <= set(single.tokens)  # 15 is an id without a token


def test_a_text_without_a_mask_is_an_error_that_names_the_mask(
    make_model: "MakeModel",
) -> None:
    encoder = bothways.load(make_model(TOKENS))
    with pytest.raises(InputError, match=r"sequence 1: has no mask; write \[MASK\] where"):
        encoder.fill_mask(["a [MASK]", "a bank"])
    with (
        pytest.warns(TruncationWarning),
        pytest.raises(InputError, match="has no mask in the part that was kept; write"),
    ):
        encoder.fill_mask([LONG + " [MASK]"])
    for top in (0, 17):
        with pytest.raises(InputError, match=f"top={top}: expected 1 to 16"):
            encoder.fill_mask("a [MASK]", top=top)


def test_a_model_of_symbols_fills_the_masks_of_its_alphabet(make_model: "MakeModel") -> None:
    alphabet = Alphabet.protein()
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=len(alphabet))
    head = dataclasses.replace(
        TOKENS,
        layers=(TOKENS.layers[0], dataclasses.replace(TOKENS.layers[1], outputs=len(alphabet))),
    )
    encoder = bothways.load(make_model(head, config=config, reader=SymbolReader(alphabet)))
    (mask,) = encoder.fill_mask(f"MK{encoder.mask_token}V", top=len(alphabet))
    assert sorted(mask.tokens) == sorted(alphabet.symbols)
