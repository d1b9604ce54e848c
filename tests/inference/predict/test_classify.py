"""Classification, compared with the outputs of the head computed by hand."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.support.heads import LABELS, SAME, TEXTS, outputs_by_hand, pooled_head

import bothways
from bothways.errors import InputError
from bothways.inference.backends import BackendName
from bothways.model.config import HeadPooling
from bothways.reference import probabilities

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_each_sequence_gets_its_most_probable_label(
    pooling: HeadPooling, backend: BackendName, make_model: "MakeModel"
) -> None:
    path = make_model(pooled_head(pooling=pooling))
    encoder = bothways.load(path, backend=backend)
    classifications = encoder.classify(TEXTS)
    expected = [
        probabilities(outputs_by_hand(path, encoder, t, "classes"), "classes") for t in TEXTS
    ]
    np.testing.assert_allclose(classifications.probabilities, expected, rtol=0, atol=SAME)
    assert classifications.labels == [LABELS[row.argmax()] for row in expected]
    assert classifications.names == LABELS
    assert classifications.probabilities.dtype == np.float32
    assert not classifications.truncated.any()


def test_multilabel_heads_give_the_labels_that_reach_the_threshold(make_model: "MakeModel") -> None:
    path = make_model(pooled_head("multilabel"))
    encoder = bothways.load(path)
    outputs = np.array([outputs_by_hand(path, encoder, text, "multilabel") for text in TEXTS])
    expected = 1 / (1 + np.exp(-outputs))
    classifications = encoder.classify(TEXTS, threshold=0.3)
    np.testing.assert_allclose(classifications.probabilities, expected, rtol=0, atol=SAME)
    assert classifications.labels == [
        [name for name, share in zip(LABELS, row, strict=True) if share >= 0.3] for row in expected
    ]
    assert encoder.classify(TEXTS, threshold=0).labels == [list(LABELS)] * 4


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_a_threshold_must_be_a_probability(threshold: float, make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(pooled_head("multilabel")))
    with pytest.raises(InputError, match="expected a probability, from 0 to 1"):
        encoder.classify(TEXTS, threshold=threshold)
