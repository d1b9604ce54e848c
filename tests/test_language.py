"""The language of the project: names, docstrings, messages and pages use plain technical English.

The list is short on purpose. It has phrases that readers stumble over and that can be replaced
mechanically; it does not replace a review.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

STUMBLING_PHRASES = {
    r"\bto be had\b": "available",
    r"\b(?:is|are) told\b": "name who reports what",
    r"\btells of\b": "describes, reports",
    r"\bwants? to be\b": "must be",
    r"\b(?:is|are) not there\b": "is missing",
    r"\bwhat is asked\b": "the request",
    r"\bheed": "handle, catch",
    r"\bso many\b": "a number, or n",
    r"\bthe wish\b": "the target",
    r"\bof its own accord\b": "by default",
    r"\bmakes? do\b": "is enough",
    r"\bis at hand\b": "is available",
    r"\bholds? (?:\w+ )?against\b": "compare with",
    r"\bas it was meant\b": "as intended",
    r"\bone an? (?:position|token|sequence|row|layer)\b": "one per position",
}
"""Pattern of a phrase -> what to write instead."""

BRITISH = re.compile(
    r"\b\w*(?:initialis|normalis|tokenis|quantis|standardis|optimis(?!t)|recognis|summaris|serialis"
    r"|equalis|labell|colour|favour|behaviour|neighbour|modell(?:ed|ing))\w*",
    re.IGNORECASE,
)

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
CODE = [
    path
    for folder in ("src", "tests", "benchmarks", "examples", "scripts")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".pyi", ".h", ".cpp", ".sh"} and path != Path(__file__)
]


@pytest.mark.parametrize("phrase", STUMBLING_PHRASES)
def test_no_text_uses_a_phrase_that_readers_stumble_over(phrase: str) -> None:
    hits = _lines(re.compile(phrase, re.IGNORECASE), [*CODE, *PAGES])
    assert not hits, f"write instead: {STUMBLING_PHRASES[phrase]}\n" + "\n".join(hits)


def test_spelling_is_american() -> None:
    # `normalisation` is the key of files that earlier versions wrote.
    hits = [hit for hit in _lines(BRITISH, [*CODE, *PAGES]) if "normalisation" not in hit]
    assert not hits, "\n".join(hits)


def _lines(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
