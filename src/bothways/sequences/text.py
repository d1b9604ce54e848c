"""Reading text and pairs of texts with the `tokenizers` library."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tokenizers import Encoding, Tokenizer

from bothways.errors import CheckpointError, InputError
from bothways.sequences import tokenizer_forks  # noqa: F401  registers a handler of forks
from bothways.sequences.reader import Description, Tokenized, type_name

__all__ = ["TOKENIZER_FILE", "TextReader"]

TOKENIZER_FILE = "tokenizer.json"

_Text = str | tuple[str, str]

_CHUNK_TEXTS = 1024
_CHUNK_CHARACTERS = 2**20
"""Limits of one call of the library: enough texts to keep all cores busy, few enough to limit the
memory of its encodings (about 400 bytes per token)."""


class _Template(NamedTuple):
    """The number of special tokens before, between and after a text or a pair of texts."""

    prefix: int
    middle: int
    suffix: int


class _TokenizerFailed(Exception):
    """The library could not encode a text."""


class TextReader:
    """Converts texts, and pairs of texts, to ids of a tokenizer's vocabulary.

    The tokenizer must neither truncate nor pad, and must not be changed afterwards. A reader may be
    used by several threads at once.

    vocab_size, num_segments: of the encoder.

    Raises:
        CheckpointError: if the tokenizer has ids beyond `vocab_size`, or does not work.
    """

    kind: Literal["text"] = "text"

    def __init__(self, tokenizer: Tokenizer, *, vocab_size: int, num_segments: int = 0) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._has_segments = num_segments > 1
        self._vocabulary = tokenizer.get_vocab()
        self._check_ids(self._vocabulary.values(), "has ids up to")
        self._template = self._find_template(num_texts=1)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the library, for lookups; it must not be changed."""
        return self._tokenizer

    def read(self, sequences: Sequence[Any] | np.ndarray, *, prompt: str = "") -> list[Tokenized]:
        """Convert each text, or tuple of two texts, with `prompt` before it (or before the first).

        Raises:
            InputError: names the sequence that is not text, or contains a lone surrogate.
        """
        texts = [_check_text(text, index) for index, text in enumerate(sequences)]
        prompt_tokens = max(self.prompt_length(prompt) - self._template.prefix, 0)
        results: list[Tokenized] = []
        for start, stop in _chunks(texts):
            encodings = self._encode_chunk(texts[start:stop], prompt, start)
            for index, encoding in enumerate(encodings, start):
                results.append(self._to_tokenized(texts[index], prompt, encoding, prompt_tokens))
                if not len(results[-1]):
                    raise InputError(
                        "has no tokens, and this tokenizer adds none; leave it out",
                        sequence=index,
                    )
        return results

    @cached_property
    def added_ids(self) -> frozenset[int]:
        """Ids of the special tokens that the tokenizer adds to a text, such as [CLS] and [SEP]."""
        prefix, _, suffix = self._template
        ids = self._encode_probe(1)[1].ids
        return frozenset((*ids[:prefix], *ids[len(ids) - suffix :]))

    def prompt_length(self, prompt: str) -> int:
        """Leading positions that pooling without the prompt leaves out.

        Counted as in sentence-transformers: all tokens of the prompt when encoded alone, without a
        special token at the end.

        Raises:
            InputError: if the prompt contains a lone surrogate.
        """
        if not prompt:
            return 0
        _check_characters(prompt, "the prompt", None)
        ids = _encode(self._tokenizer, prompt).ids
        return len(ids) - (bool(ids) and ids[-1] in self._special_ids)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`."""
        (folder / TOKENIZER_FILE).write_text(self._tokenizer.to_str(), encoding="utf-8")

    def _to_tokenized(
        self, text: _Text, prompt: str, encoding: Encoding, prompt_tokens: int
    ) -> Tokenized:
        values = np.array(encoding.ids, dtype=np.int64)
        describe = partial(self._describe, text, prompt)
        if isinstance(text, str):
            prefix, _, suffix = self._template
            prompt_tokens = min(prompt_tokens, len(values) - prefix - suffix)
            return Tokenized(values, describe, prefix, suffix, prompt_tokens)
        prefix, middle, suffix = self._pair_template
        first = encoding.sequence_ids.count(0)
        segments = np.array(encoding.type_ids, dtype=np.int64) if self._has_segments else None
        prompt_tokens = min(prompt_tokens, first)
        return Tokenized(values, describe, prefix, suffix, prompt_tokens, segments, first, middle)

    def _encode_chunk(self, texts: list[_Text], prompt: str, start: int) -> list[Encoding]:
        """Encode a chunk without offsets, which takes little more than half the time."""
        prompted = [_prepend(prompt, text) for text in texts]
        try:
            return self._tokenizer.encode_batch_fast(prompted)
        except BaseException as error:
            if not _is_library_error(error):
                raise
            # Encode one by one to find the text that failed, and why.
            for index, text in enumerate(texts, start):
                for part in (text,) if isinstance(text, str) else text:
                    _check_characters(part, "the text", index)
                try:
                    _encode(self._tokenizer, prompted[index - start])
                except _TokenizerFailed as failure:
                    raise InputError(f"the tokenizer failed: {failure}", sequence=index) from None
            raise InputError(f"the tokenizer failed: {error}") from None

    def _describe(self, text: _Text, prompt: str) -> Description:
        encoding = _encode(self._tokenizer, _prepend(prompt, text))
        offsets = np.array(encoding.offsets, dtype=np.int64)
        if prompt:
            in_first = np.array([part == 0 for part in encoding.sequence_ids])
            offsets[in_first] = np.maximum(offsets[in_first] - len(prompt), 0)
        return Description(encoding.tokens, offsets)

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        added = self._tokenizer.get_added_tokens_decoder()
        return frozenset(index for index, token in added.items() if token.special)

    @cached_property
    def _pair_template(self) -> _Template:
        return self._find_template(num_texts=2)

    def _find_template(self, *, num_texts: int) -> _Template:
        """Find where the post-processor adds special tokens, by encoding a short text.

        Raises:
            CheckpointError: if it adds ids beyond the vocabulary, or reorders the texts.
        """
        try:
            bare, encoding = self._encode_probe(num_texts)
        except _TokenizerFailed as failure:
            raise CheckpointError(f"the tokenizer does not work: {failure}") from None
        self._check_ids(encoding.ids, "adds special tokens with ids up to")
        origins = encoding.sequence_ids
        bounds = [
            (origins.index(text), len(origins) - origins[::-1].index(text))
            for text in range(num_texts)
            if text in origins
        ]
        content = [encoding.ids[place] for start, stop in bounds for place in range(start, stop)]
        if len(bounds) != num_texts or bounds != sorted(bounds) or content != bare.ids:
            raise CheckpointError(
                "the tokenizer's post_processor must keep each text once, whole and in order, but "
                f"turns a short one into {encoding.tokens}"
            )
        if num_texts == 1 and self._has_segments and any(encoding.type_ids):
            raise CheckpointError(
                "the tokenizer's post_processor puts a single text into segments "
                f"{encoding.type_ids}; expected segment 0"
            )
        middle = bounds[1][0] - bounds[0][1] if num_texts == 2 else 0
        return _Template(bounds[0][0], middle, len(origins) - bounds[-1][1])

    def _encode_probe(self, num_texts: int) -> tuple[Encoding, Encoding]:
        """Encode a short text or pair, without and with special tokens."""
        problem = "it encodes no token of its own vocabulary"
        for probe in ("a", *itertools.islice(self._vocabulary, 1000)):
            text = probe if num_texts == 1 else (probe, probe)
            try:
                bare = _encode(self._tokenizer, text, special=False)
            except _TokenizerFailed as failure:  # a small vocabulary may not have "a"
                problem = str(failure)
                continue
            if bare.ids:
                return bare, _encode(self._tokenizer, text)
        raise _TokenizerFailed(problem)

    def _check_ids(self, ids: Any, where: str) -> None:
        if ids and max(ids) >= self._vocab_size:
            raise CheckpointError(
                f"the tokenizer {where} {max(ids)}, but the encoder's vocab_size is "
                f"{self._vocab_size}: they do not belong together"
            )


def _encode(tokenizer: Tokenizer, text: _Text, *, special: bool = True) -> Encoding:
    """Encode one text or pair, with or without special tokens.

    Raises:
        _TokenizerFailed: for any error of the library.
    """
    try:
        first, second = (text, None) if isinstance(text, str) else text
        return tokenizer.encode(first, second, add_special_tokens=special)
    except BaseException as error:
        if _is_library_error(error):
            raise _TokenizerFailed(str(error)) from None
        raise


def _is_library_error(error: BaseException) -> bool:
    """Whether `tokenizers` raised the error: a bare Exception, or a panic in Rust."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _check_text(text: Any, index: int) -> _Text:
    if isinstance(text, str):
        return text
    if isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return text
    hint = "; decode it first" if isinstance(text, bytes) else ""
    raise InputError(
        f"got {type_name(text)}; expected a str, or a tuple of two str for a pair{hint}",
        sequence=index,
    )


def _check_characters(text: str, what: str, index: int | None) -> None:
    """Raise if the text cannot be written in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"character {error.start} of {what} is U+{ord(text[error.start]):04X}, half of a "
            "surrogate pair; decode the text with errors='replace', or remove it",
            sequence=index,
        ) from None


def _prepend(prompt: str, text: _Text) -> _Text:
    return prompt + text if isinstance(text, str) else (prompt + text[0], text[1])


def _chunks(texts: Sequence[_Text]) -> Iterator[tuple[int, int]]:
    """Start and stop of chunks with at most `_CHUNK_TEXTS` texts and `_CHUNK_CHARACTERS`.

    A text with more characters is a chunk by itself.
    """
    start, characters = 0, 0
    for index, text in enumerate(texts):
        added = _num_characters(text)
        full = characters + added > _CHUNK_CHARACTERS or index - start == _CHUNK_TEXTS
        if index > start and full:
            yield start, index
            start, characters = index, 0
        characters += added
    if start < len(texts):
        yield start, len(texts)


def _num_characters(text: _Text) -> int:
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])
