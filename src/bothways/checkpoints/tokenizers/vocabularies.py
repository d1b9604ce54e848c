"""Tokenizers and alphabets from vocabularies: `vocab.txt`, or `vocab.json` with `merges.txt`."""

from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.checkpoints.tokenizers.settings import TokenizerSettings
from bothways.errors import CheckpointError, InputError
from bothways.io.json_files import read_object, read_text
from bothways.sequences.alphabet import Alphabet

__all__ = ["add_tokens", "around", "byte_pair", "required", "symbol_vocabulary", "word_piece"]


def word_piece(settings: TokenizerSettings, tokenizer_class: TokenizerClass) -> Tokenizer:
    """WordPiece (Wu et al. 2016, section 4.1) on text cleaned up as by BERT's released code.

    Raises:
        CheckpointError: if a file is malformed, or a special token is not in the vocabulary.
    """
    path = settings.folder / "vocab.txt"
    special = settings.special_tokens(tokenizer_class)
    vocabulary = {token: index for index, token in enumerate(_lines(path))}
    begin, end = _bounds(special, vocabulary, path)
    unknown = required("unk_token", special, vocabulary, path)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.flag("tokenize_chinese_chars", True),
        strip_accents=settings.flag_or_null("strip_accents", None),
        lowercase=settings.flag("do_lower_case", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    add_tokens(tokenizer, settings, special, vocabulary)
    tokenizer.post_processor = around(tokenizer_class, begin, end)
    return tokenizer


def around(
    tokenizer_class: TokenizerClass,
    begin: tuple[str, int],
    end: tuple[str, int],
    *,
    trim_offsets: bool = True,
    add_prefix_space: bool = False,
) -> processors.PostProcessor:
    """The tokens `begin` and `end` around a text, and between the texts of a pair.

    trim_offsets: leave spaces out of offsets. add_prefix_space: as the pre-tokenizer has it.
    """
    match tokenizer_class.separators:
        case 1:
            return processors.BertProcessing(end, begin)
        case 2:
            return processors.RobertaProcessing(
                end, begin, trim_offsets=trim_offsets, add_prefix_space=add_prefix_space
            )
        case other:
            assert_never(other)


def byte_pair(settings: TokenizerSettings, tokenizer_class: TokenizerClass) -> Tokenizer:
    """Byte-pair encoding (Sennrich et al. 2016) of bytes (Radford et al. 2019, section 2.2).

    Raises:
        CheckpointError: if a file is malformed, or a special token is not in the vocabulary.
    """
    path = settings.folder / "vocab.json"
    special = settings.special_tokens(tokenizer_class)
    vocabulary = read_object(path)
    for token, index in vocabulary.items():
        if type(index) is not int or not 0 <= index < 2**32:
            raise CheckpointError(f"{path}: {token!r:.80} has the id {index!r:.80}; expected an id")
    begin, end = _bounds(special, vocabulary, path)
    merges = _merges(settings.folder / "merges.txt")
    try:
        tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{settings.folder / 'merges.txt'}: {error}") from None
    spaced = settings.flag("add_prefix_space", False)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=spaced)
    tokenizer.decoder = decoders.ByteLevel()
    add_tokens(tokenizer, settings, special, vocabulary)
    tokenizer.post_processor = around(
        tokenizer_class,
        begin,
        end,
        trim_offsets=settings.flag("trim_offsets", True),
        add_prefix_space=spaced,
    )
    return tokenizer


def symbol_vocabulary(settings: TokenizerSettings, tokenizer_class: TokenizerClass) -> Alphabet:
    """The alphabet in the `vocab.txt` of a folder whose tokens are symbols, as of ESM-2.

    It reads as their tokenizer does: the longest symbol that matches, whitespace skipped, and a run
    of characters outside the vocabulary as one unknown symbol.

    Raises:
        CheckpointError: if a file is malformed, or a special token is not in the vocabulary.
    """
    path = settings.folder / "vocab.txt"
    special = settings.special_tokens(tokenizer_class)
    names = {role: token.content for role, token in special.items()}
    symbols = [line.strip() for line in _lines(path)]
    for index, token in settings.added_tokens(names.values()).items():
        if index == len(symbols):
            symbols.append(token.content)
        elif index > len(symbols) or symbols[index] != token.content:
            raise CheckpointError(
                f"{settings.folder}: the added token {token.content!r} has the id {index}, and the "
                f"vocabulary has {len(symbols)} symbols; expected the next id"
            )
    try:
        return Alphabet(
            symbols=tuple(symbols),
            begin=names.get("cls_token"),
            end=names.get("eos_token"),
            unknown=names.get("unk_token"),
            mask=names.get("mask_token"),
            outside="runs",
        )
    except InputError as error:
        raise CheckpointError(f"{path}: {error}") from None


def add_tokens(
    tokenizer: Tokenizer,
    settings: TokenizerSettings,
    special: Mapping[str, AddedToken],
    vocabulary: Mapping[str, int],
) -> None:
    """Add the special tokens, which no rule splits, and tokens that the vocabulary lacks."""
    tokenizer.add_special_tokens([t for t in special.values() if t.content in vocabulary])
    names = [token.content for token in special.values()]
    for index, token in settings.added_tokens(names).items():
        add = tokenizer.add_special_tokens if token.special else tokenizer.add_tokens
        add([token])
        if (actual := tokenizer.token_to_id(token.content)) != index:
            raise CheckpointError(
                f"{settings.folder}: the added token {token.content!r} has the id {index}, "
                f"but after the vocabulary it gets {actual}"
            )


def _bounds(
    special: Mapping[str, AddedToken], vocabulary: Mapping[str, int], path: Path
) -> tuple[tuple[str, int], tuple[str, int]]:
    """The tokens before and after a text, each with its id."""
    begin, end = (required(role, special, vocabulary, path) for role in ("cls_token", "sep_token"))
    return (begin, vocabulary[begin]), (end, vocabulary[end])


def required(
    role: str, special: Mapping[str, AddedToken], vocabulary: Mapping[str, int], path: Path
) -> str:
    """The token of a role that the tokenizer cannot do without.

    Raises:
        CheckpointError: if there is none, or it is not in the vocabulary.
    """
    if role not in special:
        raise CheckpointError(f"{path.parent}: {role} is null, and this tokenizer needs it")
    token = special[role].content
    if token not in vocabulary:
        raise CheckpointError(f"{path}: {role}={token!r} is not in the vocabulary")
    return token


def _merges(path: Path) -> list[tuple[str, str]]:
    merges = []
    for number, line in enumerate(_lines(path), 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        left, _, right = line.partition(" ")
        if not left or not right or " " in right:
            raise CheckpointError(f"{path}, line {number}: {line!r:.80}; expected two tokens")
        merges.append((left, right))
    return merges


def _lines(path: Path) -> list[str]:
    """The lines of a text file. U+2028 and similar characters end no line: they may be tokens."""
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n")
