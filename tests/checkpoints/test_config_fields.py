"""Each field that an implementation reads is mapped or refused, and others are kept unread."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scripts.config_fields import LISTS, collect

import bothways
from bothways.checkpoints import export
from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.folder import read_folder
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.cli.inspect import describe
from bothways.errors import CheckpointError, UnreadFieldsWarning
from bothways.model.pooling import Dense, Normalize, PooledLayerNorm

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

FIELDS = json.loads(LISTS.read_text(encoding="utf-8"))

SEEN = {
    "emb_size": 312,
    "uniem_embedding_strategy": "last_mean",
    "name": "Roberta",
    "is_gpu": True,
    "cell": {},
    "rnn": "lstm",
    "split": 10,
}
"""Fields that published models have and nothing reads."""


@pytest.mark.current_versions
def test_the_lists_are_those_of_the_installed_versions() -> None:
    in_transformers = [name for name, family in FAMILIES.items() if family.in_transformers]
    assert collect(in_transformers) == FIELDS, (
        "run python -m scripts.config_fields, and read the change"
    )


IN_LISTS = [name for name, family in FAMILIES.items() if family.in_transformers or family.file_type]


@pytest.mark.parametrize("model_type", IN_LISTS)
def test_a_family_knows_every_field_that_its_implementation_reads(model_type: str) -> None:
    minimal = {"model_type": model_type, "vocab_size": 33, "pad_token_id": 1}
    unknown = []
    for name in FIELDS["families"][FAMILIES[model_type].file_type or model_type]:
        try:
            _, settings = FAMILIES[model_type].read_config(minimal | {name: "?"}, "config.json")
        except CheckpointError:
            continue
        if UnreadFields.of(settings).names():
            unknown.append(name)
    assert not unknown


MODULE_FILES = {
    "Transformer": "sentence_bert_config.json",
    "Pooling": "1_Pooling/config.json",
    "Dense": "2_Dense/config.json",
    "LayerNorm": "3_LayerNorm/config.json",
    "Normalize": "4_Normalize/config.json",
}


@pytest.fixture
def every_module(tiny_sentences: "Tiny", tmp_path: Path) -> Path:
    """A folder with a module of each kind."""
    read = read_folder(tiny_sentences.path)
    modules = (Dense(8, 8, bias=False), PooledLayerNorm(8), Normalize())
    arrays = {
        **read.weights,
        "modules.0.weight": read.weights["blocks.0.attention.query.weight"],
        "modules.1.weight": np.ones(8, np.float32),
        "modules.1.bias": np.ones(8, np.float32),
    }
    out = tmp_path / "every"
    export(read.with_weights(arrays, modules=modules), out, "sentence-transformers")
    (out / "4_Normalize/config.json").write_text("{}")
    return out


@pytest.mark.parametrize("module", MODULE_FILES)
def test_every_field_of_a_module_is_known(module: str, every_module: Path) -> None:
    file = every_module / MODULE_FILES[module]
    before = json.loads(file.read_text())
    for name in FIELDS["modules"][module]:
        file.write_text(json.dumps(before | {name: "?"}))
        try:
            read = read_folder(every_module)
        except CheckpointError:
            continue
        assert not UnreadFields.of(read.source_settings).names(), name


@pytest.mark.parametrize("model_type", FAMILIES)
def test_fields_that_nothing_reads_are_kept(model_type: str) -> None:
    values = {"model_type": model_type, "vocab_size": 33, "pad_token_id": 1}
    family = FAMILIES[model_type]
    plain, _ = family.read_config(values, "config.json")
    config, settings = family.read_config(values | SEEN, "config.json")
    assert config == plain
    assert SEEN.items() <= family.write_config(config, settings).items()


def test_they_are_told_once_listed_and_exported(tiny_sentences: "Tiny", tmp_path: Path) -> None:
    tiny_sentences.edit(SEEN)
    tiny_sentences.edit({"export_model_type": "x", "output_key": "y"}, "1_Pooling/config.json")
    told = r"tiny: fields that no .*1_Pooling/config\.json: 'export_model_type'.* and 1 more"
    with pytest.warns(UnreadFieldsWarning, match=told) as warnings:
        model = read_folder(tiny_sentences.path)
    assert len(warnings) == 1

    listed = describe(model, None, "")["unread_fields"]
    assert listed["config.json"] == list(SEEN)
    assert listed["1_Pooling/config.json"] == ["export_model_type", "output_key"]

    export(model, tmp_path / "own", "bothways")
    again = read_folder(tmp_path / "own")  # which tells nothing
    export(again, tmp_path / "theirs", "sentence-transformers")

    def written(file: str) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((tmp_path / "theirs" / file).read_text())
        return values

    assert SEEN.items() <= written("config.json").items()
    assert written("1_Pooling/config.json")["output_key"] == "y"


def test_the_warning_is_at_the_line_of_the_caller(tiny: "Tiny") -> None:
    tiny.edit({"emb\x1b[2J": 1})
    with pytest.warns(UnreadFieldsWarning, match=re.escape(r"'emb\x1b[2J'")) as warnings:
        bothways.load(tiny.path, backend="reference")
    assert warnings[0].filename == __file__
