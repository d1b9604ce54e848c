import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bothways
from bothways.checkpoints.export import Format, export
from bothways.checkpoints.folder import fingerprint, read_folder
from bothways.errors import CheckpointError
from bothways.inference.backends import BackendName
from bothways.model import weights
from bothways.model.pooling import Dense, Normalize

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

Read = Callable[[Path], object]

FORMATS: tuple[Format, ...] = ("bothways", "sentence-transformers")


@pytest.mark.parametrize("read", [read_folder, fingerprint])
def test_a_path_that_is_not_a_folder_is_named(read: Read, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing: no such folder; expected the folder"):
        read(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file: is a file, not a folder"):
        read(tmp_path / "file")


def test_the_error_for_an_empty_folder_lists_the_expected_files(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"looked for config\.json, modules\.json and bothways\.json; "
        "the folder contains nothing",
    ):
        read_folder(tmp_path)


def test_the_error_for_another_folder_lists_its_contents(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}.txt").touch()
    with pytest.raises(
        CheckpointError, match=r"the folder contains 00\.txt, 01\.txt, .*, 19\.txt and 10 more"
    ):
        read_folder(tmp_path)


def test_bothways_json_takes_precedence_over_other_formats(tiny: "Tiny", tmp_path: Path) -> None:
    export(read_folder(tiny.path), tmp_path / "own", "bothways")
    shutil.copy(tiny.path / "config.json", tmp_path / "own")
    (tmp_path / "own" / "modules.json").write_text("[]")
    assert read_folder(tmp_path / "own").family == "bothways"


def test_the_fingerprint_depends_only_on_contents(tiny_sentences: "Tiny", tmp_path: Path) -> None:
    first = fingerprint(tiny_sentences.path)
    assert re.fullmatch("[0-9a-f]{64}", first)
    shutil.copytree(tiny_sentences.path, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "README.md").write_text("a model")
    (tmp_path / "elsewhere" / "onnx").mkdir()
    (tmp_path / "elsewhere" / "pytorch_model.bin").write_text("unused beside safetensors")
    assert fingerprint(tmp_path / "elsewhere") == first


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "model.safetensors",
        "modules.json",
        "1_Pooling/config.json",
        "2_Normalize/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "alphabet.json",
    ],
)
def test_every_file_that_can_change_a_vector_changes_the_fingerprint(
    file: str, tiny_sentences: "Tiny"
) -> None:
    before = fingerprint(tiny_sentences.path)
    path = tiny_sentences.path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((path.read_bytes() if path.is_file() else b"") + b" ")
    assert fingerprint(tiny_sentences.path) != before


def test_the_fingerprint_covers_modules_and_shards(tiny_sentences: "Tiny") -> None:
    tiny_sentences.save({"linear.weight": np.ones((2, 8))}, "2_Normalize.safetensors")
    before = fingerprint(tiny_sentences.path)
    tiny_sentences.edit({}, "2_Normalize/config.json")
    tiny_sentences.save({"x": np.ones(1)}, "2_Normalize/model.safetensors")
    assert fingerprint(tiny_sentences.path) != before

    (tiny_sentences.path / "model.safetensors").unlink()
    tiny_sentences.edit({"weight_map": {"x": "a.safetensors"}}, "model.safetensors.index.json")
    tiny_sentences.save({"x": np.ones(1)}, "a.safetensors")
    sharded = fingerprint(tiny_sentences.path)
    tiny_sentences.save({"x": np.zeros(1)}, "a.safetensors")
    assert fingerprint(tiny_sentences.path) != sharded


def test_the_fingerprint_of_a_bothways_folder_covers_its_settings(
    tiny: "Tiny", tmp_path: Path
) -> None:
    export(read_folder(tiny.path), tmp_path / "own", "bothways")
    before = fingerprint(tmp_path / "own")
    settings = (tmp_path / "own" / "bothways.json").read_text()
    (tmp_path / "own" / "bothways.json").write_text(settings + " ")
    assert fingerprint(tmp_path / "own") != before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)

SETTINGS = {
    "bothways": ["bothways.json"],
    "sentence-transformers": [
        "config.json",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "3_Normalize/config.json",
    ],
}


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::bothways.errors.UnreadFieldsWarning")
@pytest.mark.parametrize("kind", FORMATS)
def test_any_change_of_settings_is_read_or_refused(
    kind: Format, data: st.DataObject, tiny: "Tiny", tmp_path: Path
) -> None:
    out = tmp_path / kind
    if not out.exists():
        read = read_folder(tiny.path)
        modules = (Dense(8, 8, bias=False, activation="tanh"), Normalize())
        arrays = {**read.weights, "modules.0.weight": np.ones((8, 8))}
        export(read.with_weights(arrays, modules=modules), out, kind)
        (out / "3_Normalize").mkdir(exist_ok=True)
        (out / "3_Normalize" / "config.json").write_text("{}")
    path = out / data.draw(st.sampled_from(SETTINGS[kind]))
    before = path.read_text()
    value = json.loads(before)
    target = value
    while True:  # down to some place in the settings
        keys = sorted(target) if isinstance(target, dict) else list(range(len(target)))
        key = data.draw(st.sampled_from(keys)) if keys else "new"
        inner = target[key] if keys else None
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        target = inner
    if isinstance(target, dict) or keys:
        target[key] = data.draw(JSON)
    path.write_text(json.dumps(value))
    refusal = None
    try:
        read_folder(out)
    except CheckpointError as error:
        refusal = str(error)
    finally:
        path.write_text(before)
    assert refusal is None or str(out) in refusal


@pytest.mark.parametrize(
    "save",
    [
        pytest.param(lambda arrays, path: torch.save(arrays, path), id="zip"),
        pytest.param(
            lambda arrays, path: torch.save(arrays, path, _use_new_zipfile_serialization=False),
            id="pickle",
        ),
    ],
)
def test_weights_in_torch_format_are_the_same(
    save: Callable[[Any, Path], None], tiny: "Tiny"
) -> None:
    state = {name: torch.from_numpy(array.copy()) for name, array in tiny.arrays().items()}
    (tiny.path / "model.safetensors").unlink()
    save(state, tiny.path / "pytorch_model.bin")
    read = read_folder(tiny.path)
    assert all(np.array_equal(read.weights[name], tiny.weights[name]) for name in tiny.weights)


@pytest.mark.parametrize("backend", ["native", "torch", "reference"])
def test_each_weight_is_checked_once_before_it_reaches_a_backend(
    backend: BackendName, tiny_sentences: "Tiny", monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    original = weights._checked

    def note(array: np.ndarray, shape: tuple[int, ...], place: str) -> np.ndarray:
        checked.append(place)
        return original(array, shape, place)

    monkeypatch.setattr(weights, "_checked", note)
    bothways.load(tiny_sentences.path, backend=backend)
    assert len(checked) == len(set(checked)) == len(tiny_sentences.weights)
