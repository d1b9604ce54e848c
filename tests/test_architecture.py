"""The layout of the package: unique class names, and references to paths and modules that exist."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "bothways"
MODULES = sorted(SRC.rglob("*.py"))
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]

_PATH = re.compile(r"`((?:src|docs|tests|benchmarks|examples|scripts)/[\w./-]+)`")
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_DOTTED = re.compile(r"`bothways((?:\.\w+)+)`?")


def test_a_public_class_name_is_defined_once() -> None:
    homes = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(SRC)))
    several = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert not several


def test_no_text_file_is_read_or_written_in_the_encoding_of_the_locale() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _depends_on_locale(node)
    ]
    assert not wrong


def _depends_on_locale(call: ast.Call) -> bool:
    """Whether a call of `read_text`, `write_text` or `open` in text mode has no encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    builtin = call.func.id if isinstance(call.func, ast.Name) else ""
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) == (0 if name == "read_text" else 1)
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    is_mode = any(isinstance(mode, str) and set(mode) <= set("rwxat+") for mode in modes)
    return (builtin == "open" or name == "open") and is_mode


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_paths_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    links = [
        link
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", _CODE_BLOCK.sub("", text))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not missing
    assert not links


def test_the_modules_that_docstrings_and_pages_name_exist() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: bothways{dotted}"
        for path in [*MODULES, *PAGES]
        for dotted in _DOTTED.findall(path.read_text(encoding="utf-8"))
        if dotted != ".json" and not _exists(dotted.strip(".").split("."))
    ]
    assert not wrong


def _exists(parts: list[str]) -> bool:
    """Whether the parts lead to a module, or to a name that a module or package mentions."""
    place = SRC
    for number, part in enumerate(parts):
        if (place / part).is_dir():
            place = place / part
            continue
        module = place / f"{part}.py"
        if module.exists():
            return number == len(parts) - 1 or parts[number + 1] in module.read_text("utf-8")
        init = place / "__init__.py"
        return init.exists() and re.search(rf"\b{part}\b", init.read_text("utf-8")) is not None
    return True
