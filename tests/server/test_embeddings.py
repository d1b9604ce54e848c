"""/v1/embeddings: the bits of `encode`, options, truncation, and requests that are refused."""

import asyncio
import base64
import random
import warnings
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.support.heads import LONG
from tests.support.models import WORDS
from tests.support.serving import application, run, settings_of

from bothways import Encoder
from bothways.errors import TruncationWarning
from bothways.server.engine import Engine
from bothways.server.settings import BatchingSettings, Limits, ModelSettings

URL = "/v1/embeddings"


def vectors_of(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    rows = [row["embedding"] for row in response.json()["data"]]
    return np.array(rows, dtype=np.float32)


def offline(encoder: Encoder, texts: Any, **options: Any) -> np.ndarray:
    with warnings.catch_warnings(action="ignore", category=TruncationWarning):
        return encoder.encode(texts, **options, on_unknown="ignore")


@pytest.mark.parametrize("coalesce", [True, False])
def test_vectors_have_the_bits_of_encode_whatever_else_is_in_the_queue(
    tiny_folder: Path, tiny: Encoder, coalesce: bool
) -> None:
    draw = random.Random(3)  # noqa: S311
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(0, 14))) for _ in range(16 * 40)]
    expected = offline(tiny, texts)
    batching = BatchingSettings(max_batch_tokens=48, coalesce=coalesce)
    app = application(settings_of({"tiny": tiny_folder}, batching=batching))

    async def body(client: httpx.AsyncClient) -> None:
        async def ask(start: int, stop: int, kind: str) -> None:
            request = {"input": texts[start:stop], "encoding_format": kind}
            response = await client.post(URL, json=request)
            if kind == "float":
                vectors = vectors_of(response)
            else:
                rows = [base64.b64decode(row["embedding"]) for row in response.json()["data"]]
                vectors = np.array([np.frombuffer(row, "<f4") for row in rows])
            assert (vectors == expected[start:stop]).all()

        async def one_client(number: int) -> None:
            start = 40 * number
            while start < 40 * (number + 1):
                size = draw.choice([1, 2, 7, 30])
                await ask(start, min(start + size, 40 * (number + 1)), draw.choice(KINDS))
                start += size

        for _ in range(3):
            await asyncio.gather(*map(one_client, range(16)))

    run(app, body)


KINDS = ["float", "base64"]


@pytest.mark.parametrize(
    ("request_options", "options"),
    [
        ({"dimensions": 3}, {"dimensions": 3}),
        ({"dimensions": 8}, {}),
        ({"normalize": False}, {"normalize": False}),
        ({"normalize": True, "dimensions": 2}, {"normalize": True, "dimensions": 2}),
        ({"pooling": "cls"}, {"pooling": "cls"}),
        ({"prompt": "a loan "}, {"prompt": "a loan "}),
        ({"prompt_name": "query"}, {"prompt_name": "query"}),
        ({"on_overflow": "window"}, {"on_overflow": "window"}),
        ({"truncate_prompt_tokens": -1, "user": "u", "extra": 1}, {}),
        ({"encoding_format": None, "dimensions": None, "user": None, "model": None}, {}),
    ],
)
def test_options_are_those_of_encode(
    tiny_folder: Path, tiny: Encoder, request_options: dict[str, Any], options: dict[str, Any]
) -> None:
    texts = ["a river bank", "", LONG]

    async def body(client: httpx.AsyncClient) -> None:
        response = await client.post(URL, json={"input": texts, **request_options})
        assert (vectors_of(response) == offline(tiny, texts, **options)).all()

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_prompts_that_pooling_leaves_out_are_kept_apart(
    tiny_folder: Path, tiny: Encoder, tmp_path: Path
) -> None:
    # The queue puts inputs with several prompts at the same time into batches of their own.
    prompts = ["a ", "the river bank ", ""]

    async def body(client: httpx.AsyncClient) -> None:
        requests = [{"input": ["loan", "shore"], "prompt": prompt} for prompt in prompts]
        responses = await asyncio.gather(*(client.post(URL, json=r) for r in requests))
        for prompt, response in zip(prompts, responses, strict=True):
            expected = offline(tiny, ["loan", "shore"], prompt=prompt)
            assert (vectors_of(response) == expected).all()

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_a_reply_says_what_made_it_and_what_was_cut(tiny_folder: Path, tiny: Encoder) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        response = await client.post(
            URL, json={"input": ["bank", LONG, LONG]}, headers={"X-Request-Id": "abc-1"}
        )
        reply = response.json()
        assert reply["truncated"] == [1, 2]
        assert response.headers["x-bothways-truncated"] == "1,2"
        assert response.headers["x-request-id"] == "abc-1"
        assert response.headers["x-bothways-fingerprint"] == tiny.fingerprint
        assert "compute;dur=" in response.headers["server-timing"]
        assert reply["origin"]["fingerprint"] == tiny.fingerprint
        assert reply["usage"] == {"prompt_tokens": 3 + 12 + 12, "total_tokens": 27}
        assert reply["model"] == "tiny"
        short = await client.post(URL, json={"input": [LONG], "truncate_prompt_tokens": 5})
        assert short.json()["usage"]["prompt_tokens"] == 5
        metrics = (await client.get("/metrics")).text
        assert 'bothways_truncated_total{model="tiny"} 3.0' in metrics

    run(application(settings_of({"tiny": tiny_folder})), body)


