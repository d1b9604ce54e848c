"""Folders for ONNX Runtime; conformance compares the graph with the reference."""

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tokenizers import Tokenizer

import bothways
from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.errors import MissingExtra
from bothways.inference.postprocessing import apply_modules
from bothways.installation import install_command
from bothways.model.heads import Head, HeadLayer
from bothways.model.pooling import Dense, Module, Normalize, Pooling

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

TOLERANCE = 1e-5
"""Tolerance for fp32 in a different order of operations, for vectors of about unit scale."""

IDS = np.array([[2, 5, 7, 3], [2, 6, 3, 0]])
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": np.zeros_like(IDS)}

CLASSES = Head(
    task="classes",
    layers=(HeadLayer(name="heads.classifier", outputs=2),),
    pooling="mean",
    labels=("no", "yes"),
)
TOKENS = Head(task="masked_tokens", layers=(HeadLayer(name="heads.tokens", outputs=20, tied=True),))


def with_heads(folder: ModelBundle, *heads: Head) -> ModelBundle:
    rng = np.random.default_rng(3)
    shapes = {
        "heads.classifier.weight": (2, 8),
        "heads.classifier.bias": (2,),
        "heads.tokens.bias": (20,),
    }
    drawn = {name: rng.standard_normal(s).astype(np.float32) for name, s in shapes.items()}
    return folder.with_weights({**folder.weights, **drawn}, heads=heads)


def run(path: Path, names: list[str] | None = None) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(path / "model.onnx")
    wanted = names or [output.name for output in session.get_outputs()]
    return dict(zip(wanted, session.run(wanted, INPUTS), strict=True))


def test_minilm_in_onnx_runtime_gives_the_vectors_of_encode(
    minilm_folder: Path, tmp_path: Path
) -> None:
    assert export(read_folder(minilm_folder), tmp_path / "out", "onnx") == ()
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.enable_padding()
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    for texts in (["a river bank"], ["a bank loan", "the shore of a stream " * 12, "", "x"]):
        encodings = tokenizer.encode_batch(texts)
        inputs = {
            "input_ids": np.array([e.ids for e in encodings]),
            "attention_mask": np.array([e.attention_mask for e in encodings]),
            "token_type_ids": np.array([e.type_ids for e in encodings]),
        }
        (found,) = session.run(["sentence_embedding"], inputs)
        expected = bothways.load(minilm_folder).encode(texts)
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_modules_after_pooling_are_part_of_the_graph(tiny: "Tiny", tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    modules: tuple[Module, ...] = (
        Dense(16, 6, bias=False, activation="sigmoid"),
        Normalize(),
        Dense(6, 5, activation="gelu_tanh"),
        Normalize(),
    )
    arrays = {
        "modules.0.weight": rng.standard_normal((6, 16)).astype(np.float32),
        "modules.2.weight": rng.standard_normal((5, 6)).astype(np.float32),
        "modules.2.bias": np.ones(5, np.float32),
    }
    read = read_folder(tiny.path)
    folder = read.with_weights(
        {**read.weights, **arrays}, pooling=Pooling(("mean", "cls")), modules=modules, dimensions=3
    )
    export(folder, tmp_path / "out", "onnx")
    found = run(tmp_path / "out")
    states = found["last_hidden_state"]
    pooled = [
        np.concatenate([x[: int(m.sum())].mean(axis=0), x[0]])
        for x, m in zip(states, MASK, strict=True)
    ]
    expected = apply_modules(np.array(pooled), modules[:-1], arrays)[:, :3]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert found["sentence_embedding"].shape == (2, 3)
    np.testing.assert_allclose(found["sentence_embedding"], expected, rtol=0, atol=TOLERANCE)


def test_the_logits_of_one_head_are_called_logits(tiny: "Tiny", tmp_path: Path) -> None:
    folder = read_folder(tiny.path)
    export(with_heads(folder, CLASSES), tmp_path / "one", "onnx")
    export(with_heads(folder, CLASSES, TOKENS), tmp_path / "two", "onnx")
    one, two = run(tmp_path / "one"), run(tmp_path / "two")
    assert sorted(one) == ["last_hidden_state", "logits", "sentence_embedding"]
    np.testing.assert_array_equal(two["classes_logits"], one["logits"])
    assert two["masked_tokens_logits"].shape == (2, 4, 20)


def test_a_graph_describes_its_outputs(tiny: "Tiny", tmp_path: Path) -> None:
    folder = read_folder(tiny.path).with_spec(prompts={"query": "find: "})
    export(with_heads(folder, CLASSES), tmp_path / "out", "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    facts = {name: json.loads(value) for name, value in metadata.items()}
    assert facts["bothways.labels"] == {"classes": ["no", "yes"]}
    assert facts["bothways.outputs"] == {"classes": "logits"}
    assert facts["bothways.max_length"] == 16
    assert facts["bothways.prompts"] == {"query": "find: "}


def test_an_export_warns_about_prompts_excluded_from_pooling(tiny: "Tiny", tmp_path: Path) -> None:
    folder = read_folder(tiny.path).with_spec(
        prompts={"query": "find: "}, pooling=Pooling(include_prompt=False)
    )
    (note,) = export(folder, tmp_path / "out", "onnx")
    assert "prompts are not left out of pooling" in note


def test_large_weights_are_written_to_a_separate_file(
    tiny: "Tiny", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = with_heads(read_folder(tiny.path), CLASSES)
    table = np.random.default_rng(5).standard_normal((400, 8)).astype(np.float32)
    folder = small.with_weights(
        {**small.weights, **small.head_weights, "embedding.token.weight": table},
        config=dataclasses.replace(small.config, vocab_size=400),
    )
    export(folder, tmp_path / "one", "onnx")
    monkeypatch.setattr(sys.modules["bothways.checkpoints.onnx.writing"], "_LARGEST_FILE", 0)
    export(folder, tmp_path / "two", "onnx")
    assert (tmp_path / "two" / "model.onnx.data").stat().st_size >= table.nbytes
    for name, array in run(tmp_path / "one").items():
        np.testing.assert_array_equal(run(tmp_path / "two")[name], array)


def test_a_tied_table_is_stored_once(tiny: "Tiny", tmp_path: Path) -> None:
    folder = read_folder(tiny.path)
    export(folder, tmp_path / "without", "onnx")
    export(with_heads(folder, TOKENS), tmp_path / "with", "onnx")
    sizes = [(tmp_path / name / "model.onnx").stat().st_size for name in ("without", "with")]
    table = folder.weights["embedding.token.weight"].nbytes
    assert sizes[1] - sizes[0] < table + 600  # a bias, and a few operations


@pytest.mark.parametrize("changes", [{"block_of_layer": (0, 0)}, {}])
def test_shared_blocks_are_stored_once(
    changes: dict[str, Any], tiny: "Tiny", tmp_path: Path
) -> None:
    folder = read_folder(tiny.path)
    config = dataclasses.replace(folder.config, **changes)
    weights = {n: a for n, a in folder.weights.items() if not changes or "blocks.1." not in n}
    export(folder.with_weights(weights, config=config), tmp_path / "out", "onnx")
    names = {tensor.name for tensor in onnx.load(tmp_path / "out" / "model.onnx").graph.initializer}
    assert ("blocks.1.attention.query.weight" in names) == (not changes)


def test_without_onnx_the_extra_is_named_and_no_file_is_written(
    tiny: "Tiny", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=re.escape(install_command("onnx"))):
        export(read_folder(tiny.path), tmp_path / "out", "onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]
