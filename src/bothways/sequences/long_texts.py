"""Tokenizing only the beginning of a long text: as many tokens as the model can use.

Most tokenizers work word by word: what follows a place in a text can change only the last few words
before it. The tokens of a beginning of the text, without those of its last words, are therefore
the first tokens of the text.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Encoding, Tokenizer

from bothways.errors import InputError

__all__ = [
    "MAX_CHARACTERS",
    "EncodedText",
    "Text",
    "check_size",
    "is_long",
    "longest_whole_text",
    "read_beginning",
    "unsure_words",
]

Text = str | tuple[str, str]

MAX_CHARACTERS = 10_000_000
"""Longest text that is tokenized whole, in characters: it takes about 1.4 GB, and a text for which
the library finds no memory aborts the process."""

_CHARACTERS_PER_TOKEN = 8
_LEAST_CHARACTERS = 1024
_GROWTH = 4
"""The first beginning that is tried, and its growth until it has enough tokens. English has four
to five characters per token."""

_LOOKAHEAD = 8
"""Words before the end of a beginning that its pre-tokenizer may join or split differently when
more text follows; two in GPT-2's pattern, where a word takes the last of several spaces."""

_CLUSTER_SEARCH = 256
"""Characters before the end of a beginning that are searched for the start of a cluster."""

_LOCAL_NORMALIZERS = frozenset(
    ["BertNormalizer", "ByteLevel", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt",
     "Precompiled", "Prepend", "Strip", "StripAccents"]
)  # fmt: skip
"""Normalizers that see no farther than a cluster of characters, or whitespace at the ends."""

_LOCAL_PRE_TOKENIZERS = frozenset(
    ["BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "FixedLength", "Metaspace",
     "Punctuation", "UnicodeScripts", "Whitespace", "WhitespaceSplit"]
)  # fmt: skip
"""Pre-tokenizers that find the end of a word from the word and the few that follow."""

_ONE_CLASS = re.compile(
    r"(?: |\w|\\[sdwSDWnrt]|\\[pP]\{\w+\}|\[\^?(?:[\w ]|\\[sdwSDWnrt]|\\[pP]\{\w+\})+\])"
    r"(?:\+|\{\d+(?:,\d*)?\})?"
)
"""Regular expressions of one class of characters: whether a run matches depends on the run."""


class EncodedText(NamedTuple):
    """A text or pair with its tokens; or its beginning, with those that the whole text has too.

    positions: of these tokens in `encoding`, special tokens included; None for all, of a whole
        text.
    """

    text: Text
    encoding: Encoding
    positions: np.ndarray | None = None


def unsure_words(tokenizer: Tokenizer) -> int | None:
    """How many words at the end of a text could be others if more text followed; None: any number.

    A word is what the pre-tokenizer gives the model, or an added token.
    """
    normalizer, pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    replaced = 0 if normalizer is None else _replaced_characters(_state(normalizer))
    is_local = pre_tokenizer is not None and _is_local_pre_tokenizer(_state(pre_tokenizer))
    if replaced is None or not is_local:
        return None
    contents = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    if normalizer is not None:
        contents += [normalizer.normalize_str(content) for content in contents]
    # An added token of m characters that ends beyond the text takes at most m words of it.
    return max(map(len, contents), default=0) + replaced + _LOOKAHEAD


def is_long(text: Text, max_length: int) -> bool:
    """Whether reading only the beginning of a text may be worth it, in either text of a pair."""
    characters = len(text) if isinstance(text, str) else max(map(len, text))
    return characters > longest_whole_text(max_length)


def longest_whole_text(max_length: int) -> int:
    """Characters of the longest text that is tokenized whole for `max_length` tokens."""
    return 2 * _first_size(max_length)


def read_beginning(
    text: Text, encode: Callable[[Text], Encoding], *, max_length: int, unsure: int
) -> EncodedText | None:
    """Tokenize as much of a text as has more than `max_length` tokens; None if it must be whole.

    In a pair, the text with more characters is the one that is shortened, and keeps more tokens
    than the other, so that truncation chooses the same tokens as with both whole.

    encode: adds special tokens. unsure: of `unsure_words`.
    """
    parts = [text] if isinstance(text, str) else list(text)
    longest = max(range(len(parts)), key=lambda part: len(parts[part]))
    whole = parts[longest]
    size = _first_size(max_length)
    while 2 * size < min(len(whole), MAX_CHARACTERS):
        end = _start_of_cluster(whole, size)
        size *= _GROWTH
        if end is None:
            continue
        parts[longest] = whole[:end]
        shortened: Text = parts[0] if isinstance(text, str) else (parts[0], parts[1])
        encoding = encode(shortened)
        origins = np.array([-1 if part is None else part for part in encoding.sequence_ids])
        content, rest = np.flatnonzero(origins == longest), np.flatnonzero(origins != longest)
        others = int(np.count_nonzero(origins[rest] >= 0))
        special = int(np.count_nonzero(origins < 0))
        wanted = 1 + max(others, max_length - special, 0)
        if wanted <= _count_sure(encoding, content, parts[longest], unsure):
            positions = np.sort(np.concatenate([rest, content[:wanted]]))
            return EncodedText(shortened, encoding, positions)
    return None


