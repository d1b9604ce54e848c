"""Modules joined to one script: imports first, each once, without exports."""

from pathlib import Path

import pytest

from bothways.pages.modules import join_modules


def _write(folder: Path, **sources: str) -> Path:
    for name, source in sources.items():
        (folder / f"{name}.js").write_text(source)
    return folder


def test_imports_come_first_and_once(tmp_path: Path) -> None:
    folder = _write(
        tmp_path,
        main='import { b } from "./b.js";\nimport {\n  c,\n} from "./c.js";\n\nb(c);\n',
        b='import { c } from "./c.js";\n\nexport function b(x) {\n  return x + c;\n}\n',
        c="export const c = 1;\nexport async function d() {}\n",
    )
    joined = join_modules(folder / "main.js")
    assert "import" not in joined
    assert "export" not in joined
    lines = [line for line in joined.split("\n") if line]
    assert lines[:3] == ['"use strict";', "const c = 1;", "async function d() {}"]
    assert lines[-1] == "b(c);"
    assert joined.count("const c") == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('import * as x from "./b.js";\n', "not of names from a relative path"),
        ('import { x } from "d3";\n', "not of names from a relative path"),
        ('import { x as y } from "./b.js";\n', "as they are"),
    ],
)
def test_other_imports_are_refused(tmp_path: Path, source: str, message: str) -> None:
    folder = _write(tmp_path, main=source, b="export const x = 1;\n")
    with pytest.raises(ValueError, match=message):
        join_modules(folder / "main.js")


def test_a_circle_of_imports_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path, a='import { b } from "./b.js";\n', b='import { a } from "./a.js";\n')
    with pytest.raises(ValueError, match=r"a\.js imports itself by way of b\.js"):
        join_modules(folder / "a.js")
