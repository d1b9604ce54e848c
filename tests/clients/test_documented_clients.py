"""The snippets of docs/serving.md that need a client run."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.clients.test_openai import needs_node, run_node

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
ADDRESS = "http://127.0.0.1:8808"
BLOCK = re.compile(r"^```(\w+) client\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", [code for language, code in SNIPPETS if language == "python"])
def test_python_snippets_run(code: str, minilm: str, offline: dict[str, Any]) -> None:
    namespace: dict[str, Any] = {}
    exec(code.replace(ADDRESS, minilm), namespace)  # noqa: S102
    assert namespace.keys() & {"vector", "vectors"}


@needs_node
@pytest.mark.parametrize("code", [code for language, code in SNIPPETS if language == "js"])
def test_javascript_snippets_run(code: str, minilm: str) -> None:
    assert run_node(code.replace(ADDRESS, minilm)).strip() == "384"


def test_there_are_snippets_for_both_languages() -> None:
    assert {language for language, _ in SNIPPETS} == {"python", "js"}
