"""Folders of encoders that are no Transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.checkpoints.export import Format
from bothways.checkpoints.weight_files import write_safetensors
from bothways.errors import CheckpointError, InputError, UnsupportedModel
from bothways.model.baselines import BASELINES, BaselineConfig, BaselineName
from bothways.sequences import SymbolReader
from bothways.sequences.alphabet import Alphabet

FIELDS: dict[str, Any] = {"num_layers": 2, "width": 4, "embedding_width": 6, "max_length": 9}


def make(out: Path, kind: BaselineName = "lstm") -> ModelBundle:
    alphabet = Alphabet.from_sequences(["abcd"])
    config = BaselineConfig(kind=kind, vocab_size=len(alphabet), **FIELDS)
    return read_folder(bothways.create(out, config, SymbolReader(alphabet), seed=1))


@pytest.mark.parametrize("kind", BASELINES)
def test_a_folder_is_read_back_as_it_was_written(kind: BaselineName, tmp_path: Path) -> None:
    folder = make(tmp_path / "made", kind)
    export(folder, tmp_path / "again", "bothways")
    again = read_folder(tmp_path / "again")
    assert again.config == folder.config
    assert all(np.array_equal(again.weights[name], folder.weights[name]) for name in folder.weights)
    for name in ("bothways.json", "model.safetensors", "alphabet.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder.path / name).read_bytes()


@pytest.mark.parametrize("kind", BASELINES)
def test_the_settings_name_the_kind_of_encoder(kind: BaselineName, tmp_path: Path) -> None:
    make(tmp_path / "made", kind)
    settings = json.loads((tmp_path / "made" / "bothways.json").read_text())
    assert (settings["format_version"], settings["encoder"]["kind"]) == (4, kind)


@pytest.mark.parametrize("to", ["transformers", "sentence-transformers", "onnx"])
def test_export_to_other_libraries_is_refused(to: Format, tmp_path: Path) -> None:
    folder = make(tmp_path / "made")
    with pytest.raises(UnsupportedModel, match=r"take Transformers alone, .* of the kind 'lstm'"):
        export(folder, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_only_torch_runs_a_baseline(backend: Any, tmp_path: Path) -> None:
    make(tmp_path / "made")
    with pytest.raises(UnsupportedModel, match=f"the {backend} backend .* backend='torch'"):
        bothways.load(tmp_path / "made", backend=backend)
    assert bothways.load(tmp_path / "made").backend.name == "torch"


def test_a_baseline_encoder_does_everything_except_attention(tmp_path: Path) -> None:
    make(tmp_path / "made")
    encoder = bothways.load(tmp_path / "made")
    assert encoder.encode(["abc", "a" * 7]).shape == (2, 8)
    assert encoder.contextualize("abc", layers=(1, 2)).vectors.shape == (2, 5, 8)
    assert encoder.contextualize("abc", layers=(0,)).vectors.shape == (5, 6)
    assert encoder.encode("abcd" * 6, on_overflow="window").shape == (8,)
    with pytest.raises(InputError, match="layer 0 has another width"):
        encoder.contextualize("abc", layers=(0, 1))
    with pytest.raises(UnsupportedModel, match=r"attention maps .* contextualize"):
        encoder.attention("abc")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "transformer"}, "encoder: unknown field 'embedding_width'; EncoderConfig has"),
        ({"kind": None}, "encoder: kind=None: expected one of transformer, rnn"),
        ({"width": 10**12}, "encoder: a size of more than"),
        ({"num_layers": 10**9}, "encoder: 1,000,000,000 layers"),
        ({"width": "4"}, "encoder: width='4': expected int"),
        ({"num_heads": 2}, "encoder: unknown field 'num_heads'"),
        ({"width": 5}, "has shape (16, 6); the config says (20, 6)"),
        ({"kind": "lstm-forward"}, "is unexpected (8 are)"),
        ({"kind": "gru"}, "has shape (16, 6); the config says (12, 6)"),
        ({"num_layers": 3}, "'layers.2.rightward.weight_ih_l0' is missing"),
    ],
)
def test_a_modified_folder_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    file = make(tmp_path / "made").path / "bothways.json"
    settings = json.loads(file.read_text())
    settings["encoder"] |= changes
    file.write_text(json.dumps(settings))
    with pytest.raises(CheckpointError) as error:
        read_folder(tmp_path / "made")
    assert message in str(error.value)


def test_an_earlier_format_with_a_baseline_is_refused(tmp_path: Path) -> None:
    file = make(tmp_path / "made").path / "bothways.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format_version": 2}))
    with pytest.raises(CheckpointError, match="encoder: unknown field 'embedding_width'"):
        read_folder(tmp_path / "made")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "made")
    broken = {**folder.weights, "layers.1.leftward.bias_hh_l0": np.full(16, np.nan)}
    write_safetensors(folder.path / "model.safetensors", broken)
    with pytest.raises(CheckpointError, match="holds NaN"):
        read_folder(folder.path)
