"""Which reader a folder calls for, and how readers and ids go together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints.readers import open_folder_reader
from bothways.errors import InputError
from bothways.model.config import EncoderConfig
from bothways.sequences import (
    Series,
    SeriesReader,
    read_sequences,
)

Config = Callable[..., EncoderConfig]
FolderOf = Callable[..., Path]


def test_every_model_of_tokens_takes_ids(bert_folder: Path, config_of: Config) -> None:
    config = config_of(num_segments=2)
    reader = open_folder_reader(bert_folder, config)
    for given_to in (reader, None):
        (tokenized,) = read_sequences([[2, 31, 3]], given_to, config)
        assert tokenized.values.tolist() == [2, 31, 3]
    rows = read_sequences(np.array([[2, 3], [3, 2]]), reader, config)
    assert [row.values.tolist() for row in rows] == [[2, 3], [3, 2]]
    with pytest.raises(InputError, match=r"^sequence 1: position 0: id 40000; .*vocab_size=40000"):
        read_sequences([[2], [40_000]], reader, config)


def test_texts_are_read_with_the_reader(bert_folder: Path, config_of: Config) -> None:
    reader = open_folder_reader(bert_folder, config_of())
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
    reader = open_folder_reader(bert_folder, config_of())
    with pytest.raises(InputError, match=named):
        read_sequences(sequences, reader, config_of())


def test_without_a_reader_only_ids_are_taken(config_of: Config) -> None:
    with pytest.raises(
        InputError, match=r"^sequence 1: got str, .*pass ids, or put an alphabet\.js"
    ):
        read_sequences([[1], "CCO"], None, config_of())
