"""The snippets of docs/integrations.md that need a framework run."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
BLOCK = re.compile(r"^```python integration\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
ADAPTER = re.compile(r"bothways\.integrations\.(\w+)")


def name_of(code: str) -> str:
    match = ADAPTER.search(code)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("code", SNIPPETS, ids=name_of)
def test_a_snippet_runs(
    code: str, minilm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    framework = re.split(r"\W", code.split()[1])[0]
    pytest.importorskip(
        framework, reason=f"{framework} is not installed; make test-integrations installs it"
    )
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "snippet"}
    exec(code.replace('"minilm"', repr(str(minilm_folder))), namespace)  # noqa: S102


def test_every_adapter_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    adapters = Path(__file__).parents[2] / "src" / "bothways" / "integrations"
    modules = {path.stem for path in adapters.glob("[a-z]*.py")}
    assert len(modules) == 10
    assert modules == set(re.findall(r"bothways\.integrations\.(\w+)", page))