@pytest.mark.parametrize(
    ("request_body", "status", "code", "param"),
    [
        ({"input": []}, 400, "empty_input", "input"),
        ({"input": None}, 400, "invalid_value", "input"),
        ({"input": ["a", 3]}, 400, "invalid_value", "input[1]"),
        ({"input": [[1], "a"]}, 400, "token_ids_refused", "input"),
        ({"input": [5, 6]}, 400, "token_ids_refused", "input"),
        ({"input": "a", "model": "gpt"}, 404, "model_not_found", "model"),
        ({"input": "a", "dimensions": 9}, 400, "invalid_input", None),
        ({"input": "a", "dimensions": 0}, 400, "invalid_input", None),
        ({"input": "a", "pooling": "best"}, 400, "invalid_option", "pooling"),
        ({"input": "a", "prompt_name": "none"}, 400, "invalid_option", None),
        ({"input": "a", "prompt": "x", "prompt_name": "query"}, 400, "invalid_option", None),
        ({"input": "a", "on_overflow": "cut"}, 400, "invalid_option", None),
        ({"input": "a", "late_chunking": True}, 400, "invalid_value", "late_chunking"),
        ({"input": "a", "output": "int8"}, 400, "invalid_value", "output"),
        ({"input": "a", "truncate_prompt_tokens": 0}, 400, "invalid_value", None),
        (
            {"input": ["a", LONG], "on_overflow": "error"},
            400,
            "context_length_exceeded",
            "input[1]",
        ),
    ],
)
def test_an_invalid_request_names_the_field(
    tiny_folder: Path, request_body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        response = await client.post(URL, json=request_body)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (status, code)
        assert param is None or error["param"] == param
        assert str(tiny_folder) not in response.text

    run(application(settings_of({"tiny": tiny_folder})), body)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"[", "invalid_value"),
        (b'{"input": "a"', "invalid_json"),
        (b'{"input": "\xff"}', "invalid_json"),
        (b'{"input": "\\ud800 lone"}', "invalid_json"),
        (b'{"input": NaN}', "invalid_json"),
        (b'{"x": ' + 10_000 * b"[", "invalid_json"),
        (b'{"input": ' + 10_000 * b"[", "invalid_value"),
    ],
)
def test_a_malformed_body_is_refused(tiny_folder: Path, content: bytes, code: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        headers = {"Content-Type": "application/json"}
        response = await client.post(URL, content=content, headers=headers)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == code

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_token_ids_are_read_where_the_model_allows_them(tiny_folder: Path, tiny: Encoder) -> None:
    settings = ModelSettings(source=str(tiny_folder), warm_up=False, token_ids="model")  # noqa: S106
    ids = [[2, 5, 6, 3], [2, 7, 3]]

    async def body(client: httpx.AsyncClient) -> None:
        expected = tiny.encode([np.array(row) for row in ids])
        assert (vectors_of(await client.post(URL, json={"input": ids})) == expected).all()
        one = await client.post(URL, json={"input": ids[0]})
        assert (vectors_of(one) == expected[:1]).all()
        mixed = await client.post(URL, json={"input": [ids[0], "a"]})
        assert mixed.status_code == 400
        wrong = await client.post(URL, json={"input": [[2, 5], [99_999]]})
        assert wrong.status_code == 400
        assert wrong.json()["error"]["param"] == "input[1]"

    run(application(settings_of({"tiny": settings})), body)


def test_limits_have_their_status_and_name_both_numbers(tiny_folder: Path) -> None:
    limits = Limits(max_inputs=2, max_request_tokens=20, max_body_bytes=400)

    async def body(client: httpx.AsyncClient) -> None:
        many = await client.post(URL, json={"input": ["a"] * 3})
        assert (many.status_code, many.json()["error"]["code"]) == (400, "too_many_inputs")
        assert "3 inputs" in many.text
        long = await client.post(URL, json={"input": [LONG, LONG]})
        assert (long.status_code, long.json()["error"]["code"]) == (400, "too_many_tokens")
        large = await client.post(URL, json={"input": "a" * 500})
        assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")
        assert "400 (max_body_bytes)" in large.text

        async def chunks() -> Any:
            for _ in range(5):
                yield b" " * 100

        headers = {"Content-Type": "application/json"}
        streamed = await client.post(URL, content=chunks(), headers=headers)
        assert streamed.status_code == 413

    run(application(settings_of({"tiny": tiny_folder}, limits=limits)), body)


def test_an_alias_has_a_prompt_of_its_own_and_shares_the_engine(
    tiny_folder: Path, tiny: Encoder
) -> None:
    loads: list[str] = []

    def load_once(settings: ModelSettings, batching: BatchingSettings) -> Engine:
        loads.append(settings.source)
        return Engine.load(settings, batching)

    models: dict[str, Path | ModelSettings] = {
        "tiny": tiny_folder,
        "tiny-query": ModelSettings(alias="tiny", prompt_name="query"),
    }

    async def body(client: httpx.AsyncClient) -> None:
        for name, prompt in (("tiny", None), ("tiny-query", "query")):
            response = await client.post(URL, json={"input": "bank", "model": name})
            assert (vectors_of(response)[0] == tiny.encode("bank", prompt_name=prompt)).all()
        assert loads == [str(tiny_folder)]
        models = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in models] == ["tiny", "tiny-query"]
        assert models[0]["max_model_len"] == 12

    run(application(settings_of(models), load_model=load_once), body)
