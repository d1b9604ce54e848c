"""Every snippet and command of the documentation runs and prints the documented output.

In README.md, CHANGELOG.md and docs/, ```python blocks are executed; ```pycon blocks are compared
with their output. In ```console blocks, `$ bothways ...`, `$ python ...`, `$ mkdir ...` and
`$ curl ...` are run and compared with the output that follows, if any (`...` matches anything). A
page that calls curl gets a server. The blocks of a page share a namespace and a folder. A block
with a path after its language must quote that file; a line `...` stands for omitted lines. A block
with `client` or `integration` after its language is run by tests/clients/ or tests/integrations/.
"""

import contextlib
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
from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMAGE = re.compile(r"!\[([^]]*)\]\(([^)]+)\)")
INDENTATIONS = (0, 4, 8, 12)  # a quotation may omit this indentation of its source
OMISSION = re.compile(r"^ *\.\.\.\n", re.MULTILINE)
RUN_HERE = {"bothways", "python", "mkdir", "curl"}
ADDRESS = "http://127.0.0.1:8808"  # of the server, on the pages
NOT_RUN = {
    "git": "the tests run in a checkout",
    "make": "a target of make runs these tests",
    "pip": "the package is already installed",
    "scripts/": "needs compilers and emulators that the tests do not require",
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
def test_code_and_commands_of_a_page_run(
    page: Path, minilm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("examples", "docs/figures"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with server_for(page) as address:
        run_blocks(page, namespace, address)


@contextlib.contextmanager
def server_for(page: Path) -> Iterator[str]:
    """The address of a server for a page that calls curl."""
    if "$ curl" not in page.read_text(encoding="utf-8"):
        yield ADDRESS
        return
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    server = ServerProcess("minilm", "--port", "0")
    try:
        yield server.address
    finally:
        server.kill()


def run_blocks(page: Path, namespace: dict[str, Any], address: str) -> None:
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.quoted in ("client", "integration"):
            continue
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
                run_commands(block._replace(code=block.code.replace(ADDRESS, address)), where)
            case "" | "text" | "json" | "sh" | "toml" | "cpp":
                pass
            case other:
                pytest.fail(f"{where}: no rule for ```{other}")


def check_quotation(block: Block, where: str) -> None:
    source = "\n" + (ROOT / block.quoted).read_text(encoding="utf-8")
    indented = (indent(block.code, " " * depth) for depth in INDENTATIONS)
    assert any(is_quoted(code, source) for code in indented), (
        f"{where}: {block.quoted} does not contain these lines in this order:\n{block.code}"
    )


def is_quoted(code: str, source: str) -> bool:
    """Whether the parts of `code` between omissions occur in `source`, in this order."""
    end = 0
    for part in OMISSION.split(code):
        start = source.find(f"\n{part}", end)
        if not part.strip() or start < 0:
            return False
        end = start + len(part)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_figures_of_a_page_exist_and_have_alternative_text(page: Path) -> None:
    for alternative, target in IMAGE.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).is_file(), f"{page.name}: {target} is missing"
        assert len(alternative) > 20, f"{page.name}: describe {target} in its alternative text"


def test_every_figure_is_used_on_a_page() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for _, target in IMAGE.findall(page.read_text(encoding="utf-8"))
    }
    figures = {f for f in (ROOT / "docs/figures").iterdir() if f.suffix in {".svg", ".png"}}
    assert figures <= shown


def test_wrong_quotations_are_detected() -> None:
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
            assert any(program.startswith(p) for p in NOT_RUN), (
                f"{where}: add {program} to the commands that are run or not run"
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
