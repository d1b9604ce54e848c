import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bothways.checkpoints.bothways_folder import read_bothways, write_bothways
from bothways.checkpoints.folder import read_folder
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.weight_files import read_safetensors, write_safetensors
from bothways.errors import CheckpointError
from bothways.model.heads import Head, HeadLayer
from bothways.model.pooling import Dense, Normalize, Pooling

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

TOPICS = Head(
    task="classes",
    layers=(HeadLayer(name="heads.classifier", outputs=2),),
    pooling="mean",
    labels=("no", "yes"),
    dropout=0.2,
)
WORDS = Head(
    task="masked_tokens", layers=(HeadLayer(name="heads.masked_tokens", outputs=20, tied=True),)
)


@pytest.fixture
def model(tiny: "Tiny") -> ModelBundle:
    """A model with everything that a folder can say."""
    arrays = {
        "heads.classifier.weight": np.ones((2, 8), dtype=np.float32),
        "heads.classifier.bias": np.ones(2, dtype=np.float32),
        "heads.masked_tokens.bias": np.ones(20, dtype=np.float32),
        "modules.0.weight": np.ones((4, 16), dtype=np.float32),
        "modules.0.bias": np.ones(4, dtype=np.float32),
        "modules.1.weight": np.ones((3, 4), dtype=np.float32),
    }
    settings = {"model_type": "bert", "id2label": {"0": "no", "1": "yes"}}
    read = dataclasses.replace(read_folder(tiny.path), source_settings=settings)
    return read.with_weights(
        {**read.weights, **arrays},
        heads=(TOPICS, WORDS),
        lowercase=True,
        pooling=Pooling(("mean", "last"), include_prompt=False),
        modules=(
            Dense(16, 4, activation="gelu_tanh"),
            Dense(4, 3, bias=False),
            Normalize(),
        ),
        prompts={"query": "find: "},
        default_prompt="query",
        similarity="dot",
        max_length=11,
        dimensions=2,
    )


@pytest.fixture
def written(model: ModelBundle, tmp_path: Path) -> Path:
    folder = tmp_path / "written"
    folder.mkdir()
    write_bothways(folder, model)
    return folder


def edit(folder: Path, path: list[str | int], value: Any) -> None:
    settings = json.loads((folder / "bothways.json").read_text())
    target = settings
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    (folder / "bothways.json").write_text(json.dumps(settings))


def test_a_written_folder_is_read_completely(model: ModelBundle, written: Path) -> None:
    back = read_folder(written)
    assert back.family == "bothways"
    assert back.spec == model.spec
    assert (back.source_settings, back.unread_heads) == (model.source_settings, "")
    for ours, again in (
        (model.weights, back.weights),
        (model.head_weights, back.head_weights),
        (model.module_weights, back.module_weights),
    ):
        assert again.keys() == ours.keys()
        assert all(np.array_equal(ours[name], again[name]) for name in ours)


