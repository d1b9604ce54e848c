"""Fresh models, and models to go on from."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

import bothways
from bothways import checkpoints
from bothways.checkpoints import Normalize
from bothways.errors import CheckpointError, ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.weights import layout
from bothways.sequences import Alphabet, SymbolReader
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import TrainingTask
from bothways.training.setup.base_model import (
    BaseModel,
    create_base_model,
    has_reader,
    load_base_model,
    write_reader,
)

TINY = NewModelOptions(size="tiny", vocab_size=60)


def texts() -> Iterable[str]:
    return ["A river bank", "a bank loan", "the River rose"] * 2


def fresh(
    out: Path,
    kind: Any = "text",
    model: NewModelOptions = TINY,
    task: TrainingTask = "mlm",
    **options: Any,
) -> BaseModel:
    sequences = options.pop("sequences", texts)
    write_reader(out, kind, model, task, sequences)
    return create_base_model(out, kind, model, task, longest=options.pop("longest", 10), seed=0)


def test_a_fresh_model_of_text_fits_its_vocabulary(tmp_path: Path) -> None:
    assert not has_reader(tmp_path, "text")
    start = fresh(tmp_path)
    assert has_reader(tmp_path, "text")
    assert start.from_scratch
    assert start.folder.config.max_length == start.folder.max_length == 512
    assert start.folder.weights.keys() == layout(start.folder.transformer).keys()
    (tokenized,) = start.reader.read(["a river"])
    assert tokenized.tokens == ["[CLS]", "a", "river", "[SEP]"]
    assert max(tokenized.values) < start.folder.config.vocab_size


def test_weights_follow_from_the_seed(tmp_path: Path) -> None:
    fresh(tmp_path)
    one, same, other = (
        create_base_model(tmp_path, "text", TINY, "mlm", longest=1, seed=seed).folder.weights
        for seed in (1, 1, 2)
    )
    name = "embedding.token.weight"
    assert np.array_equal(one[name], same[name])
    assert not np.array_equal(one[name], other[name])


def test_transformers_reads_the_tokenizer_as_we_do(tmp_path: Path) -> None:
    start = fresh(tmp_path)
    checkpoints.export(start.folder, tmp_path / "out", "transformers")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in ("A river ROSE", "the bänk [MASK]"):
        assert theirs(text)["input_ids"] == start.reader.read([text])[0].values.tolist()
    assert theirs.mask_token_id == theirs.convert_tokens_to_ids("[MASK]") == 4
    assert theirs.pad_token_id == 0


@pytest.mark.parametrize(
    ("task", "lowercase", "is_lower"),
    [("mlm", None, True), ("tag", None, False), ("tag", True, True), ("mlm", False, False)],
)
def test_case_is_kept_to_tag_unless_the_user_says_otherwise(
    tmp_path: Path, task: TrainingTask, lowercase: bool | None, is_lower: bool
) -> None:
    start = fresh(tmp_path, model=dataclasses.replace(TINY, lowercase=lowercase), task=task)
    upper, lower = start.reader.read(["The River", "the river"])
    assert (upper.values.tolist() == lower.values.tolist()) == is_lower


def test_symbols_and_series_have_room_for_the_longest(tmp_path: Path) -> None:
    def symbols() -> Iterable[str]:
        return ["CCO"]

    lengths = {
        longest: fresh(tmp_path, "symbols", sequences=symbols, longest=longest).folder.max_length
        for longest in (10, 700, 10**6)
    }
    assert lengths == {10: 512, 700: 702, 10**6: 2048}
    short = dataclasses.replace(TINY, max_length=64)
    assert fresh(tmp_path, "symbols", short, sequences=symbols).folder.max_length == 64
    series = fresh(tmp_path, "series", sequences=lambda: [np.ones((5, 3))], longest=5)
    assert series.folder.config.num_channels == 3


def test_symbols_that_occur_are_the_alphabet_unless_one_is_named(tmp_path: Path) -> None:
    start = fresh(tmp_path, "symbols", sequences=lambda: [["log in", "buy"], ["buy"]])
    assert isinstance(start.reader, SymbolReader)
    assert start.reader.alphabet.symbols[4:] == ("buy", "log in")
    smiles = dataclasses.replace(TINY, alphabet="smiles")
    start = fresh(tmp_path, "symbols", smiles, sequences=lambda: ["C[Na+]"])
    assert isinstance(start.reader, SymbolReader)
    assert {"Cl", "[Na+]"} <= set(start.reader.alphabet.symbols)


def test_only_contrast_makes_vectors_of_unit_length(tmp_path: Path) -> None:
    assert fresh(tmp_path, task="contrast").folder.modules == (Normalize(),)
    assert fresh(tmp_path, task="classify").folder.modules == ()


def test_a_model_goes_on_with_all_it_had(minilm_folder: Path) -> None:
    start = load_base_model(minilm_folder, fields={})
    folder = checkpoints.read_folder(minilm_folder)
    assert not start.from_scratch
    assert start.folder.pooling == folder.pooling
    assert start.folder.modules == folder.modules
    assert start.folder.max_length == folder.max_length == 256
    for name, weight in folder.weights.items():
        assert np.array_equal(start.folder.weights[name], weight)
    assert len(start.reader.read(["a river bank"])[0]) == 5


def test_what_changes_no_encoding_may_be_changed(minilm_folder: Path) -> None:
    start = load_base_model(minilm_folder, fields={"dropout": 0.3}, max_length=32)
    assert start.folder.config.dropout == 0.3
    assert start.folder.max_length == 32
    with pytest.raises(
        ConfigError, match=r"num_layers: is given by the weights of .*; only dropout"
    ):
        load_base_model(minilm_folder, fields={"num_layers": 2})
    with pytest.raises(ConfigError, match=r"max_length=1000: .* takes 512 positions"):
        load_base_model(minilm_folder, fields={}, max_length=1000)


def test_a_model_that_reads_nothing_is_refused(tmp_path: Path) -> None:
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=9)
    reader = SymbolReader(Alphabet(symbols=("a",)))
    bothways.create(tmp_path / "model", config, reader)
    (tmp_path / "model" / "alphabet.json").unlink()
    with pytest.raises(CheckpointError, match="has no tokenizer that bothways knows"):
        load_base_model(tmp_path / "model", fields={})
