"""Folders for ONNX Runtime; conformance compares the graph with the reference."""

import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tokenizers import Tokenizer

import bothways
from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.errors import CheckpointError, MissingExtra
from bothways.inference.postprocessing import apply_modules
from bothways.installation import install_command
from bothways.model.heads import Head, HeadLayer
from bothways.model.layout import initialize
from bothways.model.pooling import Dense, Module, Normalize, PooledLayerNorm, Pooling
from bothways.reference import head_outputs

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

TOLERANCE = 1e-5
"""Tolerance for fp32 in a different order of operations, for vectors of about unit scale."""

IDS = np.array([[2, 5, 7, 3], [2, 6, 3, 0]])
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": np.zeros_like(IDS)}

PAIRS = ((3, 2), (9, 2), (2, 9), (9, 9), (8, 9), (10, 5))
"""Words of the two texts of each pair."""

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


def encode_with_graph(path: Path, texts: list[Any], output: str) -> np.ndarray:
    """An output of the graph, by the documented recipe."""
    encodings = Tokenizer.from_file(str(path / "tokenizer.json")).encode_batch(texts)
    session = onnxruntime.InferenceSession(path / "model.onnx")
    inputs = {
        "input_ids": np.array([e.ids for e in encodings]),
        "attention_mask": np.array([e.attention_mask for e in encodings]),
        "token_type_ids": np.array([e.type_ids for e in encodings]),
    }
    names = [declared.name for declared in session.get_inputs()]
    (values,) = session.run([output], {name: inputs[name] for name in names})
    assert isinstance(values, np.ndarray)
    return values


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_minilm_in_onnx_runtime_gives_the_vectors_of_encode(
    minilm_folder: Path, tmp_path: Path
) -> None:
    """Its tokenizer.json cuts at 128 tokens, and the model takes 256."""
    assert export(read_folder(minilm_folder), tmp_path / "out", "onnx") == ()
    texts = ["a bank loan", "the shore of a stream " * 40, "river " * 600, "", "x"]
    vectors = encode_with_graph(tmp_path / "out", texts, "sentence_embedding")
    expected = bothways.load(minilm_folder).encode(texts)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=TOLERANCE)


@pytest.fixture
def words(tiny: "Tiny", bert_folder: Path) -> "Tiny":
    """The tiny model with a vocabulary of words, which lowercases."""
    size = len((bert_folder / "vocab.txt").read_text().splitlines())
    config = dataclasses.replace(tiny.config, vocab_size=size)
    folder = dataclasses.replace(tiny, config=config, weights=initialize(config))
    folder.edit({"vocab_size": size})
    folder.save(folder.arrays())
    shutil.copyfile(bert_folder / "vocab.txt", tiny.path / "vocab.txt")
    return folder


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
@pytest.mark.parametrize("max_length", [16, 9])
def test_pairs_are_cut_as_classify_cuts_them(
    max_length: int, words: "Tiny", tmp_path: Path
) -> None:
    bundle = with_heads(read_folder(words.path), CLASSES).with_spec(max_length=max_length)
    for to in ("onnx", "bothways"):
        export(bundle, tmp_path / to, to)
    vocabulary = (words.path / "vocab.txt").read_text().split("\n")[5:15]
    pairs = [(" ".join(vocabulary[:n]), " ".join(vocabulary[-m:])) for n, m in PAIRS]
    logits = encode_with_graph(tmp_path / "onnx", pairs, "logits")
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = bothways.load(tmp_path / "bothways").classify(pairs, on_unknown="ignore")
    np.testing.assert_allclose(share, expected.probabilities, rtol=0, atol=TOLERANCE)


def test_the_folder_has_the_files_that_loaders_read(words: "Tiny", tmp_path: Path) -> None:
    """A vocab.txt alone, lowercasing, and a head that no class of the family computes."""
    bundle = with_heads(read_folder(words.path), CLASSES).with_spec(
        lowercase=True, max_length=10, prompts={"query": "find: "}, modules=(Normalize(),)
    )
    export(bundle, tmp_path / "out", "onnx")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["model_type"], config["id2label"]) == ("bert", {"0": "no", "1": "yes"})
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == 10
    assert settings["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]
    special = json.loads((tmp_path / "out" / "special_tokens_map.json").read_text())
    assert special["pad_token"]["content"] == "[PAD]"
    with pytest.raises(CheckpointError, match="load the model that it was exported from"):
        read_folder(tmp_path / "out")
    modules = json.loads((tmp_path / "out" / "modules.json").read_text())
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Normalize"]
    padding = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).padding
    assert padding is not None
    assert (padding["pad_id"], padding["length"], padding["direction"]) == (0, None, "right")


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
def test_the_tokenizer_of_transformers_cuts_and_pads_alike(words: "Tiny", tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    text = (words.path / "vocab.txt").read_text().split("\n")[6]
    export(read_folder(words.path).with_spec(max_length=10), tmp_path / "out", "onnx")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ours = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    texts = [f"{text} " * 20, text.upper()]
    expected = [encoding.ids for encoding in ours.encode_batch(texts)]
    assert tokenizer(texts, padding=True, truncation=True)["input_ids"] == expected
    assert len(expected[0]) == 10


def test_an_encoder_that_no_family_has_is_named_and_its_graph_is_written(
    words: "Tiny", tmp_path: Path
) -> None:
    read = read_folder(words.path)
    config = dataclasses.replace(read.transformer, position_embedding="sinusoidal")
    arrays = {n: a for n, a in read.weights.items() if n != "embedding.position.weight"}
    (note,) = export(read.with_weights(arrays, config=config), tmp_path / "out", "onnx")
    assert "position_embedding='sinusoidal'" in note
    assert (tmp_path / "out" / "model.onnx").is_file()
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_modules_after_pooling_are_part_of_the_graph(tiny: "Tiny", tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    modules: tuple[Module, ...] = (
        Dense(16, 6, bias=False, activation="sigmoid"),
        PooledLayerNorm(6),
        Dense(6, 5, activation="gelu_tanh"),
        Normalize(),
    )
    arrays = {
        "modules.0.weight": rng.standard_normal((6, 16)).astype(np.float32),
        "modules.1.weight": rng.standard_normal(6).astype(np.float32),
        "modules.1.bias": rng.standard_normal(6).astype(np.float32),
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


def test_a_graph_pools_the_outputs_of_a_head_that_does(tiny: "Tiny", tmp_path: Path) -> None:
    late = dataclasses.replace(CLASSES, pooling="mean", pools_outputs=True)
    folder = with_heads(read_folder(tiny.path), late)
    export(folder, tmp_path / "out", "onnx")
    found = run(tmp_path / "out")
    for states, mask, logits in zip(found["last_hidden_state"], MASK, found["logits"], strict=True):
        expected = head_outputs(states[: int(mask.sum())], folder.all_weights, late)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE)


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
    assert (tmp_path / "two" / "model.onnx_data").stat().st_size >= table.nbytes
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
