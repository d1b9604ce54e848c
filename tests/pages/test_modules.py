"""Modules joined to one script: imports first, each once, without exports."""

import shutil
import subprocess
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
    places = [joined.index(text) for text in ("const c = 1", "function b(", "b(c);")]
    assert places == sorted(places)
    assert joined.count("const c = 1") == 1
    assert "return { c, d };" in joined


def test_modules_do_not_share_names(tmp_path: Path) -> None:
    folder = _write(
        tmp_path,
        main='import { b } from "./b.js";\n\nconst limit = 2;\nif (b() + limit !== 3) throw b;\n',
        b="const limit = 1;\nexport function b() {\n  return limit;\n}\n",
    )
    script = tmp_path / "joined.mjs"
    script.write_text(join_modules(folder / "main.js"))
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    subprocess.run([node, script], check=True)


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
