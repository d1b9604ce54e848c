"""Folders that hold no encoder that bothways runs: each error says what it is and what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import bothways
from bothways.checkpoints import export, read_folder
from bothways.cli.app import app
from bothways.errors import CheckpointError, InputError, SourceError, UnsupportedModel

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 90868376\n"
IS_POINTER = (
    "a Git LFS pointer to a file of 90,868,376 bytes, not the file itself; run `git lfs pull`"
)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt"]
)
def test_a_pointer_of_git_lfs_is_named(file: str, tiny: "Tiny") -> None:
    (tiny.path / file).write_bytes(POINTER)
    with pytest.raises(CheckpointError, match=rf"{file}: {IS_POINTER}"):
        bothways.load(tiny.path, backend="reference")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (POINTER, IS_POINTER),
        (b"GGUF\x03\0\0\0", "a GGUF file"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"<!DOCTYPE html><html>", "a web page; download the file itself"),
    ],
)
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_weights_that_are_another_file_are_named(
    file: str, content: bytes, message: str, tiny: "Tiny"
) -> None:
    (tiny.path / "model.safetensors").unlink()
    (tiny.path / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{file}: {message}"):
        read_folder(tiny.path)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model-q4.gguf", "model-q4.gguf is a GGUF file of llama.cpp"),
        ("model.onnx", "model.onnx is a graph, and bothways does not run graphs"),
        ("onnx/model.onnx", "onnx/model.onnx is graphs"),
        ("openvino_model.xml", "a graph of OpenVINO"),
        ("tf_model.h5", "weights of TensorFlow: load them with transformers 4"),
        ("flax_model.msgpack", "weights of Flax"),
    ],
)
@pytest.mark.parametrize("has_config", [True, False])
def test_weights_of_other_libraries_are_named(
    file: str, message: str, has_config: bool, tiny: "Tiny"
) -> None:
    (tiny.path / "model.safetensors").unlink()
    if not has_config:
        (tiny.path / "config.json").unlink()
    (tiny.path / file).parent.mkdir(exist_ok=True)
    (tiny.path / file).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=message):
        read_folder(tiny.path)


def test_a_file_of_another_format_is_named_as_a_source(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF\x03\0\0\0")
    with pytest.raises(
        SourceError, match=r"model\.gguf: a GGUF file of llama\.cpp; load the folder"
    ):
        bothways.load(tmp_path / "model.gguf")


def folder(path: Path, *files: str) -> Path:
    for file in files:
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text("{}")
    return path


FOLDERS: dict[str, tuple[tuple[str, ...], str]] = {
    "models--org--name": (
        ("refs/main", "snapshots/abc/config.json"),
        r"a folder of the hub's cache.*load hf:org/name or load the folder .*snapshots/abc",
    ),
    "hub": (("models--org--name/refs/main",), r"the cache of the hub: load .*hf:org/name"),
    "run": (
        ("checkpoint-90/config.json", "checkpoint-500/config.json"),
        r"the output of a training run: load one of its checkpoints, such as .*checkpoint-500",
    ),
    "adapter": (("adapter_config.json",), "an adapter without its model"),
    "pipeline": (("meta.json", "config.cfg"), "a pipeline of spaCy"),
    "gliner": (("gliner_config.json",), "a model of GLiNER.*: use the package gliner; looked"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_around_models_are_named(name: str, tmp_path: Path) -> None:
    files, message = FOLDERS[name]
    with pytest.raises(CheckpointError, match=message):
        read_folder(folder(tmp_path / name, *files))


def test_a_folder_of_gliner_names_its_encoder(tmp_path: Path) -> None:
    base = {"model_name": "microsoft/deberta-v3-base"}
    (tmp_path / "gliner_config.json").write_text(json.dumps(base))
    with pytest.raises(CheckpointError, match="was made from is 'microsoft/deberta-v3-base'"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "is a decoder"),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "is a decoder"),
        ({"model_type": "bart", "is_encoder_decoder": True}, "is a sequence-to-sequence model"),
        (
            {"model_type": "x", "architectures": ["XForConditionalGeneration"]},
            "is a sequence-to-sequence model",
        ),
        ({"model_type": "clip"}, "a model of images or sound and text"),
        ({"model_type": "x", "vision_config": {}}, "a model of images or sound and text"),
        ({"model_type": "x", "architectures": [3]}, "model_type='x': bothways knows"),
        ({"model_type": None, "span_mode": "markerV0", "max_width": 12}, "a model of GLiNER"),
        ({"model_type": "gliner"}, "is a model of GLiNER, .*: use the package gliner"),
        (
            {"model_type": None, "patch_len": 8, "transformer_backbone": "google/flan-t5-large"},
            "a MOMENT model of series, .*: use the package momentfm, or train an encoder",
        ),
        ({"model_type": "codet5p_embedding"}, "is the encoder of CodeT5.*Python code of its own"),
        ({"model_type": "codesage"}, "is CodeSage, .*load another model of code"),
        ({"model_type": None, "word_embedding_dimension": 8}, "load the folder above it"),
    ],
)
def test_other_kinds_of_models_are_named(
    values: dict[str, Any], message: str, tiny: "Tiny"
) -> None:
    tiny.edit(values)
    with pytest.raises(UnsupportedModel, match=message):
        read_folder(tiny.path)


def test_a_folder_of_setfit_loads_without_its_classifier(tiny_sentences: "Tiny") -> None:
    (tiny_sentences.path / "model_head.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert (
        "model_head.pkl: the classifier of SetFit is a pickle"
        in read_folder(tiny_sentences.path).unread_heads
    )
    encoder = bothways.load(tiny_sentences.path, backend="reference")
    with pytest.raises(InputError, match="the classifier of SetFit is a pickle"):
        encoder.classify([1, 2])


class Payload:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return eval, ("1",)


def test_no_advice_of_torch_to_load_unsafely_passes_through(tiny: "Tiny") -> None:
    (tiny.path / "model.safetensors").unlink()
    for state in ({"a": Payload()}, None):
        if state is None:
            (tiny.path / "pytorch_model.bin").write_bytes(b"garbage")
        else:
            torch.save(state, tiny.path / "pytorch_model.bin")
        with pytest.raises(CheckpointError, match="none of its code was run") as raised:
            read_folder(tiny.path)
        assert "weights_only" not in str(raised.value)
        assert "trust" not in str(raised.value)


def test_no_escape_of_a_terminal_passes_through(tmp_path: Path) -> None:
    path = folder(tmp_path / "a\x1b[2Jb", "c\x9bd\u202e")
    with pytest.raises(CheckpointError) as raised:
        read_folder(path)
    assert str(raised.value).isprintable()
    assert r"a\x1b[2Jb" in str(raised.value)


# Folders that do not name their family.


def without_type(tiny: "Tiny", prefix: str = "bert.") -> Path:
    values = json.loads((tiny.path / "config.json").read_text())
    values.pop("model_type", None)
    (tiny.path / "config.json").write_text(json.dumps(values))
    tiny.save({prefix + name: array for name, array in tiny.arrays().items()})
    return tiny.path


def test_a_folder_without_a_model_type_names_the_families_that_fit(tiny: "Tiny") -> None:
    advice = r"weights can only be of this family: bert\. Load it with family='bert' \(--family"
    with pytest.raises(CheckpointError, match=f"'model_type' is missing; its {advice}"):
        read_folder(without_type(tiny))
    with pytest.raises(CheckpointError, match=r"can be of these families: bert, roberta, .*ernie"):
        read_folder(without_type(tiny, ""))


def test_the_family_can_be_given(tiny: "Tiny", capsys: pytest.CaptureFixture[str]) -> None:
    want = bothways.load(tiny.path, backend="reference").encode(np.array([3, 4]))
    path = without_type(tiny)
    encoder = bothways.load(path, backend="reference", family="bert")
    assert (encoder.encode(np.array([3, 4])) == want).all()
    with pytest.raises(SystemExit, match="0"):
        app(["inspect", str(path), "--family", "bert", "--quiet"])
    assert "bert" in capsys.readouterr().out


def test_a_given_family_must_exist_and_agree(tiny: "Tiny") -> None:
    with pytest.raises(InputError, match=r"family='bort': bothways knows bert, "):
        read_folder(tiny.path, family="bort")
    with pytest.raises(InputError, match=r"family='albert', and .*says model_type='bert'"):
        read_folder(tiny.path, family="albert")


def test_a_given_family_names_the_class_of_the_tokenizer(tiny: "Tiny", tmp_path: Path) -> None:
    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "river", "##s")
    (tiny.path / "vocab.txt").write_text("\n".join(tokens))
    encoder = bothways.load(without_type(tiny), backend="reference", family="bert")
    want = encoder.encode(np.array([2, 5, 6, 7, 3]))
    assert (encoder.encode("the rivers") == want).all()
    export(read_folder(tiny.path, family="bert"), tmp_path / "own", "bothways")
    own = bothways.load(tmp_path / "own", backend="reference")
    assert (own.encode("the rivers") == want).all()
