"""Accuracy of int8: the worst and the mean cosine to fp32."""

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize, layout
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend, available_isas

WORST_COSINE = 0.995
MEAN_COSINE = 0.9985
NUM_TEXTS = 2000


def standard_library_paragraphs(count: int) -> list[str]:
    """Real prose of mixed lengths, available on every machine: docstrings of Python's library."""
    texts: list[str] = []
    for path in sorted(Path(ast.__file__).parent.rglob("*.py")):
        if "site-packages" in path.parts or "test" in path.parts:
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                paragraphs = (ast.get_docstring(node) or "").split("\n\n")
                texts += [text for p in paragraphs if len(text := " ".join(p.split())) > 10]
        if len(texts) > 4 * count:
            break
    return list(np.random.default_rng(0).permutation(sorted(set(texts)))[:count])


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_int8_vectors_of_real_texts_are_close_to_fp32(minilm_folder: Path) -> None:
    texts = [str(text) for text in standard_library_paragraphs(NUM_TEXTS)]
    assert len(texts) == NUM_TEXTS, sys.version
    fp32, int8 = (
        bothways.load(minilm_folder, backend="native", precision=precision).encode(texts)
        for precision in ("fp32", "int8")
    )
    cosine = (fp32 * int8).sum(axis=1)
    assert cosine.min() >= WORST_COSINE
    assert cosine.mean() >= MEAN_COSINE


LENGTHS = (1, 7, 47, 50, 64, 301)
"""On both sides of the length from which scores are in int8, and beyond a tile of keys."""


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("width", [128, 130, 260, 12])
def test_int8_is_close_to_fp32_at_every_width(isa: str, width: int) -> None:
    _expect_close_to_fp32(isa, num_heads=2, d_model=width, d_ff=3 * width - 1)


@pytest.mark.parametrize("isa", available_isas())
def test_int8_is_close_to_fp32_in_windows(isa: str) -> None:
    _expect_close_to_fp32(isa, num_heads=3, d_model=66, d_ff=90, windows=(3, 40))


@pytest.mark.parametrize("isa", available_isas())
def test_int8_is_close_to_fp32_with_shared_keys_in_one_direction(isa: str) -> None:
    _expect_close_to_fp32(
        isa,
        num_heads=6,
        num_key_value_heads=2,
        head_size=20,
        d_model=66,
        d_ff=90,
        attention_direction="causal",
        norm_placement="sandwich",
        query_key_norm="head",
    )


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("positions", ["relative", "alibi", "disentangled"])
def test_int8_is_close_to_fp32_with_a_bias_by_distance(isa: str, positions: str) -> None:
    _expect_close_to_fp32(
        isa,
        num_heads=3,
        d_model=66,
        d_ff=90,
        position_embedding="none",
        attention_positions=positions,
    )


@pytest.mark.parametrize("isa", available_isas())
def test_int8_is_close_to_fp32_with_a_convolution(isa: str) -> None:
    _expect_close_to_fp32(
        isa, num_heads=3, d_model=66, d_ff=90, convolution_kernel_size=3, convolution_groups=2
    )


@pytest.mark.parametrize("isa", available_isas())
def test_int8_is_close_to_fp32_with_experts(isa: str) -> None:
    """A token between two experts may take the other one; few do, and vectors stay close."""
    cosines = _cosines(
        isa,
        num_heads=3,
        d_model=66,
        d_ff=90,
        num_experts=4,
        experts_per_token=2,
        expert_blocks=(1,),
    )
    assert np.quantile(cosines, 0.02) > WORST_COSINE
    assert cosines.min() > 0.95


def _expect_close_to_fp32(isa: str, **fields: Any) -> None:
    assert _cosines(isa, **fields).min() > WORST_COSINE


def _cosines(isa: str, **fields: Any) -> np.ndarray:
    """Of the last hidden states of each token, in int8 and in fp32."""
    config = EncoderConfig(num_layers=2, max_length=max(LENGTHS), vocab_size=90, **fields)
    weights = initialize(config, scale=config.d_model**-0.5)  # maps keep the scale
    rng = np.random.default_rng(0)
    batch = PackedBatch.of([rng.integers(0, 90, length) for length in LENGTHS])
    fp32, int8 = (
        NativeBackend(config, weights, precision=precision, isa=isa).hidden_states(batch, [2])[0]
        for precision in ("fp32", "int8")
    )
    norms = np.linalg.norm(fp32, axis=1) * np.linalg.norm(int8, axis=1)
    cosines: np.ndarray = (fp32 * int8).sum(axis=1) / norms
    return cosines


def test_constant_inputs_are_close_to_fp32() -> None:
    """A group of equal values has a range of 0, and so a scale of 0."""
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=4, d_ff=4, input="vectors", num_channels=1
    )
    weights = {name: np.ones(shape, np.float32) for name, shape in layout(config).items()}
    batch = PackedBatch.of([np.ones((3, 1), np.float32)])
    fp32, int8 = (
        NativeBackend(config, weights, precision=precision).pool(batch, ["mean"])
        for precision in ("fp32", "int8")
    )
    np.testing.assert_allclose(int8, fp32, atol=1e-5)
