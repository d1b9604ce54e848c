"""The model that training starts from: a new one for the data, or one to fine-tune."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, assert_never

from tokenizers import Tokenizer

from bothways.checkpoints import ModelBundle, open_reader, read_folder
from bothways.checkpoints.tokenizers.files import open_tokenizer
from bothways.errors import CheckpointError, ConfigError
from bothways.io.atomic import atomic_file
from bothways.io.json_files import write_json
from bothways.model.baselines import AnyConfig, matched_config
from bothways.model.baselines.any_encoder import initialize
from bothways.model.inputs import InputKind
from bothways.model.pooling import Normalize
from bothways.model.read_options import ReadOptions
from bothways.model.spec import ModelSpec
from bothways.sequences import Alphabet, SequenceReader, Series, SeriesReader, SymbolReader
from bothways.sequences.alphabet import ALPHABET_FILE
from bothways.sequences.series import SERIES_FILE
from bothways.sequences.text import TOKENIZER_FILE, TextReader
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import TrainingTask
from bothways.training.setup.sizes import SIZES, new_config
from bothways.training.setup.vocabulary import SPECIAL_TOKENS, choose_alphabet, train_tokenizer

__all__ = [
    "LARGEST_MAX_LENGTH",
    "BaseModel",
    "create_base_model",
    "has_reader",
    "load_base_model",
    "write_reader",
]

Sequences = Callable[[], Iterable[Any]]
"""Returns an iterator over the training sequences; may be called several times."""

DEFAULT_MAX_LENGTH = 512
"""Default maximum length of a new encoder, in positions."""

LARGEST_MAX_LENGTH = 2048
"""Largest automatic maximum length, for longer symbol sequences and series, in positions."""

_TRAINING_FIELDS = ("dropout", "attention_dropout")
"""Fields of a config that do not affect encoding."""


@dataclasses.dataclass(frozen=True, eq=False)
class BaseModel:
    """The model that training starts from.

    folder: the model with its weights; the trained model differs in weights and heads.
    reader: converts sequences to tokens. from_scratch: whether the weights are random.
    """

    folder: ModelBundle
    reader: SequenceReader
    from_scratch: bool


_READER_FILE: Mapping[InputKind, str] = {
    "text": TOKENIZER_FILE,
    "symbols": ALPHABET_FILE,
    "series": SERIES_FILE,
}


def has_reader(out: Path, kind: InputKind) -> bool:
    """Whether the folder contains the file of a reader."""
    return (out / _READER_FILE[kind]).is_file()


def write_reader(
    out: Path, kind: InputKind, options: NewModelOptions, task: TrainingTask, sequences: Sequences
) -> None:
    """Create the tokenizer, alphabet or scale for these sequences, and write it into `out`.

    Raises:
        InputError, ConfigError: if the sequences or the options do not allow it.
    """
    file = out / _READER_FILE[kind]
    match kind:
        case "text":
            size = (
                options.vocab_size
                if options.vocab_size is not None
                else SIZES[options.size or "small"].vocab_size
            )
            # Case helps to tag names, and matters little for whole texts.
            lowercase = task != "tag" if options.lowercase is None else options.lowercase
            tokenizer = train_tokenizer(
                sequences, options.vocabulary, size=size, lowercase=lowercase
            )
            # Tells transformers to read tokenizer.json alone; a model_type would imply a class.
            config = {"tokenizer_class": "PreTrainedTokenizerFast", **SPECIAL_TOKENS}
            write_json(out / "tokenizer_config.json", config)
            with atomic_file(file) as hidden:
                tokenizer.save(str(hidden))
        case "symbols":
            alphabet = choose_alphabet(options.alphabet or "characters", sequences)
            with atomic_file(file) as hidden:
                alphabet.save(hidden)
        case "series":
            series = Series.from_sequences(sequences())
            with atomic_file(file) as hidden:
                series.save(hidden)
        case unknown:
            assert_never(unknown)


def create_base_model(
    out: Path,
    kind: InputKind,
    options: NewModelOptions,
    task: TrainingTask,
    *,
    longest: int,
    seed: int,
) -> BaseModel:
    """Create a model with random weights from the seed, for the reader in the folder `out`.

    options: with size and architecture, as `sizes.choose_defaults` chooses them; otherwise small
        and modern. longest: the longest sequence, in characters, symbols or positions.

    Raises:
        ConfigError: if the options or fields of the encoder are invalid.
        CheckpointError: if the reader's file is missing or malformed.
    """
    max_length = options.max_length
    if max_length is None:
        needed = DEFAULT_MAX_LENGTH if kind == "text" else longest + 2  # two special tokens
        max_length = min(max(needed, DEFAULT_MAX_LENGTH), LARGEST_MAX_LENGTH)

    def config_for(*, vocab_size: int = 0, num_channels: int = 0) -> AnyConfig:
        transformer = new_config(
            options.size or "small",
            architecture=options.architecture or "modern",
            vocab_size=vocab_size,
            num_channels=num_channels,
            max_length=max_length,
            fields=options.fields,
        )
        if options.encoder == "transformer":
            return transformer
        return matched_config(options.encoder, transformer, num_layers=options.encoder_layers)

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
    spec = ModelSpec(
        config=config,
        modules=(Normalize(),) if task == "contrast" else (),
        max_length=config.max_length,
    )
    folder = ModelBundle.of(spec, initialize(config, seed=seed), path=out)
    return BaseModel(folder, reader, from_scratch=True)


def load_base_model(
    path: Path,
    *,
    fields: Mapping[str, Any],
    max_length: int | None = None,
    options: ReadOptions | None = None,
) -> BaseModel:
    """Load a model folder to fine-tune, with its reader, pooling, prompts and heads.

    fields: config fields to replace, only dropout and attention_dropout.
    max_length: truncates sequences earlier than the model does. options: how to read the folder.

    Raises:
        CheckpointError: if the folder cannot be read, or has no tokenizer.
        ConfigError: for other fields, or a `max_length` above the model's.
        InputError: if the folder has several routes, and none is chosen.
    """
    options = options or ReadOptions()
    folder = read_folder(path, **options.reading)
    folder.require_route(options.route)
    if folder.spec.layer_weights is not None:
        raise ConfigError(
            f"{path}: its vectors are a mean of several layers, which training does not compute"
        )
    reader = open_reader(folder)
    if reader is None:
        raise CheckpointError(
            f"{path}: no tokenizer that bothways supports; add an alphabet.json to the folder"
        )
    changeable = [name for name in _TRAINING_FIELDS if hasattr(folder.config, name)]
    for name in fields:
        if name not in changeable:
            raise ConfigError(
                f"{name}: is fixed by the weights of {path}; only {' and '.join(changeable)} "
                "can change"
            )
    config = dataclasses.replace(folder.config, **fields)
    if max_length is not None and max_length > config.max_length:
        raise ConfigError(
            f"max_length={max_length}: {path} accepts at most {config.max_length} positions"
        )
    folder = folder.with_spec(config=config, max_length=max_length or folder.spec.max_length)
    return BaseModel(folder, reader, from_scratch=False)
