"""Links to nothing in a model folder, as an interrupted download leaves them."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bothways
from bothways.checkpoints import export
from bothways.checkpoints.folder import fingerprint, read_folder
from bothways.checkpoints.lora import ADAPTER_CONFIG
from bothways.checkpoints.reader_files import READER_FILES
from bothways.checkpoints.readers import open_reader
from bothways.checkpoints.sources import resolve
from bothways.errors import CheckpointError, SourceError

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
SETTINGS = (
    "config.json",
    "modules.json",
    "bothways.json",
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "2_Normalize/config.json",
    ADAPTER_CONFIG,
)


def link_to_nothing(file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    file.symlink_to("../../blobs/0123")


def open_folder(folder: Path) -> None:
    open_reader(read_folder(folder))


@pytest.mark.parametrize("name", [*WEIGHTS, *SETTINGS, *READER_FILES])
def test_a_link_to_nothing_is_named_and_never_taken_for_an_absent_file(
    name: str, tiny_sentences: "Tiny"
) -> None:
    folder = tiny_sentences.path
    if name in WEIGHTS:
        (folder / "model.safetensors").unlink()
    if name.startswith("sentence_roberta"):
        (folder / "sentence_bert_config.json").unlink()
    link_to_nothing(folder / name)
    with pytest.raises(CheckpointError, match=r"a link to \.\./\.\./blobs/0123, which is no file"):
        open_folder(folder)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_regular_file_is_not_taken_for_absent(kind: str, bert_folder: Path) -> None:
    folder = bert_folder.parent / f"bert-{kind}"
    shutil.copytree(bert_folder, folder)
    if kind == "folder":
        (folder / "tokenizer.json").mkdir()
    else:
        os.mkfifo(folder / "tokenizer.json")
    from bothways.checkpoints.tokenizers.files import open_tokenizer

    with pytest.raises(CheckpointError, match=r"tokenizer\.json: not a regular file"):
        open_tokenizer(folder)


def test_a_folder_of_bothways_names_its_broken_links(tiny: "Tiny") -> None:
    out = tiny.path.parent / "ours"
    export(read_folder(tiny.path), out, "bothways")
    link_to_nothing(out / "model.safetensors")
    for read in (read_folder, fingerprint):
        with pytest.raises(CheckpointError, match=r"model\.safetensors: a link to"):
            read(out)


def test_a_link_that_leads_to_a_file_is_followed(tiny: "Tiny") -> None:
    weights = tiny.path / "model.safetensors"
    expected = fingerprint(tiny.path)
    weights.rename(tiny.path.parent / "blob")
    weights.symlink_to("../blob")
    assert fingerprint(tiny.path) == expected
    assert read_folder(tiny.path).config == tiny.config


def test_a_folder_that_is_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to("elsewhere")
    with pytest.raises(CheckpointError, match="a link to elsewhere, which does not exist"):
        read_folder(tmp_path / "model")
    with pytest.raises(SourceError, match="a link to elsewhere, which does not exist"):
        bothways.load(tmp_path / "model")
    with pytest.raises(SourceError, match="a link to elsewhere, which does not exist"):
        resolve(tmp_path / "model")
