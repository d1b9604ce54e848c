"""Reranking, classification, and the routes of text-embeddings-inference and huggingface_hub."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.support.heads import LABELS, LONG, TEXTS
from tests.support.serving import application, run, settings_of

from bothways import Encoder
from bothways.errors import TruncationWarning
from bothways.server.app import Application
from bothways.server.settings import Limits


@pytest.fixture
def app(tiny_folder: Path, ranker_folder: Path) -> Application:
    return application(settings_of({"tiny": tiny_folder, "ranker": ranker_folder}))


async def post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def sigmoid(values: np.ndarray) -> np.ndarray:
    scores: np.ndarray = 1 / (1 + np.exp(-values.astype(np.float64)))
    return scores


def test_rerank_has_the_order_and_scores_of_the_encoder(app: Application, ranker: Encoder) -> None:
    documents = [*TEXTS, LONG, TEXTS[0]]
    with pytest.warns(TruncationWarning):
        expected = ranker.rerank("the river", documents)

    async def body(client: httpx.AsyncClient) -> None:
        request: dict[str, Any] = {"query": "the river", "documents": documents}
        reply = await post(client, "/v1/rerank", request)
        assert [row["index"] for row in reply["results"]] == expected.order.tolist()
        scores = [row["relevance_score"] for row in reply["results"]]
        assert scores == pytest.approx(sigmoid(expected.scores)[expected.order], abs=1e-12)
        assert reply["model"] == "ranker"
        assert reply["truncated"] == [4]
        assert reply["usage"]["total_tokens"] > 0
        assert "document" not in reply["results"][0]
        request |= {"top_n": 2, "return_documents": True, "raw_scores": True}
        request["documents"] = [documents[0], *({"text": text} for text in documents[1:])]
        for path in ("/v1/rerank", "/rerank"):
            best = (await post(client, path, request))["results"]
            assert [row["index"] for row in best] == expected.order[:2].tolist()
            assert [np.float32(row["relevance_score"]) for row in best] == (
                expected.scores[expected.order[:2]].tolist()
            )
            assert best[0]["document"]["text"] == documents[int(expected.order[0])]

    run(app, body)


def test_rerank_in_the_dialect_of_tei(app: Application, ranker: Encoder) -> None:
    expected = ranker.rerank("the river", TEXTS)

    async def body(client: httpx.AsyncClient) -> None:
        request = {"query": "the river", "texts": TEXTS, "return_text": True, "raw_scores": True}
        rows = await post(client, "/rerank", request)
        assert [row["index"] for row in rows] == expected.order.tolist()
        assert [np.float32(row["score"]) for row in rows] == (
            expected.scores[expected.order].tolist()
        )
        assert rows[0]["text"] == TEXTS[int(expected.order[0])]
        neither = await client.post("/rerank", json={"query": "a"})
        assert (neither.status_code, neither.json()["error_type"]) == (422, "Validation")

    run(app, body)


def test_reranking_needs_a_model_that_scores(app: Application, tiny_folder: Path) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        request = {"query": "a", "documents": ["b"], "model": "tiny"}
        response = await client.post("/v1/rerank", json=request)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "unsupported_task"
        for body, code in [
            ({"query": "a", "documents": [], "model": "ranker"}, "empty_input"),
            ({"query": "a", "documents": ["b"], "top_n": 0, "model": "ranker"}, "invalid_value"),
            ({"query": "a", "documents": ["b"], "top_n": "1"}, "invalid_value"),
        ]:
            response = await client.post("/v1/rerank", json=body)
            assert (response.status_code, response.json()["error"]["code"]) == (400, code)
        assert str(tiny_folder) not in response.text
        response = await client.post("/embed", json={"inputs": "a"})
        assert (response.status_code, response.json()["error_type"]) == (400, "Validation")
        assert "name one as model: tiny, ranker" in response.json()["error"]

    run(app, body)


def test_classify_gives_labels_and_probabilities(app: Application, tiny: Encoder) -> None:
    inputs: list[Any] = [TEXTS[0], [TEXTS[1]], [TEXTS[2], TEXTS[3]]]
    expected = tiny.classify([TEXTS[0], TEXTS[1], (TEXTS[2], TEXTS[3])])

    async def body(client: httpx.AsyncClient) -> None:
        reply = await post(client, "/classify", {"input": inputs})
        assert [row["label"] for row in reply["data"]] == expected.labels
        probabilities = np.array([row["probs"] for row in reply["data"]], np.float32)
        assert (probabilities == expected.probabilities).all()
        assert reply["labels"] == list(LABELS)
        assert reply["model"] == "tiny"
        wrong = await client.post("/v1/classify", json={"input": [["a", "b", "c"]]})
        assert wrong.json()["error"]["param"] == "input[0]"
        wrong = await client.post("/v1/classify", json={"input": "a", "threshold": 2})
        assert wrong.status_code == 400

    run(app, body)


def test_predict_in_the_dialect_of_tei(app: Application, tiny: Encoder) -> None:
    first = tiny.classify(TEXTS[0])
    pair = tiny.classify((TEXTS[0], TEXTS[1]))

    async def body(client: httpx.AsyncClient) -> None:
        for inputs in (TEXTS[0], [TEXTS[0]]):
            reply = await post(client, "/predict", {"inputs": inputs, "model": "tiny"})
            best = np.argsort(-first.probabilities)
            assert [row["label"] for row in reply] == [LABELS[i] for i in best]
            assert reply[0]["score"] == float(first.probabilities[best[0]])
        reply = await post(client, "/predict", {"inputs": TEXTS[:2], "model": "tiny"})
        assert reply[0]["score"] == float(pair.probabilities.max())
        batch = {"inputs": [[TEXTS[0]], [TEXTS[0], TEXTS[1]]], "model": "tiny"}
        rows = await post(client, "/predict", batch)
        assert [row[0]["score"] for row in rows] == [
            float(first.probabilities.max()),
            float(pair.probabilities.max()),
        ]
        raw = await post(client, "/predict", {**batch, "raw_scores": True})
        assert sum(row["score"] for row in raw[0]) != pytest.approx(1)

    run(app, body)


def test_embed_in_the_dialect_of_tei(tiny_folder: Path, tiny: Encoder) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        for inputs in (TEXTS, TEXTS[0]):
            rows = await post(client, "/embed", {"inputs": inputs, "prompt_name": "query"})
            expected = tiny.encode(inputs, prompt_name="query", normalize=True)
            assert (np.array(rows, np.float32) == np.atleast_2d(expected)).all()
        rows = await post(
            client,
            "/embed",
            {"inputs": TEXTS, "normalize": False, "dimensions": 3, "truncate": True},
        )
        expected = tiny.encode(TEXTS, dimensions=3)
        assert (np.array(rows, np.float32) == expected).all()
        states = await post(client, "/embed_all", {"inputs": [*TEXTS]})
        for row, tokens in zip(states, tiny.contextualize(TEXTS), strict=True):
            assert (np.array(row, np.float32) == tokens.vectors).all()

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_sparse_vectors_are_those_of_the_encoder(tiny_folder: Path, tiny: Encoder) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        rows = await post(client, "/embed_sparse", {"inputs": TEXTS})
        for row, vector in zip(rows, tiny.sparse(TEXTS), strict=True):
            assert [value["index"] for value in row] == vector.indices.tolist()
            assert [value["value"] for value in row] == pytest.approx(vector.data, rel=1e-5)

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_similarities_and_tokens(tiny_folder: Path, tiny: Encoder) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        inputs = {"source_sentence": "the river", "sentences": ["the river", "bank", "bank"]}
        scores = await post(client, "/similarity", {"inputs": inputs})
        vectors = tiny.encode(["the river", "bank"], normalize=True)
        assert scores == pytest.approx([1, *[float(vectors[0] @ vectors[1])] * 2], abs=1e-6)
        assert scores[1] == scores[2]
        (tokens,) = await post(client, "/tokenize", {"inputs": "the banks"})
        assert [token["text"] for token in tokens] == ["[CLS]", "the", "bank", "##s", "[SEP]"]
        assert tokens[0] == {"id": 2, "text": "[CLS]", "special": True, "start": None, "stop": None}
        assert (tokens[2]["start"], tokens[2]["stop"]) == (4, 8)
        rows = await post(
            client, "/tokenize", {"inputs": ["the", LONG], "add_special_tokens": False}
        )
        assert [len(row) for row in rows] == [1, 16]

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_info_names_the_model_and_the_limits(tiny_folder: Path, tiny: Encoder) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        info = (await client.get("/info")).json()
        assert info["model_id"] == "tiny"
        assert info["fingerprint"] == tiny.fingerprint
        assert info["max_input_length"] == 12
        assert info["max_client_batch_size"] == 2048
        assert info["auto_truncate"] is True

    run(application(settings_of({"tiny": tiny_folder})), body)


@pytest.mark.parametrize(
    ("path", "body", "status", "error_type"),
    [
        ("/embed", {"inputs": []}, 400, "Empty"),
        ("/embed", {"inputs": ["a"] * 3}, 413, "Validation"),
        ("/embed", {"inputs": [1, 2]}, 422, "Validation"),
        ("/embed", {"inputs": LONG, "truncate": False}, 422, "Validation"),
        ("/embed", {"inputs": "a", "truncation_direction": "Left"}, 422, "Validation"),
        ("/embed", {"inputs": "a", "prompt_name": "none"}, 422, "Validation"),
        ("/predict", {"inputs": [["a", "b", "c"]]}, 422, "Validation"),
        ("/rerank", {"query": "a", "texts": ["b"]}, 424, "Backend"),
        ("/", {"inputs": {"source_sentence": "a"}}, 422, "Validation"),
        ("/", {"inputs": "a", "parameters": {"targets": ["b"]}}, 422, "Validation"),
    ],
)
def test_errors_have_the_form_of_tei(
    tiny_folder: Path, path: str, body: dict[str, Any], status: int, error_type: str
) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        response = await client.post(path, json=body)
        assert (response.status_code, response.json()["error_type"]) == (status, error_type)
        assert set(response.json()) == {"error", "error_type"}

    run(application(settings_of({"tiny": tiny_folder}, limits=Limits(max_inputs=2))), ask)


def test_the_root_answers_every_task_of_the_client_of_the_hub(
    tiny_folder: Path, tiny: Encoder
) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        rows = await post(client, "/", {"inputs": TEXTS, "normalize": True})
        assert (np.array(rows, np.float32) == tiny.encode(TEXTS, normalize=True)).all()
        inputs = {"source_sentence": "the river", "sentences": ["bank"]}
        (score,) = await post(client, "/", {"inputs": inputs, "parameters": {}})
        assert -1 <= score <= 1
        ((best,),) = await post(client, "/", {"inputs": TEXTS[0], "parameters": {"top_k": 1}})
        assert best["label"] == tiny.classify(TEXTS[0]).label
        text = "the [MASK] bank"
        filled = await post(client, "/", {"inputs": text, "parameters": {"top_k": 3}})
        (mask,) = tiny.fill_mask(text, top=3)
        assert [row["token"] for row in filled] == mask.ids.tolist()
        assert [np.float32(row["score"]) for row in filled] == mask.probabilities.tolist()
        assert filled[0]["sequence"] == f"the {mask.tokens[0]} bank"
        two = await post(client, "/", {"inputs": "[MASK] [MASK]", "parameters": {}})
        assert [len(row) for row in two] == [5, 5]
        assert two[1][0]["sequence"] == f"[MASK] {two[1][0]['token_str']}"

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_requests_of_several_kinds_at_once_do_not_disturb_each_other(
    tiny_folder: Path, tiny: Encoder
) -> None:
    classes = tiny.classify(TEXTS).probabilities
    vectors = tiny.encode(TEXTS, normalize=True)

    async def body(client: httpx.AsyncClient) -> None:
        asked = [
            [
                client.post("/embed", json={"inputs": TEXTS}),
                client.post("/classify", json={"input": TEXTS}),
                client.post("/embed_all", json={"inputs": TEXTS}),
                client.post("/embed", json={"inputs": TEXTS, "prompt_name": "query"}),
            ]
            for _ in range(5)
        ]
        replies = await asyncio.gather(*(reply for group in asked for reply in group))
        for first in range(0, len(replies), 4):
            embedded, classified, *_ = replies[first : first + 4]
            assert (np.array(embedded.json(), np.float32) == vectors).all()
            rows = [row["probs"] for row in classified.json()["data"]]
            assert (np.array(rows, np.float32) == classes).all()

    run(application(settings_of({"tiny": tiny_folder})), body)
