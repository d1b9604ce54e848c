"""Logits over a vocabulary are made a few rows at a time, which changes nothing."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bothways
from bothways.inference.predict.head_run import Run
from bothways.model.heads import Head, HeadLayer

if TYPE_CHECKING:
    from tests.inference.predict.conftest import MakeModel

SAME = 1e-5
"""fp32 through another order of additions."""

TOKENS = Head(task="masked_tokens", layers=(HeadLayer(name="heads.tokens", outputs=16, tied=True),))
TEXTS = ["a river bank", "the loan", "a [MASK] walking the shores [MASK]", "bank", "a [MASK]"]


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_terms_do_not_depend_on_the_rows_at_a_time(
    rows: int, make_model: "MakeModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = bothways.load(make_model(TOKENS))
    whole = encoder.sparse(TEXTS).to_scipy().toarray()
    filled = encoder.fill_mask(TEXTS[2])
    module = sys.modules["bothways.inference.predict.sparse"]
    monkeypatch.setattr(module, "_LOGIT_BYTES", 0)  # one token of the vocabulary at a time
    monkeypatch.setattr(module, "_LEAST_ROWS", rows)
    monkeypatch.setattr(module, "_POSITIONS", rows)
    np.testing.assert_allclose(encoder.sparse(TEXTS).to_scipy().toarray(), whole, rtol=0, atol=SAME)
    for mask, again in zip(filled, encoder.fill_mask(TEXTS[2]), strict=True):
        assert again.position == mask.position
        np.testing.assert_allclose(again.probabilities, mask.probabilities, rtol=0, atol=SAME)


def test_a_sequence_has_the_same_terms_whatever_its_neighbors(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TOKENS))
    together = encoder.sparse(TEXTS)
    for row, text in enumerate(TEXTS):
        alone = encoder.sparse(text).terms(0)
        assert alone.keys() == together.terms(row).keys()
        for token, weight in together.terms(row).items():
            assert alone[token] == pytest.approx(weight, abs=SAME)


def test_terms_are_the_largest_outputs_of_the_head(make_model: "MakeModel") -> None:
    """With layers before the last, and a norm after it, which needs the whole vocabulary."""
    inner = HeadLayer(name="heads.inner", outputs=8, activation="tanh")
    normed = HeadLayer(name="heads.tokens", outputs=16, norm="heads.norm")
    encoder = bothways.load(make_model(Head(task="masked_tokens", layers=(inner, normed))))
    weights = encoder.heads.weights(encoder.heads.find("masked_tokens", purpose="this"))
    found = encoder.sparse(TEXTS).to_scipy().toarray()
    for row, given in enumerate(encoder.contextualize(TEXTS)):
        x = np.tanh(given.vectors @ weights["heads.inner.weight"].T + weights["heads.inner.bias"])
        x = x @ weights["heads.tokens.weight"].T + weights["heads.tokens.bias"]
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-12)
        x = x * weights["heads.norm.weight"] + weights["heads.norm.bias"]
        expected = np.log1p(np.maximum(x.max(axis=0), 0))
        np.testing.assert_allclose(found[row], expected, rtol=0, atol=SAME)


def test_a_group_holds_no_more_sequences_than_their_largest_logits_may_take(
    make_model: "MakeModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = bothways.load(make_model(TOKENS))
    whole = encoder.sparse(TEXTS)
    module = sys.modules["bothways.inference.predict.sparse"]
    monkeypatch.setattr(module, "_LARGEST_BYTES", 2 * 4 * whole.shape[1])
    sizes: list[int] = []
    original = module._largest_logits

    def watched(run: Run, group: Sequence[np.ndarray], vocab_size: int) -> np.ndarray:
        sizes.append(len(group))
        largest: np.ndarray = original(run, group, vocab_size)
        return largest

    monkeypatch.setattr(module, "_largest_logits", watched)
    again = encoder.sparse(TEXTS)
    assert sizes == [2, 2, 1]
    np.testing.assert_allclose(again.data, whole.data, rtol=0, atol=SAME)
