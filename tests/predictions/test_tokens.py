"""Logits over a vocabulary are made a few rows at a time, which changes nothing."""

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bothways
from bothways.heads import Head, HeadLayer

if TYPE_CHECKING:
    from tests.predictions.conftest import MakeModel

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
    module = sys.modules["bothways.predictions.tokens"]
    monkeypatch.setattr(module, "_LOGIT_BYTES", 0)
    monkeypatch.setattr(module, "_LEAST_ROWS", rows)
    np.testing.assert_allclose(encoder.sparse(TEXTS).to_scipy().toarray(), whole, rtol=0, atol=SAME)
    for mask, again in zip(filled, encoder.fill_mask(TEXTS[2]), strict=True):
        assert again.position == mask.position
        np.testing.assert_allclose(again.probabilities, mask.probabilities, rtol=0, atol=SAME)


def test_a_sequence_has_the_same_terms_whatever_its_neighbours(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TOKENS))
    together = encoder.sparse(TEXTS)
    for row, text in enumerate(TEXTS):
        alone = encoder.sparse(text).terms(0)
        assert alone.keys() == together.terms(row).keys()
        for token, weight in together.terms(row).items():
            assert alone[token] == pytest.approx(weight, abs=SAME)
