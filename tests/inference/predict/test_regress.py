"""Regression, compared with the outputs of the head computed by hand."""

from typing import TYPE_CHECKING

import numpy as np
from tests.support.heads import SAME, TEXTS, outputs_by_hand, pooled_head

import bothways

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel


def test_values_are_the_outputs_of_the_head(make_model: "MakeModel") -> None:
    path = make_model(pooled_head("values"))
    encoder = bothways.load(path)
    expected = [outputs_by_hand(path, encoder, text, "values") for text in TEXTS]
    np.testing.assert_allclose(encoder.predict(TEXTS), expected, rtol=0, atol=SAME)
    assert encoder.predict(TEXTS[0]).shape == (3,)


def test_one_value_is_a_number_for_each_sequence(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(pooled_head("values", outputs=1)))
    assert encoder.predict(TEXTS).shape == (4,)
    assert encoder.predict(TEXTS[0]).shape == ()