def check_size(text: Text, index: int) -> None:
    """Raise if a text is too long to be tokenized whole.

    Raises:
        InputError: names the sequence, its size and the limit.
    """
    characters = len(text) if isinstance(text, str) else max(map(len, text))
    if characters > MAX_CHARACTERS:
        raise InputError(
            f"{characters:,} characters are too many to tokenize at once, at about 140 bytes of "
            f"memory for each; the limit is {MAX_CHARACTERS:,}. Split the text, or choose "
            "on_overflow='truncate' if it has spaces between words: only its beginning is read",
            sequence=index,
        )


def _first_size(max_length: int) -> int:
    return _CHARACTERS_PER_TOKEN * max_length + _LEAST_CHARACTERS


def _count_sure(encoding: Encoding, content: np.ndarray, text: str, unsure: int) -> int:
    """The number of tokens at `content` that stay the same whatever follows the text.

    Only words with a letter or digit are counted as unsure ones: the others may become whitespace,
    of which an added token or a normalizer may remove any number.
    """
    words, offsets = encoding.word_ids, encoding.offsets
    word, counted, num_counted = None, False, 0
    for place in range(len(content) - 1, -1, -1):
        position = content[place]
        if words[position] != word:
            if num_counted >= unsure:
                return place + 1
            word, counted = words[position], False
        start, end = offsets[position]
        if not counted and any(map(str.isalnum, text[start:end])):
            counted, num_counted = True, num_counted + 1
    return 0


def _start_of_cluster(text: str, end: int) -> int | None:
    """The last place up to `end` where normalization treats both sides separately, if near."""
    places = range(end, end - _CLUSTER_SEARCH, -1)
    return next((place for place in places if _starts_cluster(text[place])), None)


def _starts_cluster(character: str) -> bool:
    """Whether a character never combines with those before it, in any normalization form.

    Letters, digits and spaces, without Hangul jamo, vowel signs and halfwidth marks.
    """
    first = unicodedata.normalize("NFKD", character)[0]
    is_jamo = any(
        start <= each <= end
        for each in (character, first)
        for start, end in (("\u1160", "\u11ff"), ("\ud7b0", "\ud7ff"))
    )
    is_start = unicodedata.category(first) in ("Lu", "Ll", "Lt", "Lo", "Nd", "Zs")
    return is_start and not is_jamo and character <= "\uffff"


def _state(component: Any) -> dict[str, Any]:
    """A normalizer or pre-tokenizer as JSON; its type is `custom` if it is written in Python."""
    try:
        state: dict[str, Any] = json.loads(component.__getstate__())
    except Exception:  # the library raises a bare Exception
        return {"type": "custom"}
    return state


def _replaced_characters(state: dict[str, Any]) -> int | None:
    """The most characters that the normalizer replaces together; None if it is not local."""
    match state:
        case {"type": "Sequence", "normalizers": steps}:
            counts = [_replaced_characters(step) for step in steps]
            known = [count for count in counts if count is not None]
            return sum(known) if len(known) == len(counts) else None
        case {"type": "Replace", "pattern": pattern, "content": str(content)} if content:
            literal = pattern.get("String")
            is_local = literal is not None or _ONE_CLASS.fullmatch(pattern["Regex"])
            keeps_clusters = content.replace("▁", "").isascii()
            return len(literal or " ") if is_local and keeps_clusters else None
        case {"type": name} if name in _LOCAL_NORMALIZERS:
            return 0
    return None


def _is_local_pre_tokenizer(state: dict[str, Any]) -> bool:
    match state:
        case {"type": "Sequence", "pretokenizers": steps}:
            return all(map(_is_local_pre_tokenizer, steps))
        case {"type": "Split", "pattern": {"String": _}}:
            return True
        case {"type": "Split", "pattern": {"Regex": str(regex)}}:
            return _ONE_CLASS.fullmatch(regex) is not None
        case {"type": name}:
            return name in _LOCAL_PRE_TOKENIZERS
    return False
