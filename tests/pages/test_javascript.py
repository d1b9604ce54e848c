"""The scripts of pages: their own tests in node, formatted and without complaints of a linter."""

import subprocess
from pathlib import Path

from tests.support.node import NODE, needs_node, package_file

ROOT = Path(__file__).parents[2]


@needs_node
def test_the_tests_of_scripts_pass() -> None:
    files = sorted(map(str, (ROOT / "tests").glob("*/*.test.js")))
    assert files
    done = subprocess.run(
        [str(NODE), "--test", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_scripts_and_styles_are_formatted_and_linted() -> None:
    biome = package_file("@biomejs/biome/bin/biome")
    done = subprocess.run(
        [str(biome), "ci", "--error-on-warnings"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
