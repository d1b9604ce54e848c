"""MTEB: scores of its own small tasks, equal to those of sentence-transformers."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mteb", reason="mteb is not installed; make test-integrations installs it")

import mteb
from datasets import Dataset, DatasetDict
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.mocks.mock_tasks import (
    MockPairClassificationTask,
    MockRerankingTask,
    MockRetrievalTask,
    MockSTSTask,
)
from mteb.models.models_protocols import CrossEncoderProtocol, EncoderProtocol
from sentence_transformers import SentenceTransformer

import bothways
from bothways.integrations.mteb import BothwaysCrossEncoder, BothwaysModel

SENTENCES = (
    (Path(__file__).parents[2] / "examples" / "sentences.txt").read_text("utf-8").splitlines()
)


def _shared_words(one: str, other: str) -> float:
    first, second = (set(text.lower().split()) for text in (one, other))
    return len(first & second) / len(first | second)


class SentencePairs(MockSTSTask):
    """Pairs of sentences, scored by the words that they share: a task with the data of the test."""

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:
        first, second = SENTENCES[:24], SENTENCES[24:48]
        score = [_shared_words(*pair) for pair in zip(first, second, strict=True)]
        pairs = Dataset.from_dict({"sentence1": first, "sentence2": second, "score": score})
        self.dataset, self.data_loaded = DatasetDict(test=pairs), True


class SentenceRetrieval(MockRetrievalTask):
    """Sentences to find by their first three words."""

    metadata = MockRetrievalTask.metadata.model_copy(update={"eval_splits": ["test"]})

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:
        texts = SENTENCES[:40]
        queries = [{"id": f"q{i}", "text": " ".join(t.split()[:3])} for i, t in enumerate(texts)]
        corpus = [{"id": f"d{i}", "text": text, "title": ""} for i, text in enumerate(texts)]
        split = RetrievalSplitData(
            queries=Dataset.from_list(queries),
            corpus=Dataset.from_list(corpus),
            relevant_docs={f"q{i}": {f"d{i}": 1} for i in range(len(texts))},
            top_ranked=None,
        )
        self.dataset, self.data_loaded = {"default": {"test": split}}, True


TASKS = [SentencePairs, SentenceRetrieval, MockPairClassificationTask, MockRerankingTask]


def scores(model: Any, task: Any) -> dict[str, float]:
    result = mteb.evaluate(model, task(), cache=None, show_progress_bar=False)
    (split,) = result[0].scores["test"]
    return {name: value for name, value in split.items() if isinstance(value, float)}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
def test_scores_are_those_of_sentence_transformers(minilm_folder: Path, task: Any) -> None:
    ours = scores(BothwaysModel(minilm_folder), task)
    theirs = scores(SentenceTransformer(str(minilm_folder), device="cpu"), task)
    assert ours == pytest.approx(theirs, abs=1e-4, nan_ok=True)
    assert len(ours) > 2


def test_prompts_are_chosen_by_task_type_and_role(folder: Path) -> None:
    model, encoder = BothwaysModel(folder), bothways.load(folder)
    assert isinstance(model, EncoderProtocol)
    task, roles = MockSTSTask().metadata, mteb.types.PromptType
    batches = [{"text": ["a bank"]}, {"text": ["the loan"]}]
    texts = ["a bank", "the loan"]
    for role in ("query", "document"):
        given = model.encode(batches, task_metadata=task, prompt_type=roles(role))
        assert given.tolist() == encoder.encode(texts, role=role).tolist()
    plain = model.encode(batches, task_metadata=task)
    assert plain.tolist() == encoder.encode(texts).tolist()
    ours = BothwaysModel(folder, query_prompt="the loan ")
    given = ours.encode(batches, task_metadata=task, prompt_type=roles.query)
    assert given.tolist() == encoder.encode(texts, prompt="the loan ").tolist()


def test_results_are_kept_by_name_fingerprint_and_options(folder: Path) -> None:
    meta = BothwaysModel(folder, dimensions=4, threads=1).mteb_model_meta
    assert meta.name == f"bothways/{folder.name}"
    assert meta.revision == bothways.load(folder).fingerprint
    assert meta.experiment_kwargs == {"dimensions": 4}
    assert meta.embed_dim == 4


@pytest.mark.filterwarnings("ignore::bothways.errors.UnknownTokenWarning")
@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_a_cross_encoder_scores_pairs(scoring_folder: Path) -> None:
    model, encoder = BothwaysCrossEncoder(scoring_folder), bothways.load(scoring_folder)
    assert isinstance(model, CrossEncoderProtocol)
    documents = ["the bank", "the loan"]
    given = model.predict([{"text": ["a river"] * 2}], [{"text": documents}])
    assert given.tolist() == encoder.rerank("a river", documents).scores.tolist()
    assert scores(model, MockRerankingTask)["ndcg_at_10"] > 0
