"""Every snippet and command of the documentation runs, and prints what the page says it prints.

In README.md, CHANGELOG.md and docs/: ```python blocks are executed, ```pycon blocks compared with
their output, and in ```console blocks the lines `$ bothways ...` and `$ python ...` are run and,
where output follows, compared with it (`...` stands for anything). A page is one namespace and one
folder. A block with a path behind its language quotes that file, and says so truly: a line `...`
stands for lines that are left out.
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
from textwrap import indent
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMAGE = re.compile(r"!\[([^]]*)\]\(([^)]+)\)")
INDENTATIONS = (0, 4, 8, 12)  # of a source, that a quotation may do without
LEFT_OUT = re.compile(r"^ *\.\.\.\n", re.MULTILINE)
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
    quoted: str
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield Block(match[1], match[2] or "", match[3], text.count("\n", 0, match.start()) + 2)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_documentation_does_what_it_says(
    page: Path, minilm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("examples", "docs/figures"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.quoted:
            check_quotation(block, where)
            continue
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


def check_quotation(block: Block, where: str) -> None:
    source = "\n" + (ROOT / block.quoted).read_text(encoding="utf-8")
    indented = (indent(block.code, " " * depth) for depth in INDENTATIONS)
    assert any(is_quoted(code, source) for code in indented), (
        f"{where}: not in {block.quoted}, or not in this order:\n{block.code}"
    )


def is_quoted(code: str, source: str) -> bool:
    """Whether the pieces of `code` are lines of `source`, in their order."""
    place = 0
    for piece in LEFT_OUT.split(code):
        found = source.find(f"\n{piece}", place)
        if not piece.strip() or found < 0:
            return False
        place = found + len(piece)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_figures_of_a_page_are_there_and_described(page: Path) -> None:
    for alternative, target in IMAGE.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).is_file(), f"{page.name}: no figure {target}"
        assert len(alternative) > 20, f"{page.name}: say in words what {target} shows"


def test_each_figure_is_on_a_page() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for _, target in IMAGE.findall(page.read_text(encoding="utf-8"))
    }
    figures = {f for f in (ROOT / "docs/figures").iterdir() if f.suffix in {".svg", ".png"}}
    assert figures <= shown


def test_a_quotation_that_differs_is_found() -> None:
    path = "src/bothways/errors.py"
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines(keepends=True)
    first, last = lines[0], lines[-1]
    for right in (f"{first}...\n{last}", last.lstrip(), "".join(lines)):
        check_quotation(Block("python", path, right, 1), "a page")
    for wrong in (f"{last}...\n{first}", f"{first.strip()}x\n", f"...\n{last}"):
        with pytest.raises(AssertionError):
            check_quotation(Block("python", path, wrong, 1), "a page")


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
