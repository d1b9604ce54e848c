"""Models of commands, and the description of a model in the files that it made."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

import bothways
from bothways import Encoder, EncoderConfig, Series
from bothways.checkpoints import read_folder
from bothways.cli import models
from bothways.cli.models import EncodeSettings
from bothways.errors import InputError, SourceError
from bothways.inference.session import Session
from bothways.native import available_isas
from bothways.sequences import SequenceReader, SeriesReader
from bothways.sequences.text import TextReader


def create(folder: Path, config: EncoderConfig, reader: SequenceReader) -> Path:
    return bothways.create(folder, config, reader, normalize=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few words."""
    words = {word: i for i, word in enumerate(["[UNK]", "a", "river", "bank", "loan"])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=len(words))
    reader = TextReader(tokenizer, vocab_size=len(words))
    return create(tmp_path_factory.mktemp("models") / "words", config, reader)


@pytest.fixture(scope="module")
def encoder(model: Path) -> Encoder:
    return bothways.load(model)


def test_an_origin_states_the_settings_of_the_model(encoder: Encoder, model: Path) -> None:
    origin = models.origin_of(encoder, str(model), EncodeSettings())
    assert origin.model == str(model)
    assert origin.fingerprint == encoder.fingerprint
    assert (origin.pooling, origin.normalization, origin.dimensions) == ("mean", "l2", 8)
    assert (origin.precision, origin.prompt) == ("fp32", "")
    assert origin.version == bothways.__version__


@pytest.mark.parametrize("isa", available_isas())
def test_an_origin_names_the_scheme_of_int8(
    isa: str, model: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models.origin_of(encoder, "words", EncodeSettings()).int8_scheme == ""
    monkeypatch.setenv("BOTHWAYS_ISA", isa)
    int8 = bothways.load(model, backend="native", precision="int8")
    scheme = "sums16" if isa in ("avx2", "avx512") else "sums32"
    assert models.origin_of(int8, "words", EncodeSettings()).int8_scheme == scheme


def test_an_origin_states_the_settings_of_the_user(encoder: Encoder) -> None:
    settings = EncodeSettings("max", normalize=False, dimensions=3, prompt="a bank ")
    origin = models.origin_of(encoder, "minilm", settings)
    assert origin.model == "minilm"
    assert (origin.pooling, origin.normalization, origin.dimensions) == ("max", "none", 3)
    assert origin.prompt == "a bank "


def test_an_origin_holds_the_text_of_a_prompt_and_not_its_name(encoder: Encoder) -> None:
    model = read_folder(encoder.path).with_spec(
        prompts={"query": "a river"}, default_prompt="query"
    )
    prompted = Encoder(Session(model, encoder.reader, encoder.backend))
    assert models.origin_of(prompted, "minilm", EncodeSettings()).prompt == "a river"
    assert models.origin_of(prompted, "minilm", EncodeSettings(prompt="")).prompt == ""


def test_unsupported_settings_are_refused_before_rows_are_read(
    encoder: Encoder,
) -> None:
    with pytest.raises(InputError, match="dimensions=9"):
        models.origin_of(encoder, "minilm", EncodeSettings(dimensions=9))


def test_a_folder_is_stored_with_its_absolute_path(
    encoder: Encoder, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(model.parent)
    name = models.origin_of(encoder, "words", EncodeSettings()).model
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(
        models.load(name, quiet=True).encode("a river"), encoder.encode("a river")
    )


def test_an_alias_is_stored_as_it_is_even_if_a_folder_has_its_name(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "minilm").mkdir()
    monkeypatch.chdir(tmp_path)
    assert models.origin_of(encoder, "minilm", EncodeSettings()).model == "minilm"


@pytest.mark.parametrize(
    "source", ["pypi:some-package==1.0/model", "hf:some/model", "some/model", "/no/such/folder"]
)
def test_a_model_that_a_file_names_is_not_fetched(
    source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOTHWAYS_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")

    def connect(*_: object) -> None:
        pytest.fail("a file of vectors made its reader connect")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("subprocess.Popen", connect)
    with pytest.raises(SourceError, match=r"names the model .* bothways pull"):
        models.fetch(source, quiet=True, trusted=False)


def test_the_input_kind_is_known_without_a_reader(encoder: Encoder, tmp_path: Path) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=8, d_ff=8, input="vectors", num_channels=2
    )
    folder = create(tmp_path / "series", config, SeriesReader(Series.as_is(2)))
    assert models.kind_of(bothways.load(folder)) == "series"
    assert models.kind_of(encoder) == "text"
    session = Session(read_folder(encoder.path), None, encoder.backend)
    assert models.kind_of(Encoder(session)) == "text"
