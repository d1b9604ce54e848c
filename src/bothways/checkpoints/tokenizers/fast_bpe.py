"""Tokenizers of fastBPE (PhoBERT, BERTweet): byte-pair encoding of words between white space.

`bpe.codes` has a merge per line: two symbols and a count; the last symbol of a word ends with
`</w>`. `vocab.txt` has a token and a count per line, with ids from 4 on; a token that another of
its word follows ends with `@@`. Symbols that the vocabulary lacks are unknown tokens.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.checkpoints.tokenizers.settings import TokenizerSettings
from bothways.checkpoints.tokenizers.vocabularies import add_tokens, around
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import read_text
from bothways.sequences.renumbering import Renumbering

__all__ = ["CODES", "RenumberedTokenizer", "fast_bpe", "rewrites_texts"]

CODES = "bpe.codes"

_END, _CONTINUED = "</w>", "@@"
_FIRST_ROLES = ("bos_token", "pad_token", "eos_token", "unk_token")
"""The tokens of the ids before those of the file."""

_SPACE = (
    r"\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
)
"""White space as Python's regular expressions have it; the library's have less."""
_WORD = rf"[^{_SPACE}]+\n?"
"""A line break right after a word is its last symbol, as in the classes."""


class RenumberedTokenizer(NamedTuple):
    """A tokenizer, and what its numbers stand for."""

    tokenizer: Tokenizer
    renumbering: Renumbering


def rewrites_texts(settings: TokenizerSettings) -> bool:
    """Whether the class rewrites a text first (`normalization` of BERTweet), which this does not.

    Raises:
        CheckpointError: if the setting is malformed.
    """
    return settings.flag("normalization", False)


def fast_bpe(settings: TokenizerSettings, tokenizer_class: TokenizerClass) -> RenumberedTokenizer:
    """The tokenizer in the `vocab.txt` and `bpe.codes` of a folder.

    Raises:
        CheckpointError: if a file is malformed, or tokens contradict each other.
        UnsupportedModel: if an added token is matched between spaces only.
    """
    path = settings.folder / "vocab.txt"
    special = settings.special_tokens(tokenizer_class)
    for role in (*_FIRST_ROLES, "cls_token", "sep_token"):
        if role not in special:
            raise CheckpointError(f"{path.parent}: {role} is null, and this tokenizer needs it")
    vocabulary = _vocabulary(path, [special[role].content for role in _FIRST_ROLES])
    names = [token.content for token in special.values()]
    added = settings.added_tokens(names)
    _add(vocabulary, added, names, settings.folder)
    merges = _merges(settings.folder / CODES)
    unknown = special["unk_token"].content
    cut_first = {*names, *(token.content for token in added.values())}
    numbers, renumbering = _number(vocabulary, cut_first, vocabulary[unknown], merges)
    try:
        model = models.BPE(numbers, merges, unk_token=unknown, end_of_word_suffix=_END)
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{settings.folder / CODES}: {error}") from None
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), "removed", invert=True)
    tokenizer.decoder = decoders.BPEDecoder(_END)
    add_tokens(tokenizer, settings, special, vocabulary)
    begin, end = (special[role].content for role in ("cls_token", "sep_token"))
    tokenizer.post_processor = around(
        tokenizer_class, (begin, vocabulary[begin]), (end, vocabulary[end]), trim_offsets=False
    )
    return RenumberedTokenizer(tokenizer, renumbering)


def _vocabulary(path: Path, first: list[str]) -> dict[str, int]:
    """The ids of special tokens, then of the file; repeated tokens as the classes number them."""
    vocabulary = {token: index for index, token in enumerate(first)}
    for number, line in enumerate(_text(path).removesuffix("\n").split("\n"), 1):
        token, space, _ = line.strip().rpartition(" ")
        if not space:
            raise CheckpointError(
                f"{path}, line {number}: {line!r:.80}; expected a token and its count"
            )
        vocabulary[token] = len(vocabulary)
    return vocabulary


def _add(
    vocabulary: dict[str, int], added: Mapping[int, AddedToken], special: list[str], folder: Path
) -> None:
    """Put added tokens, and special tokens that it lacks, into the vocabulary."""
    for index, token in added.items():
        if token.single_word:
            raise UnsupportedModel(
                f"{folder}: the added token {token.content!r} is one between spaces only "
                "(single_word), which bothways does not implement for this tokenizer"
            )
        if vocabulary.setdefault(token.content, index) != index:
            raise CheckpointError(
                f"{folder}: the added token {token.content!r} has the id {index}, and "
                f"{vocabulary[token.content]} in vocab.txt"
            )
    for name in special:
        vocabulary.setdefault(name, len(vocabulary))


def _merges(path: Path) -> list[tuple[str, str]]:
    """The merges, the first before the others; of a repeated one the last place counts."""
    ranks: dict[tuple[str, str], int] = {}
    # The classes leave out what follows the last line break.
    for number, line in enumerate(_text(path).split("\n")[:-1], 1):
        parts = line.split()
        if len(parts) != 3:
            raise CheckpointError(
                f"{path}, line {number}: {line!r:.80}; expected two symbols and a count"
            )
        left, right, _ = parts
        if left.endswith(_END) or (left + right).endswith(_END) != right.endswith(_END):
            raise CheckpointError(
                f"{path}, line {number}: {line!r:.80}: symbols of text that look like the mark of "
                f"the end of a word, {_END}"
            )
        ranks[left, right] = number
    return sorted(ranks, key=ranks.__getitem__)


def _number(
    vocabulary: Mapping[str, int],
    cut_first: set[str],
    unknown: int,
    merges: list[tuple[str, str]],
) -> tuple[dict[str, int], Renumbering]:
    """A number for each symbol: its id where no other has it, and else one after all ids.

    cut_first: special and added tokens, which are cut from a text first: no symbol of the rest has
        their characters.
    """
    numbers = {token: vocabulary[token] for token in cut_first}
    taken = {*numbers.values()}
    later: list[tuple[str, int]] = []
    for symbol in _symbols(vocabulary, merges):
        index = vocabulary.get(_token(symbol), unknown)
        if symbol in cut_first:
            continue
        if index in taken:
            later.append((symbol, index))
        else:
            numbers[symbol] = index
            taken.add(index)
    first = max(vocabulary.values()) + 1
    numbers |= {symbol: number for number, (symbol, _) in enumerate(later, first)}
    names = {
        number: symbol if symbol in cut_first else _token(symbol)
        for symbol, number in numbers.items()
    }
    ids = np.array([index for _, index in later], dtype=np.int64)
    return numbers, Renumbering(first, ids, names)


def _symbols(vocabulary: Mapping[str, int], merges: list[tuple[str, str]]) -> list[str]:
    """The symbols that words are made of, each once."""
    symbols = [token + _END for token in vocabulary]
    symbols += [t.removesuffix(_CONTINUED) for t in vocabulary if t.endswith(_CONTINUED)]
    symbols += [part for left, right in merges for part in (left, right, left + right)]
    return [symbol for symbol in dict.fromkeys(symbols) if symbol]


def _token(symbol: str) -> str:
    """The spelling of a symbol in the vocabulary."""
    return symbol.removesuffix(_END) if symbol.endswith(_END) else symbol + _CONTINUED


def _text(path: Path) -> str:
    return read_text(path).replace("\r\n", "\n").replace("\r", "\n")
