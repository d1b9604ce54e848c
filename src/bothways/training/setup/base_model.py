"""Where a run starts: a fresh model made for its data, or one to go on from."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, assert_never

from tokenizers import Tokenizer

from bothways.checkpoints import ModelFolder, Normalize, read_folder
from bothways.errors import CheckpointError, ConfigError
from bothways.io.atomic import atomic_file
from bothways.io.json_files import write_json
from bothways.model.baselines import AnyConfig, matched_config
from bothways.model.baselines.any_encoder import initialize
from bothways.model.inputs import InputKind
from bothways.sequences import Alphabet, SequenceReader, Series, SeriesReader, SymbolReader
from bothways.sequences.alphabet import ALPHABET_FILE
from bothways.sequences.opening import open_reader
from bothways.sequences.series import SERIES_FILE
from bothways.sequences.text import TOKENIZER_FILE, TextReader
from bothways.sequences.tokenizer_files import open_tokenizer
from bothways.training.data.columns import Task
from bothways.training.plan import FreshModel
from bothways.training.setup.sizes import SIZES, new_config
from bothways.training.setup.vocabulary import SPECIAL_TOKENS, choose_alphabet, train_tokenizer

__all__ = ["Start", "go_on_from", "has_reader", "start_fresh", "write_reader"]

Sequences = Callable[[], Iterable[Any]]
"""The sequences to learn from, as often as they are asked for."""

USUAL_LENGTH = 512
"""Positions of a new encoder, where its data needs no more."""

MOST_LENGTH = 2048
"""Positions of a new encoder of symbols or series, where its data would need more."""

_TRAINING_FIELDS = ("dropout", "attention_dropout")
"""Of a config, those that change no encoding."""


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """What a run starts from.

    folder: the model with its weights; the trained one will be like it but for weights and heads.
    reader: what turns sequences into tokens. fresh: whether the weights are random.
    """

    folder: ModelFolder
    reader: SequenceReader
    fresh: bool


_READER_FILE: Mapping[InputKind, str] = {
    "text": TOKENIZER_FILE,
    "symbols": ALPHABET_FILE,
    "series": SERIES_FILE,
}


def has_reader(out: Path, kind: InputKind) -> bool:
    """Whether `write_reader` has been at work in the folder."""
    return (out / _READER_FILE[kind]).is_file()


def write_reader(
    out: Path, kind: InputKind, fresh: FreshModel, task: Task, sequences: Sequences
) -> None:
    """Make what reads these sequences, and write its files into the folder `out`.

    Raises:
        InputError, ConfigError: if the sequences or what was asked for do not allow it.
    """
    file = out / _READER_FILE[kind]
    match kind:
        case "text":
            size = SIZES[fresh.size].vocab_size if fresh.vocab_size is None else fresh.vocab_size
            # A capital tells a name from a noun, and little of what a text is about.
            lowercase = task != "tag" if fresh.lowercase is None else fresh.lowercase
            tokenizer = train_tokenizer(sequences, fresh.vocabulary, size=size, lowercase=lowercase)
            # Says that tokenizer.json is all there is to it; a model_type would suggest a class.
            about = {"tokenizer_class": "PreTrainedTokenizerFast", **SPECIAL_TOKENS}
            write_json(out / "tokenizer_config.json", about)
            with atomic_file(file) as hidden:
                tokenizer.save(str(hidden))
        case "symbols":
            alphabet = choose_alphabet(fresh.alphabet or "characters", sequences)
            with atomic_file(file) as hidden:
                alphabet.save(hidden)
        case "series":
            series = Series.from_sequences(sequences())
            with atomic_file(file) as hidden:
                series.save(hidden)
        case unknown:
            assert_never(unknown)


def start_fresh(
    out: Path, kind: InputKind, fresh: FreshModel, task: Task, *, longest: int, seed: int
) -> Start:
    """A model with random weights, the same for the same seed, for the reader in the folder `out`.

    longest: of the sequences, in characters, symbols or positions.

    Raises:
        ConfigError: if the encoder that was asked for cannot be.
        CheckpointError: if the reader's file is missing or malformed.
    """
    max_length = fresh.max_length
    if max_length is None:
        needed = USUAL_LENGTH if kind == "text" else longest + 2  # a beginning and an end
        max_length = min(max(needed, USUAL_LENGTH), MOST_LENGTH)

    def config_for(*, vocab_size: int = 0, num_channels: int = 0) -> AnyConfig:
        transformer = new_config(
            fresh.size,
            architecture=fresh.architecture,
            vocab_size=vocab_size,
            num_channels=num_channels,
            max_length=max_length,
            fields=fresh.fields,
        )
        if fresh.encoder == "transformer":
            return transformer
        return matched_config(fresh.encoder, transformer, num_layers=fresh.encoder_layers)

    reader: SequenceReader
    match kind:
        case "text":
            tokenizer = open_tokenizer(out)
            if not isinstance(tokenizer, Tokenizer):
                raise CheckpointError(f"{out}: no {TOKENIZER_FILE}")
            config = config_for(vocab_size=tokenizer.get_vocab_size())
            reader = TextReader(
                tokenizer, vocab_size=config.vocab_size, num_segments=config.num_segments
            )
        case "symbols":
            reader = SymbolReader(Alphabet.open(out / ALPHABET_FILE))
            config = config_for(vocab_size=len(reader.alphabet))
        case "series":
            reader = SeriesReader(Series.open(out / SERIES_FILE))
            config = config_for(num_channels=reader.series.num_channels)
        case unknown:
            assert_never(unknown)
    folder = ModelFolder(
        path=out,
        reader_path=out,
        family="bothways",
        config=config,
        weights=initialize(config, seed=seed),
        heads={},
        head_settings={},
        modules=(Normalize(),) if task == "contrast" else (),
        max_length=config.max_length,
    )
    return Start(folder, reader, fresh=True)


def go_on_from(path: Path, *, fields: Mapping[str, Any], max_length: int | None = None) -> Start:
    """A model folder to train on, with its reader, pooling, prompts and heads.

    fields: of its config, that change no encoding: dropout and attention_dropout.
    max_length: to cut sequences shorter than the model would.

    Raises:
        CheckpointError: if it cannot be read, or has nothing that reads sequences.
        ConfigError: for fields that would need other weights, or a length beyond the model's.
    """
    folder = read_folder(path)
    reader = open_reader(folder.reader_path, folder.config, lowercase=folder.lowercase)
    if reader is None:
        raise CheckpointError(
            f"{path}: has no tokenizer that bothways knows; put an alphabet.json in the folder"
        )
    changeable = [name for name in _TRAINING_FIELDS if hasattr(folder.config, name)]
    for name in fields:
        if name not in changeable:
            raise ConfigError(
                f"{name}: is given by the weights of {path}; only {' and '.join(changeable)} "
                "may change"
            )
    config = dataclasses.replace(folder.config, **fields)
    if max_length is not None and max_length > config.max_length:
        raise ConfigError(f"max_length={max_length}: {path} takes {config.max_length} positions")
    folder = dataclasses.replace(folder, config=config, max_length=max_length or folder.max_length)
    return Start(folder, reader, fresh=False)
