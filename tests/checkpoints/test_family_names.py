"""No code outside `checkpoints` depends on a model family; docstrings can cite one."""

import ast
import re
from pathlib import Path

import pytest

import bothways
from bothways.checkpoints.families import FAMILIES

SOURCE = Path(bothways.__file__).parent
FILES = sorted(
    path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "checkpoints"
)
NAMES = {re.sub("[-_]", "", name) for name in FAMILIES} | {"deberta", "splade"}
WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")

ALLOWED = {
    # Classes of the tokenizers library, whose names are those of the model that had them first.
    "training/setup/vocabulary.py": {"BertNormalizer", "BertPreTokenizer"},
    "sequences/long_texts.py": {"BertNormalizer", "BertPreTokenizer"},
    # The text of a report, which cites the released code of BERT.
    "lab/comparisons/ablation/report.py": {"bert"},
}


def family_in(name: str) -> str | None:
    """The family that an identifier or a string names; short names must be whole words."""
    words = {word.lower() for word in WORDS.findall(name)}
    joined = re.sub("[-_]", "", name).lower()
    return next((f for f in NAMES if f in words or (len(f) > 4 and f in joined)), None)


def names_in(tree: ast.AST) -> list[str]:
    """Every identifier and string of a module, except docstrings and other bare strings."""
    bare = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    names: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                names.append(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                names.append(name)
            case ast.keyword(arg=str(name)):
                names.append(name)
            case ast.Constant(value=str(text)) if id(node) not in bare:
                names.append(text)
            case _:
                pass
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_code_outside_checkpoints_names_a_family(path: Path) -> None:
    place = path.relative_to(SOURCE).as_posix()
    allowed = ALLOWED.get(place, set())
    for name in names_in(ast.parse(path.read_text(encoding="utf-8"))):
        family = family_in(name)
        assert family is None or {name, family} & allowed, f"{place}: {name[:80]!r} names {family}"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("is_mpnet", "mpnet"),
        ("BertTokenizer", "bert"),
        ("model_type == 'xlm-roberta'", "roberta"),
        ("EsmTokenizer", "esm"),
        ("esm", "esm"),
        ("timesmost", None),
        ("libertarian", None),
    ],
)
def test_names_of_families_are_found_in_identifiers(name: str, family: str | None) -> None:
    hit = family_in(name)
    assert hit == family or (hit is not None and family is not None and family in hit)
