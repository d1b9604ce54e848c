"""The files of a tokenizer still define it in a folder without the config.json they came with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bothways.checkpoints import ModelBundle, export, open_reader, read_folder
from bothways.checkpoints.export import Format
from bothways.checkpoints.reader_files import copy_reader_files
from bothways.checkpoints.tokenizers.files import open_tokenizer
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.spec import ModelSpec

TEXTS = ["the river bank", "THE Loans", "unable [MASK] <mask>", "é 中"]


@pytest.mark.parametrize("to", ["bothways", "transformers", "sentence-transformers"])
@pytest.mark.parametrize("kind", ["bert", "mpnet", "roberta"])
def test_a_vocabulary_whose_class_only_the_model_type_names_is_read_in_an_export(
    kind: str,
    to: Format,
    request: pytest.FixtureRequest,
    config_of: Callable[..., EncoderConfig],
    tmp_path: Path,
) -> None:
    folder = request.getfixturevalue(f"{kind}_folder")
    config = config_of(500)
    spec = ModelSpec(config=config, max_length=config.max_length)
    model = ModelBundle.of(spec, initialize(config), path=folder)
    before = open_reader(model)
    export(model, tmp_path / "out", to)
    after = open_reader(read_folder(tmp_path / "out"))
    assert before is not None
    assert after is not None
    for ours, again in zip(before.read(TEXTS), after.read(TEXTS), strict=True):
        assert again.values.tolist() == ours.values.tolist()


def test_residues_whose_class_only_the_model_type_names_are_read_in_a_copy(
    esm_folder: Path, tmp_path: Path
) -> None:
    bare, out = tmp_path / "bare", tmp_path / "out"
    shutil.copytree(esm_folder, bare)
    (bare / "tokenizer_config.json").unlink()
    out.mkdir()
    copy_reader_files(bare, out)
    assert open_tokenizer(out) == open_tokenizer(esm_folder)


def test_settings_that_override_a_tokenizer_json_do_so_in_a_copy(
    bert_folder: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    shutil.copytree(bert_folder, whole)
    tokenizer = open_tokenizer(whole)
    (whole / "tokenizer.json").write_text(tokenizer.to_str())  # type: ignore[union-attr]
    (whole / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    out.mkdir()
    copy_reader_files(whole, out)
    cased, copied = open_tokenizer(whole), open_tokenizer(out)
    assert cased.encode("The river").ids == copied.encode("The river").ids  # type: ignore[union-attr]
    assert copied.encode("The").ids != tokenizer.encode("The").ids  # type: ignore[union-attr]


def test_files_that_name_their_class_are_copied_as_they_are(
    esm_folder: Path, tmp_path: Path
) -> None:
    copy_reader_files(esm_folder, tmp_path)
    for name in ("vocab.txt", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (esm_folder / name).read_bytes()
    assert not (tmp_path / "config.json").exists()


def test_the_class_that_config_json_names_is_that_of_a_copy(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    out.mkdir()
    (whole / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    named = {"model_type": "bert", "tokenizer_class": "BertJapaneseTokenizer"}
    (whole / "config.json").write_text(json.dumps(named))
    copy_reader_files(whole, out)
    assert open_tokenizer(out) is None


def test_a_sentencepiece_model_is_read_in_a_copy(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    out.mkdir()
    shutil.copy(Path(__file__).parent / "tokenizers/data/t5.model", whole / "spiece.model")
    (whole / "config.json").write_text('{"model_type": "t5"}')
    copy_reader_files(whole, out)
    before, after = open_tokenizer(whole), open_tokenizer(out)
    assert before.to_str() == after.to_str()  # type: ignore[union-attr]
