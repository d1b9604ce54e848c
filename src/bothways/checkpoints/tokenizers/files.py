"""Opening the tokenizer files of a model folder, as a `tokenizers.Tokenizer` or an alphabet.

`tokenizer.json` is complete. Older folders have a vocabulary instead, whose algorithm follows from
the name of the tokenizer's class: the vocabulary itself does not say whether its entries are word
pieces, residues or atoms.
"""

from pathlib import Path

from tokenizers import Tokenizer, normalizers

from bothways.checkpoints.tokenizers.fast_bpe import (
    CODES,
    RenumberedTokenizer,
    fast_bpe,
    rewrites_texts,
)
from bothways.checkpoints.tokenizers.overrides import apply_settings
from bothways.checkpoints.tokenizers.pieces import sentence_piece
from bothways.checkpoints.tokenizers.settings import TOKENIZER_CLASSES, TokenizerSettings
from bothways.checkpoints.tokenizers.vocabularies import byte_pair, symbol_vocabulary, word_piece
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import has_file, read_text
from bothways.sequences.alphabet import Alphabet

__all__ = ["open_bare_tokenizer", "open_tokenizer", "truncation_of", "write_with_limit"]

_SENTENCEPIECE_FILES = (
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
    "sentencepiece.model",
)


def open_tokenizer(
    folder: Path,
    *,
    lowercase: bool = False,
    family: str | None = None,
    special_tokens: bool = True,
) -> Tokenizer | RenumberedTokenizer | Alphabet | None:
    """The folder's tokenizer of text, neither truncating nor padding; or its alphabet; or None.

    lowercase: lowercase the text before all other steps, as sentence-transformers does with
        `do_lower_case`. Offsets still refer to the original text.
    family: the model's, for a folder whose config.json does not name it.
    special_tokens: whether texts get the special tokens that the tokenizer puts around them.

    Raises:
        CheckpointError: if a file is malformed, or is a sentencepiece model of an unknown class.
        UnsupportedModel: if the tokenizer cuts long sequences at their beginning.
    """
    settings = TokenizerSettings.read(folder, family)
    opened = _open(settings)
    tokenizer = opened.tokenizer if isinstance(opened, RenumberedTokenizer) else opened
    if isinstance(tokenizer, Tokenizer):
        _check_direction(tokenizer, settings)
        _make_plain(tokenizer, lowercase=lowercase)
        if not special_tokens:
            tokenizer.post_processor = None
    return opened


def open_bare_tokenizer(folder: Path, *, lowercase: bool = False) -> Tokenizer:
    """The folder's `tokenizer.json` alone, without the special tokens that it puts around texts.

    Other settings of the tokenizer are not read. It neither truncates nor pads.

    Raises:
        CheckpointError: if the file is missing or malformed.
    """
    tokenizer = _parse(folder / "tokenizer.json")
    tokenizer.post_processor = None
    _make_plain(tokenizer, lowercase=lowercase)
    return tokenizer


def truncation_of(folder: Path) -> int | None:
    """How many tokens the `tokenizer.json` of a folder keeps of a text; None for all.

    Raises:
        CheckpointError: if the file is missing or malformed.
        UnsupportedModel: if it cuts texts at their beginning.
    """
    truncation = _parse(folder / "tokenizer.json").truncation
    if truncation is None:
        return None
    _check_side(str(truncation["direction"]).lower(), folder)
    return int(truncation["max_length"])


def write_with_limit(folder: Path, out: Path, max_length: int | None) -> None:
    """Copy the `tokenizer.json` of a folder, with a limit of tokens of a text; None for no limit.

    Raises:
        CheckpointError: if the file is missing or malformed.
    """
    tokenizer = _parse(folder / "tokenizer.json")
    tokenizer.no_truncation()
    if max_length is not None:
        tokenizer.enable_truncation(max_length)
    (out / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")


def _make_plain(tokenizer: Tokenizer, *, lowercase: bool) -> None:
    """Turn off truncation and padding, and lowercase texts first if asked to."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if lowercase:
        stored = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *stored])


def _open(settings: TokenizerSettings) -> Tokenizer | RenumberedTokenizer | Alphabet | None:
    folder, tokenizer_class = settings.folder, settings.tokenizer_class
    if has_file(folder / "tokenizer.json"):
        return _from_tokenizer_json(settings)
    model = next((name for name in _SENTENCEPIECE_FILES if has_file(folder / name)), None)
    if tokenizer_class is not None:
        match tokenizer_class.algorithm:
            case "word_piece" if has_file(folder / "vocab.txt"):
                return word_piece(settings, tokenizer_class)
            case "symbols" if has_file(folder / "vocab.txt"):
                return symbol_vocabulary(settings, tokenizer_class)
            case "byte_pair" if has_file(folder / "vocab.json"):
                return byte_pair(settings, tokenizer_class)
            case "fast_bpe" if has_file(folder / CODES) and not rewrites_texts(settings):
                return fast_bpe(settings, tokenizer_class)
            case "sentence_piece" if model is not None:
                return sentence_piece(settings, tokenizer_class, folder / model)
            case _:
                pass
    if model is not None:
        classes = [c.name for c in TOKENIZER_CLASSES.values() if c.algorithm == "sentence_piece"]
        raise CheckpointError(
            f"{folder}: {model} is a sentencepiece model of the class {settings.class_name}, and "
            f"there is no tokenizer.json. bothways knows the ids of {', '.join(classes)}; for "
            "others, make the file with transformers: "
            "AutoTokenizer.from_pretrained(f).save_pretrained(f)"
        )
    return None


def _from_tokenizer_json(settings: TokenizerSettings) -> Tokenizer:
    tokenizer = _parse(settings.folder / "tokenizer.json")
    if settings.tokenizer_class is not None:
        apply_settings(tokenizer, settings, settings.tokenizer_class)
    return tokenizer


def _parse(path: Path) -> Tokenizer:
    text = read_text(path)
    try:
        return Tokenizer.from_str(text)
    except BaseException as error:
        # The library raises bare Exception, and from Rust PanicException, which is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"{path}: not a tokenizer: {error}") from None


def _check_direction(tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    stored = str((tokenizer.truncation or {}).get("direction", "right")).lower()
    _check_side(settings.config.get("truncation_side", stored), settings.folder)


def _check_side(side: object, folder: Path) -> None:
    if side != "right":
        raise UnsupportedModel(
            f"{folder}: its tokenizer cuts long sequences on the {side!r:.20} side, and "
            "bothways cuts them on the right"
        )
