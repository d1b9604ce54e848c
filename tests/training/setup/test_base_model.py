"""Fresh models, and models to go on from."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways import checkpoints
from bothways.errors import CheckpointError, ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.layout import layout
from bothways.model.pooling import Normalize
from bothways.sequences import Alphabet, SymbolReader
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import TrainingTask
from bothways.training.setup.base_model import (
    BaseModel,
    check_positions,
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


def test_a_new_text_model_has_the_size_of_its_vocabulary(tmp_path: Path) -> None:
    assert not has_reader(tmp_path, "text")
    start = fresh(tmp_path)
    assert has_reader(tmp_path, "text")
    assert start.from_scratch
    assert start.folder.config.max_length == start.folder.spec.max_length == 512
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
    theirs = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path / "out")
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
        longest: fresh(
            tmp_path, "symbols", sequences=symbols, longest=longest
        ).folder.spec.max_length
        for longest in (10, 700, 10**6)
    }
    assert lengths == {10: 512, 700: 702, 10**6: 2048}
    short = dataclasses.replace(TINY, max_length=64)
    assert fresh(tmp_path, "symbols", short, sequences=symbols).folder.spec.max_length == 64
    series = fresh(tmp_path, "series", sequences=lambda: [np.ones((5, 3))], longest=5)
    assert series.folder.config.num_channels == 3


def test_the_default_alphabet_has_the_symbols_of_the_data(tmp_path: Path) -> None:
    start = fresh(tmp_path, "symbols", sequences=lambda: [["log in", "buy"], ["buy"]])
    assert isinstance(start.reader, SymbolReader)
    assert start.reader.alphabet.symbols[4:] == ("buy", "log in")
    smiles = dataclasses.replace(TINY, alphabet="smiles")
    start = fresh(tmp_path, "symbols", smiles, sequences=lambda: ["C[Na+]"])
    assert isinstance(start.reader, SymbolReader)
    assert {"Cl", "[Na+]"} <= set(start.reader.alphabet.symbols)


def test_only_contrast_makes_vectors_of_unit_length(tmp_path: Path) -> None:
    assert fresh(tmp_path, task="contrast").folder.spec.modules == (Normalize(),)
    assert fresh(tmp_path, task="classify").folder.spec.modules == ()


def test_a_fine_tuned_model_keeps_its_reader_pooling_and_prompts(minilm_folder: Path) -> None:
    start = load_base_model(minilm_folder, fields={})
    folder = checkpoints.read_folder(minilm_folder)
    assert not start.from_scratch
    assert start.folder.spec.pooling == folder.spec.pooling
    assert start.folder.spec.modules == folder.spec.modules
    assert start.folder.spec.max_length == folder.spec.max_length == 256
    for name, weight in folder.weights.items():
        assert np.array_equal(start.folder.weights[name], weight)
    assert len(start.reader.read(["a river bank"])[0]) == 5


def test_fields_that_affect_no_encoding_may_change(minilm_folder: Path) -> None:
    start = load_base_model(minilm_folder, fields={"dropout": 0.3}, max_length=32)
    assert start.folder.config.dropout == 0.3
    assert start.folder.spec.max_length == 32
    with pytest.raises(
        ConfigError, match=r"num_layers: is fixed by the weights of .*; only dropout"
    ):
        load_base_model(minilm_folder, fields={"num_layers": 2})
    with pytest.raises(ConfigError, match=r"max_length=1000: .* accepts at most 512 positions"):
        load_base_model(minilm_folder, fields={}, max_length=1000)


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=9)
    reader = SymbolReader(Alphabet(symbols=("a",)))
    bothways.create(tmp_path / "model", config, reader)
    (tmp_path / "model" / "alphabet.json").unlink()
    with pytest.raises(CheckpointError, match="no tokenizer that bothways supports"):
        load_base_model(tmp_path / "model", fields={})


def test_a_model_with_a_stem_takes_vectors_of_patches(tmp_path: Path) -> None:
    walk = np.random.default_rng(0).standard_normal((3000, 2)).cumsum(axis=0)
    with_stem = dataclasses.replace(TINY, series_stem=True)
    start = fresh(
        tmp_path, "series", with_stem, "classify", sequences=lambda: [walk, walk * 2], longest=3000
    )
    config = start.folder.config
    assert config.input == "vectors"
    assert config.num_channels == 3 * 94 * 2 + 1 + 256  # patches of 94 positions
    assert config.max_length == 512
    (tokenized,) = start.reader.read([walk])
    assert tokenized.values.shape == (32, config.num_channels)
    check_positions("classify", start.reader)
    with pytest.raises(ConfigError, match="tag needs a vector for each position"):
        check_positions("tag", start.reader)
