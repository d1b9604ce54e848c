"""The reader of a model folder: what turns sequences into ids or values."""

from pathlib import Path
from typing import TYPE_CHECKING

from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.reader_files import READER_FILES
from bothways.errors import CheckpointError
from bothways.io.json_files import brief, has_file
from bothways.model.config import EncoderShape
from bothways.model.pair_template import PairTemplate
from bothways.sequences import Alphabet, SequenceReader, Series, SeriesReader, SymbolReader
from bothways.sequences.alphabet import ALPHABET_FILE
from bothways.sequences.series import SERIES_FILE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["expected_texts", "missing_tokenizer", "open_folder_reader", "open_reader"]


def open_reader(model: ModelBundle) -> SequenceReader | None:
    """The reader of a model; None if its folder has no file that says how to make ids.

    Raises:
        CheckpointError: as `open_folder_reader`.
    """
    return open_folder_reader(
        model.reader_path,
        model.config,
        lowercase=model.spec.lowercase,
        family=model.family,
        empty_token=model.spec.empty_token,
        of_transformers=model.spec.terms is not None,
        pair_template=model.spec.pair_template,
    )


def missing_tokenizer(model: ModelBundle) -> str:
    """Which tokenizer the folder of a model without a reader names, for a message; "" for none."""
    from bothways.checkpoints.tokenizers.fast_bpe import rewrites_texts
    from bothways.checkpoints.tokenizers.settings import TOKENIZER_CLASSES, TokenizerSettings

    settings = TokenizerSettings.read(model.reader_path, model.family)
    name = settings.class_name
    if name is None:
        return ""
    rewrites = name in TOKENIZER_CLASSES and rewrites_texts(settings)
    more = " with normalization=true, which rewrites texts" if rewrites else ""
    return f" (its tokenizer_class is {brief(name)}{more})"


def expected_texts(model: ModelBundle) -> str:
    """What texts must be like, for a model that was trained on prepared ones; "" for others."""
    from bothways.checkpoints.tokenizers.settings import TokenizerSettings

    tokenizer_class = TokenizerSettings.read(model.reader_path, model.family).tokenizer_class
    return "" if tokenizer_class is None else tokenizer_class.expects


def open_folder_reader(
    folder: Path,
    config: EncoderShape,
    *,
    lowercase: bool = False,
    family: str | None = None,
    empty_token: int | None = None,
    of_transformers: bool = False,
    pair_template: PairTemplate | None = None,
) -> SequenceReader | None:
    """The reader of a folder, for an encoder with this config; None if no file defines one.

    Files are looked for in this order: `alphabet.json`, `series.json`, `tokenizer.json`,
    `vocab.txt` of WordPiece, of a symbol list or, with `bpe.codes`, of fastBPE, `vocab.json` with
    `merges.txt` of byte-pair encoding. A vocabulary is used only if the folder names its algorithm;
    bothways never guesses.

    lowercase: lowercase texts before tokenizing them.
    family: the model's, for a folder whose config.json does not name it.
    empty_token: that of the model's spec; if it has one, no special tokens are put around texts,
        and `tokenizer.json` alone is read unless the tokenizer is one `of_transformers`.
    pair_template: that of the model's spec.

    Raises:
        CheckpointError: if a file is malformed, does not fit the config, or needs converting first.
    """
    for name in READER_FILES:
        has_file(folder / name)  # which raises for a link to nothing
    if config.input == "vectors":
        return _open_series(folder, config)
    if has_file(folder / SERIES_FILE):
        raise CheckpointError(f"{folder / SERIES_FILE}: series, but the encoder's input is tokens")
    if has_file(folder / ALPHABET_FILE):
        return _symbol_reader(Alphabet.open(folder / ALPHABET_FILE), folder, config, lowercase)
    # Imported here: models of symbols and series work without the tokenizers library.
    from bothways.checkpoints.tokenizers.fast_bpe import RenumberedTokenizer
    from bothways.checkpoints.tokenizers.files import open_bare_tokenizer, open_tokenizer
    from bothways.sequences.pair_reader import PairReader
    from bothways.sequences.text import TextReader

    opened: Tokenizer | RenumberedTokenizer | Alphabet | None
    if empty_token is not None and not of_transformers:
        opened = open_bare_tokenizer(folder, lowercase=lowercase)
    else:
        opened = open_tokenizer(
            folder, lowercase=lowercase, family=family, special_tokens=empty_token is None
        )
    if opened is None:
        return None
    if isinstance(opened, Alphabet):
        return _symbol_reader(opened, folder, config, lowercase)
    renumbered = opened if isinstance(opened, RenumberedTokenizer) else None
    if renumbered is not None and pair_template is not None:
        raise CheckpointError(f"{folder}: a tokenizer of fastBPE reads no pairs by a template")
    tokenizer = opened.tokenizer if isinstance(opened, RenumberedTokenizer) else opened
    try:
        if pair_template is not None:
            return PairReader(
                tokenizer,
                pair_template,
                vocab_size=config.vocab_size,
                num_segments=config.num_segments,
            )
        return TextReader(
            tokenizer,
            vocab_size=config.vocab_size if empty_token is None else empty_token,
            num_segments=config.num_segments,
            empty_token=empty_token,
            renumbering=None if renumbered is None else renumbered.renumbering,
        )
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None


def _open_series(folder: Path, config: EncoderShape) -> SeriesReader:
    """A reader of series; without `series.json` it passes values through unchanged."""
    if has_file(folder / ALPHABET_FILE):
        raise CheckpointError(
            f"{folder / ALPHABET_FILE}: symbols, but the encoder's input is vectors"
        )
    path = folder / SERIES_FILE
    series = Series.open(path) if has_file(path) else Series.as_is(config.num_channels)
    if series.width != config.num_channels:
        raise CheckpointError(
            f"{path}: {series.width} channels, and the encoder has {config.num_channels}"
        )
    return SeriesReader(series)


def _symbol_reader(
    alphabet: Alphabet, folder: Path, config: EncoderShape, lowercase: bool
) -> SymbolReader:
    if len(alphabet) > config.vocab_size:
        raise CheckpointError(
            f"{folder}: the alphabet has {len(alphabet)} symbols, and the encoder's vocab_size is "
            f"{config.vocab_size}: they do not belong together"
        )
    if lowercase:
        raise CheckpointError(f"{folder}: do_lower_case is for texts, and this model reads symbols")
    return SymbolReader(alphabet)
