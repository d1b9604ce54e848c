"""Reranking by each kind of head that gives a score."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.support.heads import TEXTS, pooled_head

import bothways
from bothways.errors import InputError
from bothways.model.heads import Head

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel


@pytest.mark.parametrize(
    "head",
    [
        pooled_head("values", outputs=1),
        pooled_head(outputs=2),
        pooled_head("multilabel", outputs=1),
    ],
)
def test_documents_are_ordered_by_the_output_of_the_head_for_each_pair(
    head: Head, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(head))
    ranking = encoder.rerank("a river", TEXTS)
    pairs = [("a river", text) for text in TEXTS]
    if head.task == "values":
        expected = encoder.predict(pairs)
    else:
        expected = encoder.classify(pairs).probabilities[:, -1]
    np.testing.assert_array_equal(ranking.scores, expected)
    assert ranking.order.tolist() == np.argsort(-expected).tolist()
    assert ranking.order.dtype == np.int64


def test_no_documents_give_an_empty_ranking(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(pooled_head(outputs=2)))
    assert encoder.rerank("a river", []).order.shape == (0,)


def test_a_head_without_a_single_score_cannot_rank(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(pooled_head()))
    with pytest.raises(InputError, match="of this model has 3: red, green, blue"):
        encoder.rerank("a river", TEXTS)
