"""Backends resolve the variants of a config by `match` with `assert_never`, never by comparison."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bothways
from bothways.model.config import EncoderConfig
from bothways.model.fields import literal_fields

ROOT = Path(bothways.__file__).parent
BACKENDS = {
    "reference": ROOT / "reference",
    "nn": ROOT / "nn",
    "native": ROOT / "native",
    "onnx": ROOT / "checkpoints" / "onnx",
}
VARIANTS = literal_fields(EncoderConfig)
CHOICES = {choice for choices in VARIANTS.values() for choice in choices}

IN_CONFIG = {"rotary_precision", "rotary_scaling", "convolution_activation"}
"""Fields that `EncoderConfig.rotation` resolves for all backends, and one that is resolved as
`activation` is."""

RESOLVED = {
    "reference": set(VARIANTS) - IN_CONFIG,
    "nn": set(VARIANTS) - IN_CONFIG,
    "native": {"input", "position_embedding", "attention_positions"},
    "onnx": set(VARIANTS) - IN_CONFIG,
}
"""The fields that each backend resolves; the native engine resolves the other fields in C++."""


def nodes(source: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(source))


def name_of(node: ast.AST) -> str | None:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return None


def strings_in(node: ast.AST) -> set[str]:
    return {
        child.value
        for child in ast.walk(node)
        if isinstance(child, ast.Constant) and isinstance(child.value, str)
    }


def comparisons(source: str) -> list[int]:
    """Lines that compare a variant field, or any value with the name of a variant."""
    lines = []
    for node in nodes(source):
        if not isinstance(node, ast.Compare):
            continue
        if not any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops):
            continue
        operands = [node.left, *node.comparators]
        if any(name_of(operand) in VARIANTS for operand in operands) or any(
            strings_in(operand) & CHOICES for operand in operands
        ):
            lines.append(node.lineno)
    return lines


def matches(source: str) -> Iterator[tuple[str, bool]]:
    """Each variant field that is the subject of a `match`, and whether that is exhaustive."""
    for node in nodes(source):
        if isinstance(node, ast.Match) and name_of(node.subject) in VARIANTS:
            last = node.cases[-1].body[0]
            exhaustive = (
                isinstance(last, ast.Expr)
                and isinstance(last.value, ast.Call)
                and name_of(last.value.func) == "assert_never"
            )
            yield str(name_of(node.subject)), exhaustive


@pytest.mark.parametrize(
    "source",
    [
        "if config.norm == 'layer': pass",
        "x = 'rms' if norm != other else y",
        "flag = config.activation in ('relu', 'gelu')",
        "flag = self.kind == 'rotary'",
        "flag = kind in {'sinusoidal'}",
    ],
)
def test_a_comparison_is_found(source: str) -> None:
    assert comparisons(source) == [1]


def test_other_comparisons_and_a_match_are_not_found() -> None:
    assert not comparisons("if activation is None or config.num_layers == 3: pass")
    source = "match config.norm:\n case 'layer': pass\n case unknown: assert_never(unknown)"
    assert not comparisons(source)
    assert list(matches(source)) == [("norm", True)]
    assert list(matches("match norm:\n case 'layer': pass")) == [("norm", False)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_backend_compares_a_variant(backend: str) -> None:
    found = {
        f"{file.relative_to(ROOT)}:{line}"
        for file in BACKENDS[backend].rglob("*.py")
        for line in comparisons(file.read_text())
    }
    assert not found


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_resolves_every_variant_by_an_exhaustive_match(backend: str) -> None:
    pairs = [pair for file in BACKENDS[backend].rglob("*.py") for pair in matches(file.read_text())]
    assert {name for name, _ in pairs} == RESOLVED[backend]
    assert all(exhaustive for _, exhaustive in pairs)
    names = [name for name, _ in pairs]
    for name in ("position_embedding", "attention_positions"):
        assert names.count(name) == 1, name
