"""The clients of OpenAI for Python and JavaScript, and LangChain, get the bits of `encode`."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import tiktoken
from langchain_openai import OpenAIEmbeddings

NODE = os.environ.get("CLIENTS_NODE", "")

needs_node = pytest.mark.skipif(
    not (shutil.which("node") and Path(NODE, "node_modules").is_dir()),
    reason="node or npm is not installed",
)


def rows(reply: Any) -> np.ndarray:
    return np.array([row.embedding for row in reply.data], dtype=np.float32)


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}, {"dimensions": 64}])
def test_openai_gets_the_bits_of_encode(
    minilm: str, offline: dict[str, Any], options: dict[str, Any]
) -> None:
    expected = np.array(offline["short" if "dimensions" in options else "vectors"], np.float32)
    texts = offline["texts"]
    with openai.OpenAI(base_url=f"{minilm}/v1", api_key="none") as client:
        reply = client.embeddings.create(model="minilm", input=texts, **options)
        assert (rows(reply) == expected).all()
        assert reply.usage.prompt_tokens == reply.usage.total_tokens > len(texts)
        single = client.embeddings.create(model="minilm", input=texts[0], **options)
        assert (rows(single) == expected[:1]).all()


def test_many_openai_requests_at_once_get_the_bits_of_encode(
    minilm: str, offline: dict[str, Any]
) -> None:
    expected = np.array(offline["vectors"], np.float32)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=f"{minilm}/v1", api_key="none") as client:

            async def ask(i: int) -> None:
                reply = await client.embeddings.create(model="minilm", input=offline["texts"][i:])
                assert (rows(reply) == expected[i:]).all()

            await asyncio.gather(*(ask(i % len(expected)) for i in range(20)))

    asyncio.run(main())


def test_openai_understands_errors_and_models(minilm: str) -> None:
    with openai.OpenAI(base_url=f"{minilm}/v1", api_key="none") as client:
        assert [model.id for model in client.models.list()] == ["minilm"]
        with pytest.raises(openai.NotFoundError) as missing:
            client.embeddings.create(model="other", input="a")
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.BadRequestError) as empty:
            client.embeddings.create(model="minilm", input=[])
        assert empty.value.code == "empty_input"


SCRIPT = """
import OpenAI from "openai";
const [address, texts] = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none" });
const replies = [];
for (const options of [{}, { encoding_format: "float" }, { dimensions: 64 }]) {
  const reply = await client.embeddings.create({ model: "minilm", input: texts, ...options });
  replies.push(reply.data.map((row) => Array.from(row.embedding)));
}
console.log(JSON.stringify(replies));
"""


def run_node(code: str, *arguments: str) -> str:
    script = Path(NODE, "client.mjs")
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        ["node", str(script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_node
def test_openai_for_javascript_gets_the_bits_of_encode(
    minilm: str, offline: dict[str, Any]
) -> None:
    output = run_node(SCRIPT, json.dumps([minilm, offline["texts"]]))
    for reply, kind in zip(json.loads(output), ("vectors", "vectors", "short"), strict=True):
        assert (np.array(reply, np.float32) == np.array(offline[kind], np.float32)).all()


def langchain(address: str, **options: Any) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(base_url=f"{address}/v1", api_key="none", model="minilm", **options)


def test_langchain_gets_the_bits_of_encode(minilm: str, offline: dict[str, Any]) -> None:
    embeddings = langchain(minilm, check_embedding_ctx_length=False)
    vectors = np.array(embeddings.embed_documents(offline["texts"]), np.float32)
    assert (vectors == np.array(offline["vectors"], np.float32)).all()


def test_langchain_with_ids_of_another_tokenizer_gets_the_line_that_helps(
    minilm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its default is the tokenizer of OpenAI's models, whose files would have to be downloaded.
    by_bytes = tiktoken.Encoding(
        "bytes", pat_str=".", mergeable_ranks={bytes([i]): i for i in range(256)}, special_tokens={}
    )
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: by_bytes)
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False") as error:
        langchain(minilm).embed_documents(["The cat is on the sofa"])
    assert error.value.code == "token_ids_refused"
