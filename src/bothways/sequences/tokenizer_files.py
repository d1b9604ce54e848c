"""From the tokenizer files of a model folder to a `tokenizers.Tokenizer`, or an alphabet.

`tokenizer.json` is whole in itself. Older folders have a vocabulary instead, and the algorithm it
is for must be known from the name of the tokenizer's class, for a vocabulary alone does not say
whether it is of word pieces, residues or atoms.
"""

from pathlib import Path

from tokenizers import Tokenizer, normalizers

from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import read_text
from bothways.sequences.alphabet import Alphabet
from bothways.sequences.tokenizer_settings import TokenizerSettings
from bothways.sequences.vocabularies import byte_pair, symbol_vocabulary, word_piece

__all__ = ["open_tokenizer"]

_WORD_PIECE_CLASSES = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MPNetTokenizer"}
_BYTE_PAIR_CLASSES = {"RobertaTokenizer"}
_SYMBOL_CLASSES = {"EsmTokenizer"}
_SENTENCEPIECE_FILES = ("sentencepiece.bpe.model", "spiece.model", "tokenizer.model")


def open_tokenizer(folder: Path, *, lowercase: bool = False) -> Tokenizer | Alphabet | None:
    """The folder's tokenizer of text, neither truncating nor padding; or its alphabet; or None.

    lowercase: lower the text before everything else, as sentence-transformers does where
        `sentence_bert_config.json` says so. Spans still refer to the text as it was.

    Raises:
        CheckpointError: if a file is malformed, or there is only a sentencepiece model.
        UnsupportedModel: if long sequences are to be cut at their beginning.
    """
    settings = TokenizerSettings.read(folder)
    tokenizer = _open(settings)
    if isinstance(tokenizer, Tokenizer):
        _check_direction(tokenizer, settings)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if lowercase:
            own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
            tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
    return tokenizer


def _open(settings: TokenizerSettings) -> Tokenizer | Alphabet | None:
    folder, name = settings.folder, settings.class_name
    if (folder / "tokenizer.json").is_file():
        return _from_tokenizer_json(settings)
    if (folder / "vocab.txt").is_file():
        if name in _WORD_PIECE_CLASSES:
            return word_piece(settings)
        if name in _SYMBOL_CLASSES:
            return symbol_vocabulary(settings)
    if (folder / "vocab.json").is_file() and name in _BYTE_PAIR_CLASSES:
        return byte_pair(settings)
    for model in _SENTENCEPIECE_FILES:
        if (folder / model).is_file():
            raise CheckpointError(
                f"{folder}: {model} is a sentencepiece model, and there is no tokenizer.json; make "
                "one with transformers: AutoTokenizer.from_pretrained(f).save_pretrained(f)"
            )
    return None


def _from_tokenizer_json(settings: TokenizerSettings) -> Tokenizer:
    path = settings.folder / "tokenizer.json"
    text = read_text(path)
    try:
        tokenizer = Tokenizer.from_str(text)
    except BaseException as error:
        # The library raises bare Exception, and from Rust PanicException, which is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"{path}: not a tokenizer: {error}") from None
    if settings.class_name in _WORD_PIECE_CLASSES:
        _apply_bert_settings(tokenizer, settings)
    return tokenizer


def _apply_bert_settings(tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    """Where `tokenizer_config.json` contradicts `tokenizer.json`, transformers heeds the former."""
    own = tokenizer.normalizer
    if isinstance(own, normalizers.BertNormalizer):
        tokenizer.normalizer = normalizers.BertNormalizer(
            clean_text=own.clean_text,
            handle_chinese_chars=settings.choice(
                "tokenize_chinese_chars", own.handle_chinese_chars
            ),
            strip_accents=settings.choice_or_null("strip_accents", own.strip_accents),
            lowercase=settings.choice("do_lower_case", own.lowercase),
        )


def _check_direction(tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    own = str((tokenizer.truncation or {}).get("direction", "right")).lower()
    side = settings.config.get("truncation_side", own)
    if side != "right":
        raise UnsupportedModel(
            f"{settings.folder}: its tokenizer cuts long sequences on the {side!r:.20} side, and "
            "bothways cuts them on the right"
        )
