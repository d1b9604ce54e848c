"""Malicious folders: each is an error, without running code, imports or connections.

A module that leaves a mark when it is imported lies in every folder and on the path, and sockets
and new processes are blocked, so that a reader that gave in would be seen.
"""

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from bothways.checkpoints.folder import fingerprint, read_folder
from bothways.errors import BothwaysError, CheckpointError, UnreadFieldsWarning

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

SECONDS = 5.0
"""Time limit for refusing any folder; generous."""

TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}


@pytest.fixture
def mark(tmp_path: Path, tiny_sentences: "Tiny", monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that the code in the folder would create; a test fails if it exists."""
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w').close()\nclass Model: pass\ndef run(*_): pass\n"
    for name in ("modeling_evil.py", "evil.py", "__init__.py", "sitecustomize.py"):
        (tiny_sentences.path / name).write_text(code)
    monkeypatch.syspath_prepend(tiny_sentences.path)
    monkeypatch.chdir(tiny_sentences.path)

    def refuse(*_: object, **__: object) -> None:
        mark.write_text("connected or started")
        raise AssertionError("a hostile folder had its way")

    for owner, name in ((socket, "socket"), (socket, "create_connection"), (socket, "getaddrinfo"),
                        (subprocess, "Popen"), (os, "system"), (os, "popen")):  # fmt: skip
        monkeypatch.setattr(owner, name, refuse)
    before = set(sys.modules)
    yield mark
    assert not mark.exists()
    assert not {"evil", "modeling_evil"} & (set(sys.modules) - before)


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.mark), "w")


def refused(tiny: "Tiny") -> str:
    start = time.monotonic()
    with pytest.raises(BothwaysError) as raised:
        read_folder(tiny.path)
    assert time.monotonic() - start < SECONDS
    assert len(str(raised.value)) < 2000
    return str(raised.value)


Content = dict[str, Any] | list[Any] | bytes | int | None


def change(tiny: "Tiny", file: str, content: Content) -> None:
    """A hostile file: changed fields, a list or bytes, a number of bytes, or a folder."""
    path = tiny.path / file
    match content:
        case dict():
            tiny.edit(content, file)
        case list():
            path.write_text(json.dumps(content))
        case bytes():
            path.write_bytes(content)
        case int():
            with path.open("wb") as sparse:
                sparse.truncate(content)
        case None:
            path.unlink()
            path.mkdir()


def module(name: str, path: str = "") -> dict[str, str]:
    return {"path": path, "type": name}


POOLING = module("sentence_transformers.models.Pooling", "1_Pooling")
IMPORTER = "sentence_transformers.util.import_from_string"
SETTINGS, MODULES = "config.json", "modules.json"

HOSTILE: dict[str, tuple[dict[str, Content], str]] = {
    "auto_map": ({SETTINGS: {"auto_map": {"AutoModel": "modeling_evil.Model"}}}, "auto_map"),
    "auto_map elsewhere": ({SETTINGS: {"auto_map": {"AutoModel": "a/b--evil.Model"}}}, "auto_map"),
    "auto_map and a model type": (
        {SETTINGS: {"model_type": "evil", "auto_map": {"AutoModel": "modeling_evil.Model"}}},
        "model_type='evil'",
    ),
    "trust_remote_code": ({SETTINGS: {"trust_remote_code": True}}, "trust_remote_code"),
    "custom_pipelines": (
        {SETTINGS: {"custom_pipelines": {"x": {"impl": "evil.run"}}}},
        "never runs",
    ),
    "module: a function": ({MODULES: [TRANSFORMER, module("os.system")]}, "os.system"),
    "module: of the folder": ({MODULES: [TRANSFORMER, module("evil.Model")]}, "evil.Model"),
    "module: not a module": ({MODULES: [TRANSFORMER, module(IMPORTER)]}, "import_from_string"),
    "module: outside": ({MODULES: [TRANSFORMER | {"path": "../.."}]}, "leaves the folder"),
    "module: absolute": ({MODULES: [TRANSFORMER | {"path": "/etc"}]}, "leaves the folder"),
    "module: zero byte": ({MODULES: [TRANSFORMER | {"path": "a\0b"}]}, "leaves the folder"),
    "an activation that is a function": (
        {
            MODULES: [
                TRANSFORMER,
                POOLING,
                module("sentence_transformers.models.Dense", "2_Dense"),
            ],
            "2_Dense/config.json": {
                "in_features": 8,
                "out_features": 8,
                "activation_function": "evil.run",
            },
        },
        "evil.run",
    ),
    "arguments with trust_remote_code": (
        {"sentence_bert_config.json": {"model_args": {"trust_remote_code": True}}},
        "model_args",
    ),
    "deep config": ({SETTINGS: b'{"a":' * 200_000 + b"1" + b"}" * 200_000}, "deeper than"),
    "deep modules": ({MODULES: b"[" * 200_000}, "deeper than"),
    "deep pooling": ({"1_Pooling/config.json": b"[" * 990 + b"]" * 990}, "deeper than"),
    "giant config": ({SETTINGS: 2**42}, "larger than"),
    "giant modules": ({MODULES: 2**42}, "larger than"),
    "giant tokenizer settings": ({"tokenizer_config.json": 2**42}, "larger than"),
    "giant weights": ({"model.safetensors": 2**42}, "model.safetensors"),
    "ten million layers": ({SETTINGS: {"num_hidden_layers": 10**7}}, "layers"),
    "no machine holds it": ({SETTINGS: {"vocab_size": 2**31 - 1, "hidden_size": 2**30}}, "shape"),
    "a value of megabytes": ({SETTINGS: {"hidden_act": ["x" * 2**22]}}, "hidden_act"),
    "a model type of megabytes": ({SETTINGS: {"model_type": "x" * 2**22}}, "model_type"),
    "not UTF-8": ({SETTINGS: b'{"model_type": "\xff"}'}, "not UTF-8"),
    "a config that is a folder": ({SETTINGS: None}, "config.json: not a regular file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_without_side_effects(
    name: str, mark: Path, tiny_sentences: "Tiny"
) -> None:
    changes, message = HOSTILE[name]
    for file, content in changes.items():
        change(tiny_sentences, file, content)
    assert message in refused(tiny_sentences)


def test_the_folder_is_valid_before_it_is_made_hostile(mark: Path, tiny_sentences: "Tiny") -> None:
    assert read_folder(tiny_sentences.path).family == "bert"
    fingerprint(tiny_sentences.path)


def test_unread_fields_of_megabytes_give_a_short_warning(
    mark: Path, tiny_sentences: "Tiny"
) -> None:
    unread = {"x" * 2**22: 1} | {f"y{i}": ["x" * 2**10] for i in range(1000)}
    tiny_sentences.edit(unread)
    with pytest.warns(UnreadFieldsWarning, match="and 993 more") as warnings:
        read_folder(tiny_sentences.path)
    assert len(str(warnings[0].message)) < 2000


@pytest.mark.parametrize("pickled", ["zip", "old", "bare"])
def test_a_pickle_with_a_payload_is_refused_and_not_run(
    pickled: str, mark: Path, tiny_sentences: "Tiny"
) -> None:
    (tiny_sentences.path / "model.safetensors").unlink()
    path = tiny_sentences.path / "pytorch_model.bin"
    if pickled == "bare":
        path.write_bytes(pickle.dumps(Payload(mark)))
    else:
        torch.save({"x": Payload(mark)}, path, _use_new_zipfile_serialization=pickled == "zip")
    assert "none of its code was run" in refused(tiny_sentences)


def test_a_pickle_next_to_safetensors_is_not_opened(mark: Path, tiny_sentences: "Tiny") -> None:
    (tiny_sentences.path / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(mark)))
    (tiny_sentences.path / "training_args.bin").write_bytes(pickle.dumps(Payload(mark)))
    assert read_folder(tiny_sentences.path).family == "bert"


def test_a_named_pipe_is_refused_without_waiting(mark: Path, tiny_sentences: "Tiny") -> None:
    (tiny_sentences.path / "model.safetensors").unlink()
    os.mkfifo(tiny_sentences.path / "model.safetensors")
    assert "model.safetensors: not a regular file" in refused(tiny_sentences)


def test_an_index_cannot_name_a_file_outside_the_folder(
    mark: Path, tiny_sentences: "Tiny", tmp_path: Path
) -> None:
    shutil.move(tiny_sentences.path / "model.safetensors", tmp_path / "outside.safetensors")
    for name in ("../outside.safetensors", str(tmp_path / "outside.safetensors")):
        tiny_sentences.edit(
            {"weight_map": {"embeddings.LayerNorm.bias": name}}, "model.safetensors.index.json"
        )
        assert "leaves the folder" in refused(tiny_sentences)
        with pytest.raises(CheckpointError, match="leaves the folder"):
            fingerprint(tiny_sentences.path)
