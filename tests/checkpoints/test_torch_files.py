import builtins
import collections
import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from bothways.checkpoints.folder import read_folder
from bothways.checkpoints.torch_files import read_torch
from bothways.errors import CheckpointError, MissingExtra
from bothways.io.json_files import MAX_BYTES

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny


def old(state: Any, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


SAVE = [pytest.param(torch.save, id="zip"), pytest.param(old, id="pickle")]


class Payload:
    """An object whose pickle runs a function when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("save", SAVE)
def test_both_formats_are_read_in_float32(save: Callable[..., None], tmp_path: Path) -> None:
    state = collections.OrderedDict(
        a=torch.randn(3, 4).half(),
        b=torch.randn(2).bfloat16(),
        c=torch.randn(4, 3).t(),
        d=torch.arange(3),
        e=torch.nn.Parameter(torch.randn(2)),
    )
    save(state, tmp_path / "pytorch_model.bin")
    arrays = read_torch(tmp_path / "pytorch_model.bin")
    for name, tensor in state.items():
        assert np.array_equal(arrays[name], tensor.detach().float().numpy())
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "a": "float32", "b": "float32", "c": "float32", "d": "int64", "e": "float32",
    }  # fmt: skip


@pytest.mark.parametrize("save", SAVE)
def test_a_pickle_with_a_payload_is_refused_without_running_it(
    save: Callable[..., None], tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    path = tmp_path / "pytorch_model.bin"
    save({"a": torch.zeros(1), "b": Payload(mark)}, path)
    torch.load(path, weights_only=False)  # the payload works where it is let
    mark.rmdir()

    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin.*none of its code was run"):
        read_torch(path)
    assert not mark.exists()


def test_a_bare_pickle_with_a_payload_is_refused_without_running_it(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(CheckpointError, match="none of its code was run"):
        read_torch(tmp_path / "pytorch_model.bin")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([torch.zeros(1)], "contains a list; expected a state dict"),
        (torch.zeros(1), "contains a Tensor; expected a state dict"),
        ({"model": {"a": torch.zeros(1)}}, "'model' is a dict; expected a state dict of tensors"),
        ({"epoch": 3}, "'epoch' is a int"),
        ({0: torch.zeros(1)}, "0 is a Tensor"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "'a' is complex"),
        ({"a": torch.eye(2).to_sparse()}, "'a' is not a plain dense tensor"),
        ({"a": torch.zeros(1).expand(10**9)}, "'a' is larger than its data"),
    ],
)
def test_anything_but_a_state_dict_of_dense_tensors_is_refused(
    state: Any, message: str, tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=message):
        read_torch(tmp_path / "pytorch_model.bin")


@pytest.mark.parametrize("save", SAVE)
def test_a_damaged_file_is_named(save: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    save({"a": torch.randn(50), "b": torch.randn(50)}, path)
    content = path.read_bytes()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
            read_torch(path)


def test_a_zip_of_something_else_is_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    (tmp_path / "pytorch_model.bin").write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        read_torch(tmp_path / "pytorch_model.bin")


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({}, tmp_path / "pytorch_model.bin")
    real_import = builtins.__import__

    def no_torch(name: str, *args: Any) -> Any:
        if name == "torch":
            raise ModuleNotFoundError(name)
        return real_import(name, *args)

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(builtins, "__import__", no_torch)
    with pytest.raises(MissingExtra, match=r"reading pytorch_model\.bin .*\[torch\]"):
        read_torch(tmp_path / "pytorch_model.bin")


def test_an_archive_with_compressed_members_is_refused_before_anything_is_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = tmp_path / "whole.bin", tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.zeros(1000)}, whole)
    with zipfile.ZipFile(whole) as stored, zipfile.ZipFile(path, "w") as deflated:
        for member in stored.infolist():
            deflated.writestr(member.filename, stored.read(member), zipfile.ZIP_DEFLATED)
    assert torch.load(path)["weight"].shape == (1000,)  # which torch itself inflates
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("inflated"))
    with pytest.raises(CheckpointError, match="is compressed, and torch compresses none; refused"):
        read_torch(path)


def test_an_archive_whose_members_share_their_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist += [archive.getinfo(archive.namelist()[0])] * 100
        archive.filelist += [max(archive.infolist(), key=lambda member: member.file_size)] * 5
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="claim more bytes than the file has; refused"):
        read_torch(path)


@pytest.mark.parametrize("file", ["pytorch_model.bin", "2_Dense/pytorch_model.bin"])
def test_a_file_much_larger_than_the_config_describes_is_refused_unread(
    file: str, tiny_sentences: "Tiny", monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_sentences.path / file
    if file.startswith("2"):
        modules = json.loads((tiny_sentences.path / "modules.json").read_text())
        modules[2] |= {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}
        (tiny_sentences.path / "modules.json").write_text(json.dumps(modules))
        tiny_sentences.edit({"in_features": 8, "out_features": 4}, "2_Dense/config.json")
    else:
        (tiny_sentences.path / "model.safetensors").unlink()
    with path.open("wb") as sparse:
        sparse.truncate(1 << 40)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(CheckpointError, match=r"bin: 1,099,511,627,776 bytes .* refused"):
        read_folder(tiny_sentences.path)


def test_a_pickle_that_is_larger_than_any_list_of_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(MAX_BYTES + 1))
    with pytest.raises(CheckpointError, match="larger than the limit of 16,777,216 bytes"):
        read_torch(path)
