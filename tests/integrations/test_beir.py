"""BEIR: exact search, evaluated, as with BEIR's own model."""

from pathlib import Path

import pytest

pytest.importorskip("beir", reason="beir is not installed; make test-integrations installs it")

from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.models import SentenceBERT
from beir.retrieval.search.dense import DenseRetrievalExactSearch

from bothways.integrations.beir import BothwaysRetriever

CORPUS = {
    "1": {"title": "Banks", "text": "A bank lends money to its customers."},
    "2": {"title": "Rivers", "text": "The shore of a river is its bank."},
    "3": {"title": "", "text": "A walk along the stream."},
}
QUERIES = {"a": "Who gives me a loan?", "b": "Where does the water end?"}
RELEVANT = {"a": {"1": 1}, "b": {"2": 1, "3": 1}}


def test_results_are_those_of_sentence_transformers(minilm_folder: Path) -> None:
    results = []
    for model in (BothwaysRetriever(minilm_folder), SentenceBERT(str(minilm_folder), device="cpu")):
        search = DenseRetrievalExactSearch(model, show_progress_bar=False)
        retriever = EvaluateRetrieval(search, score_function="cos_sim", k_values=[1, 3])
        results.append(retriever.retrieve(CORPUS, QUERIES))
    ours, theirs = results
    for query, documents in theirs.items():
        assert ours[query] == pytest.approx(documents, abs=1e-5)
    (ndcg, *_), (expected, *_) = (
        EvaluateRetrieval.evaluate(RELEVANT, found, [1, 3]) for found in results
    )
    assert ndcg == expected
    assert ndcg["NDCG@3"] > 0.9
