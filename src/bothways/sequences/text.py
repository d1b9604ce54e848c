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
from bothways.sequences.long_texts import (
    EncodedText,
    Text,
    check_size,
    is_long,
    longest_whole_text,
    read_beginning,
    unsure_words,
)
from bothways.sequences.reader import Description, Tokenized, hint_for, type_name
from bothways.sequences.renumbering import Renumbering

__all__ = ["TOKENIZER_FILE", "TextReader"]

TOKENIZER_FILE = "tokenizer.json"

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
    empty_token: the id that stands for a text without tokens; None to refuse such texts.
    renumbering: what the tokenizer's numbers stand for; None if they are ids.

    Raises:
        CheckpointError: if the tokenizer has ids beyond `vocab_size`, or does not work.
    """

    kind: Literal["text"] = "text"

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        vocab_size: int,
        num_segments: int = 0,
        empty_token: int | None = None,
        renumbering: Renumbering | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._renumbering = renumbering
        self._empty_token = empty_token
        self._vocab_size = vocab_size
        self._has_segments = num_segments > 1
        self._numbers = tokenizer.get_vocab()
        self._check_ids([*self._numbers.values()], "has ids up to")
        self._template = self._find_template(num_texts=1)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the library, for lookups; it must not be changed."""
        return self._tokenizer

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """The id of each token."""
        if self._renumbering is None:
            return self._numbers
        return self._renumbering.vocabulary()

    def read(
        self,
        sequences: Sequence[Any] | np.ndarray,
        *,
        prompt: str = "",
        max_length: int | None = None,
    ) -> list[Tokenized]:
        """Convert each text, or tuple of two texts, with `prompt` before it (or before the first).

        Raises:
            InputError: names the sequence that is not text, contains a lone surrogate, or is too
                long to be tokenized whole and has no beginning to which `max_length` limits it.
        """
        texts = [_check_text(text, index) for index, text in enumerate(sequences)]
        prompt_tokens = max(self.prompt_length(prompt) - self._template.prefix, 0)
        results: list[Tokenized] = []
        for start, stop in _chunks(texts):
            encoded = self._encode_chunk(texts[start:stop], prompt, max_length, start)
            for index, read in enumerate(encoded, start):
                tokenized = self._to_tokenized(read, prompt, prompt_tokens)
                results.append(tokenized if len(tokenized) else self._of_empty_text(index))
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

    def characters_read(self, max_length: int) -> int | None:
        """See `SequenceReader.characters_read`; None if the tokenizer has to see the whole text."""
        return None if self._unsure_words is None else longest_whole_text(max_length)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`.

        Raises:
            InputError: if the file cannot hold the tokenizer, whose numbers are not ids.
        """
        if self._renumbering is not None:
            raise InputError(
                "a tokenizer of fastBPE cannot be written as tokenizer.json; start from the folder "
                "of its model, whose vocab.txt and bpe.codes are copied"
            )
        (folder / TOKENIZER_FILE).write_text(self._tokenizer.to_str(), encoding="utf-8")

    def _to_tokenized(self, read: EncodedText, prompt: str, prompt_tokens: int) -> Tokenized:
        text, encoding, positions = read
        kept = slice(None) if positions is None else positions
        values = self._ids(encoding.ids)
        if positions is not None:
            values = values[positions]
        describe = partial(self._describe, text, prompt, kept)
        is_whole = positions is None
        if isinstance(text, str):
            prefix, _, suffix = self._template
            prompt_tokens = min(prompt_tokens, len(values) - prefix - suffix)
            return Tokenized(values, describe, prefix, suffix, prompt_tokens, is_whole=is_whole)
        prefix, middle, suffix = self._pair_template
        first = np.array(encoding.sequence_ids, dtype=object)[kept].tolist().count(0)
        segments = np.array(encoding.type_ids, dtype=np.int64)[kept] if self._has_segments else None
        prompt_tokens = min(prompt_tokens, first)
        return Tokenized(
            values, describe, prefix, suffix, prompt_tokens, segments, first, middle, is_whole
        )

    def _of_empty_text(self, index: int) -> Tokenized:
        """What stands for a text without tokens, of this index in its call."""
        if self._empty_token is None:
            raise InputError(
                "has no tokens, and this tokenizer adds none; leave it out", sequence=index
            )
        ids = np.array([self._empty_token], dtype=np.int64)
        return Tokenized(ids, _describe_empty)

    def _encode_chunk(
        self, texts: list[Text], prompt: str, max_length: int | None, start: int
    ) -> list[EncodedText]:
        """Encode a chunk, with the prompt: of a long text only the beginning, if that is enough.

        start: index of the first text, for messages.
        """
        if prompt:
            texts = [_prepend(prompt, text) for text in texts]
        encoded = [
            self._encode_beginning(text, prompt, max_length, index)
            for index, text in enumerate(texts, start)
        ]
        whole = [place for place, beginning in enumerate(encoded) if beginning is None]
        try:
            # Without offsets, which takes little more than half the time.
            encodings = self._tokenizer.encode_batch_fast([texts[place] for place in whole])
        except BaseException as error:
            if not _is_library_error(error):
                raise
            # Encode one by one to find the text that failed, and why.
            for place in whole:
                self._encode_one(texts[place], prompt, start + place)
            raise InputError(f"the tokenizer failed: {error}") from None
        for place, encoding in zip(whole, encodings, strict=True):
            encoded[place] = EncodedText(texts[place], encoding)
        return [each for each in encoded if each is not None]

    def _encode_beginning(
        self, text: Text, prompt: str, max_length: int | None, index: int
    ) -> EncodedText | None:
        """As many tokens of a long text as matter; None if it is to be encoded whole."""
        if max_length is not None and is_long(text, max_length) and self._unsure_words is not None:
            beginning = read_beginning(
                text,
                lambda shortened: self._encode_one(shortened, prompt, index),
                max_length=max_length,
                unsure=self._unsure_words,
            )
            if beginning is not None:
                return beginning
        check_size(text, index)
        return None

    def _encode_one(self, text: Text, prompt: str, index: int) -> Encoding:
        first, *second = (text,) if isinstance(text, str) else text
        for part in (first[len(prompt) :], *second):
            _check_characters(part, "the text", index)
        try:
            return _encode(self._tokenizer, text)
        except _TokenizerFailed as failure:
            raise InputError(f"the tokenizer failed: {failure}", sequence=index) from None

    def _describe(self, text: Text, prompt: str, kept: slice | np.ndarray) -> Description:
        encoding = _encode(self._tokenizer, text)
        offsets = np.array(encoding.offsets, dtype=np.int64)
        if prompt:
            in_first = np.array([part == 0 for part in encoding.sequence_ids])
            offsets[in_first] = np.maximum(offsets[in_first] - len(prompt), 0)
        names = encoding.tokens
        if self._renumbering is not None:
            names = [self._renumbering.names[number] for number in encoding.ids]
        tokens = np.array(names, dtype=object)[kept].tolist()
        return Description(tokens, offsets[kept])

    def _ids(self, numbers: Sequence[int]) -> np.ndarray:
        """The ids that numbers of the tokenizer stand for, int64."""
        values = np.array(numbers, dtype=np.int64)
        return values if self._renumbering is None else self._renumbering.ids_of(values)

    @cached_property
    def _unsure_words(self) -> int | None:
        return unsure_words(self._tokenizer)

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
        for probe in ("a", *itertools.islice(self._numbers, 1000)):
            text = probe if num_texts == 1 else (probe, probe)
            try:
                bare = _encode(self._tokenizer, text, special=False)
            except _TokenizerFailed as failure:  # a small vocabulary may not have "a"
                problem = str(failure)
                continue
            if bare.ids:
                return bare, _encode(self._tokenizer, text)
        raise _TokenizerFailed(problem)

    def _check_ids(self, numbers: Sequence[int], where: str) -> None:
        ids = self._ids(numbers)
        if ids.size and ids.max() >= self._vocab_size:
            raise CheckpointError(
                f"the tokenizer {where} {ids.max()}, but the encoder's vocab_size is "
                f"{self._vocab_size}: they do not belong together"
            )


def _describe_empty() -> Description:
    return Description([""], np.zeros((1, 2), dtype=np.int64))


def _encode(tokenizer: Tokenizer, text: Text, *, special: bool = True) -> Encoding:
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


def _check_text(text: Any, index: int) -> Text:
    if isinstance(text, str):
        return text
    if isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return text
    raise InputError(
        f"got {type_name(text)}; expected a str, or a tuple of two str for a pair{hint_for(text)}",
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


def _prepend(prompt: str, text: Text) -> Text:
    return prompt + text if isinstance(text, str) else (prompt + text[0], text[1])


def _chunks(texts: Sequence[Text]) -> Iterator[tuple[int, int]]:
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


def _num_characters(text: Text) -> int:
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])
