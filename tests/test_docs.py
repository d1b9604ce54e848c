"""Every snippet and command of the documentation runs, and prints what the page says it prints.

In README.md, CHANGELOG.md and docs/: ```python blocks are executed, ```pycon blocks compared with
their output, and in ```console blocks the lines `$ bothways ...` and `$ python ...` are run and,
where output follows, compared with it (`...` stands for anything). A page is one namespace and one
folder.
"""

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_HERE = {"bothways", "python"}
RUN_ELSEWHERE = {
    "git": "a checkout is where this runs",
    "make": "these very checks are a target of make",
    "pip": "the package is installed already",
    "scripts/": "needs compilers and emulators that the checks do without",
}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    language: str
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_documentation_does_what_it_says(
    page: Path, minilm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        match block.language:
            case "python":
                source = "\n" * (block.line - 1) + block.code
                exec(compile(source, str(page), "exec"), namespace)  # noqa: S102
            case "pycon":
                run_doctest(block, namespace, where)
            case "console":
                run_commands(block, where)
            case "" | "text" | "json" | "sh" | "toml" | "cpp":
                pass
            case other:
                pytest.fail(f"{where}: no rule for ```{other}")


def run_doctest(block: Block, namespace: dict[str, Any], where: str) -> None:
    test = doctest.DocTestParser().get_doctest(block.code, namespace, where, where, block.line)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    assert not report, "".join(report)


def run_commands(block: Block, where: str) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    for step in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, expected = re.sub(r"\\\n\s*", "", step).partition("\n")
        program = shlex.split(command)[0]
        if program not in RUN_HERE:
            assert any(program.startswith(p) for p in RUN_ELSEWHERE), (
                f"{where}: {command} is not run"
            )
            continue
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, f"{where}: {command}\n{output}"
        if expected.strip():
            matches = doctest.OutputChecker().check_output(expected, output, OPTIONS)
            assert matches, f"{where}: {command}\nexpected:\n{expected}\ngot:\n{output}"