def test_equal_models_give_equal_files(model: ModelBundle, written: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    write_bothways(again, read_bothways(written))
    for name in ("bothways.json", "model.safetensors"):
        assert (again / name).read_bytes() == (written / name).read_bytes()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["format_version"], 6, "format_version=6; this version of bothways reads 1 to 5; update"),
        (["format_version"], 3, "encoder: unknown field 'activation'; BaselineConfig has kind"),
        (["format_version"], 2, "encoder: unknown field 'kind'"),
        (["encoder", "kind"], "mamba", "kind='mamba': expected one of transformer, rnn"),
        (["encoder", "kind"], ["lstm"], "encoder: kind=['lstm']: expected one of transformer"),
        (["encoder", "kind"], "lstm", "encoder: unknown field 'activation'; BaselineConfig has"),
        (["format_version"], 0, "format_version=0; this version of bothways reads 1 to 5"),
        (["format_version"], None, "format_version=None: expected a whole number"),
        (["encoder", "num_heads"], 3, "encoder: num_heads=3 does not divide"),
        (["encoder", "num_heads"], 10**12, "encoder: a size of more than"),
        (["encoder", "num_layers"], 10**9, "encoder: 1,000,000,000 layers"),
        (["encoder", "color"], "red", "encoder: unknown field 'color'"),
        (["encoder", "activation"], ["gelu"], "encoder: activation="),
        (["encoder", "windows"], [[1], 2], "encoder: windows[0]"),
        (["encoder", "block_of_layer"], [{}, 1], "encoder: block_of_layer"),
        (["encoder"], [], "encoder=[]: expected an object"),
        (["encoder", "vocab_size"], 21, "has shape (20, 8); the config says (21, 8)"),
        (["encoder", "num_segments"], 0, "'embedding.segment.weight' is unexpected"),
        (["encoder", "num_layers"], 3, "'blocks.2.attention.query.weight' is missing"),
        (["pooling", "modes"], [], "pooling: modes: expected at least one"),
        (["pooling", "modes"], [["mean"]], "pooling: modes=['mean']: expected cls"),
        (["pooling", "power"], 2, "pooling: power=2"),
        (["modules", 0, "type"], "os.system", "module 0: type='os.system'"),
        (["modules", 0, "activation"], "sin", "module 0: activation='sin'"),
        (["modules", 1, "type"], "normalize", "module 1: activation='identity'"),
        (["modules"], [], "weight 'modules.0.bias' is unexpected (3 are)"),
        (["modules"], ["dense"], "module 0: expected an object"),
        (["pooling", "modes"], ["mean"], "expected a weight modules.0.weight of shape (any, 8)"),
        (["prompts"], {"query": 3}, "prompts: 'query'=3"),
        (["default_prompt"], "document", "default_prompt='document': expected query"),
        (["similarity"], "maxsim", "similarity='maxsim'"),
        (["lowercase"], 1, "lowercase=1: expected true or false"),
        (["max_length"], 0, "max_length=0: expected at least 1"),
        (["head_settings"], [], "head_settings=[]: expected an object"),
        (["heads"], {}, "heads={}: expected a list"),
        (["heads", 0], 3, "head 0: expected an object"),
        (["heads", 0, "task"], "os.system", "head 0: task='os.system'"),
        (["heads", 0, "labels"], ["no"], "head 0: 1 labels for a head of 2 outputs"),
        (["heads", 0, "labels"], ["no", 1], "head 0: labels: expected strings"),
        (["heads", 0, "layers"], [], "head 0: a head needs at least one layer"),
        (["heads", 0, "layers"], [3], "head 0: layers of a head: expected objects"),
        (["heads", 0, "layers", 0, "outputs"], 10**12, "head 0: 2 labels for a head of 1000"),
        (["heads", 1, "layers", 0, "outputs"], 10**12, "head 1: a size of more than"),
        (["heads", 1, "layers", 0, "outputs"], 21, "21 outputs; expected 20"),
        (["heads", 1, "layers", 0, "tied"], False, "'heads.masked_tokens.weight' of the head is"),
        (["heads", 0, "layers", 0, "name"], "embedding", "must begin with heads."),
        (["heads", 0, "layers", 0, "name"], "heads.x", "'heads.x.weight' of the head is missing"),
        (["heads", 0, "layers", 0, "color"], 1, "head 0: unknown field 'color'"),
        (["heads", 0, "dropout"], 1, "head 0: dropout=1"),
        (["heads", 0, "pooling"], None, "head 0: pooling=None does not go with task='classes'"),
        (["heads", 1], TOPICS.to_dict(), "head 1: a second head for classes"),
        (["anything"], 1, "anything=1"),
    ],
)
def test_a_modified_folder_is_refused(
    path: list[str | int], value: Any, message: str, written: Path
) -> None:
    edit(written, path, value)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        read_bothways(written)


def test_a_folder_without_head_descriptions_still_loads(written: Path) -> None:
    edit(written, ["format_version"], 1)
    settings = json.loads((written / "bothways.json").read_text())
    del settings["heads"], settings["encoder"]["kind"]
    (written / "bothways.json").write_text(json.dumps(settings))
    back = read_bothways(written)
    assert back.spec.heads == ()
    assert sorted(back.head_weights)[0] == "heads.classifier.bias"
    assert "no head of the folder has the weight 'heads.classifier.bias'" in back.unread_heads


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("heads.classifier.weight", np.full((2, 8), np.nan)),
        ("modules.0.weight", np.full((4, 16), np.inf)),
        ("embedding.token.weight", np.full((20, 8), np.nan)),
    ],
)
def test_non_finite_weights_are_refused(name: str, array: np.ndarray, written: Path) -> None:
    arrays = read_safetensors(written / "model.safetensors")
    write_safetensors(written / "model.safetensors", arrays | {name: array})
    with pytest.raises(CheckpointError, match=rf"'{re.escape(name)}' holds NaN or infinity"):
        read_bothways(written)


def test_missing_weights_are_named(written: Path) -> None:
    (written / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such file"):
        read_bothways(written)
