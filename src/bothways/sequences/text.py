"""Text, through the `tokenizers` library."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tokenizers import Encoding, Tokenizer

import bothways.sequences.tokenizer_forks  # noqa: F401  registers a handler of forks
from bothways.errors import CheckpointError, InputError
from bothways.sequences.reader import Description, Tokenized, type_name

__all__ = ["TOKENIZER_FILE", "TextReader"]

TOKENIZER_FILE = "tokenizer.json"

_Text = str | tuple[str, str]

_CHUNK_TEXTS = 1024
_CHUNK_CHARACTERS = 2**20
"""Texts tokenized at a time, by their number or their characters: enough to keep all cores busy,
few enough that the library's own notes on each token (some 400 bytes) never pile up."""


class _Template(NamedTuple):
    """How many special tokens surround a text, or surround and divide a pair of texts."""

    prefix: int
    middle: int
    suffix: int


class _TokenizerFailed(Exception):
    """The library refused a text, whatever it called the reason."""


class TextReader:
    """Reads texts, and pairs of texts, as ids of a tokenizer's vocabulary.

    The tokenizer must neither truncate nor pad. Nothing of it changes after this, so that any
    number of threads may read with it at once.

    vocab_size, num_segments: of the encoder that takes the ids.

    Raises:
        CheckpointError: if the tokenizer gives ids the encoder does not have, or does not work.
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
        """The library's own, to look things up in; nobody may change it."""
        return self._tokenizer

    def read(self, sequences: Sequence[Any] | np.ndarray, *, prompt: str = "") -> list[Tokenized]:
        """Each text, or pair of texts as a tuple, with `prompt` before it (the first, of a pair).

        Raises:
            InputError: naming the sequence that is no text, or holds a lone surrogate.
        """
        texts = [_check_text(text, index) for index, text in enumerate(sequences)]
        prompt_tokens = max(self.prompt_length(prompt) - self._template.prefix, 0)
        read: list[Tokenized] = []
        for start, stop in _chunks(texts):
            encodings = self._encode_chunk(texts[start:stop], prompt, start)
            for index, encoding in enumerate(encodings, start):
                read.append(self._to_tokenized(texts[index], prompt, encoding, prompt_tokens))
                if not len(read[-1]):
                    raise InputError(
                        "has no tokens, and this tokenizer puts no special ones around it; drop it",
                        sequence=index,
                    )
        return read

    def prompt_length(self, prompt: str) -> int:
        """How many positions, from the first, pooling without the prompt leaves out.

        As sentence-transformers counts them: the tokens of the prompt on its own, special tokens
        included, less a special token at the end.

        Raises:
            InputError: if the prompt holds a lone surrogate.
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
        """Without offsets, which are worked out when asked for: a little over half the time."""
        prompted = [_prepend(prompt, text) for text in texts]
        try:
            return self._tokenizer.encode_batch_fast(prompted)
        except BaseException as error:
            if not _is_of_the_library(error):
                raise
            # Which text was it, and why?
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
            of_first = np.array([part == 0 for part in encoding.sequence_ids])
            offsets[of_first] = np.maximum(offsets[of_first] - len(prompt), 0)
        return Description(encoding.tokens, offsets)

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        added = self._tokenizer.get_added_tokens_decoder()
        return frozenset(index for index, token in added.items() if token.special)

    @cached_property
    def _pair_template(self) -> _Template:
        return self._find_template(num_texts=2)

    def _find_template(self, *, num_texts: int) -> _Template:
        """Where the post-processor puts special tokens: seen in what it makes of a short text.

        Raises:
            CheckpointError: if it adds ids that the encoder does not have, or mixes up the texts.
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
                "the tokenizer's post_processor does not give each text once, whole and in order: "
                f"it makes {encoding.tokens} of a short one"
            )
        if num_texts == 1 and self._has_segments and any(encoding.type_ids):
            raise CheckpointError(
                "the tokenizer's post_processor puts a text on its own into segments "
                f"{encoding.type_ids}; expected segment 0"
            )
        middle = bounds[1][0] - bounds[0][1] if num_texts == 2 else 0
        return _Template(bounds[0][0], middle, len(origins) - bounds[-1][1])

    def _encode_probe(self, num_texts: int) -> tuple[Encoding, Encoding]:
        """A short text, or pair, without and with special tokens."""
        problem = "it finds no token in its own vocabulary"
        for probe in ("a", *itertools.islice(self._vocabulary, 1000)):
            text = probe if num_texts == 1 else (probe, probe)
            try:
                bare = _encode(self._tokenizer, text, special=False)
            except _TokenizerFailed as failure:  # a small vocabulary need not know "a"
                problem = str(failure)
                continue
            if bare.ids:
                return bare, _encode(self._tokenizer, text)
        raise _TokenizerFailed(problem)

    def _check_ids(self, ids: Any, where: str) -> None:
        if ids and max(ids) >= self._vocab_size:
            raise CheckpointError(
                f"the tokenizer {where} {max(ids)}, and the encoder's vocab_size is "
                f"{self._vocab_size}: they do not belong together"
            )


def _encode(tokenizer: Tokenizer, text: _Text, *, special: bool = True) -> Encoding:
    """Encode one text or pair, with special tokens around it or without.

    Raises:
        _TokenizerFailed: for whatever the library raises.
    """
    try:
        first, second = (text, None) if isinstance(text, str) else text
        return tokenizer.encode(first, second, add_special_tokens=special)
    except BaseException as error:
        if _is_of_the_library(error):
            raise _TokenizerFailed(str(error)) from None
        raise


def _is_of_the_library(error: BaseException) -> bool:
    """Whether `tokenizers` raised it: a bare Exception, or a panic in Rust."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _check_text(text: Any, index: int) -> _Text:
    if isinstance(text, str):
        return text
    if isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return text
    hint = "; decode it first" if isinstance(text, bytes) else ""
    raise InputError(
        f"got {type_name(text)}; expected a str, or a tuple of two for a pair{hint}", sequence=index
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
    """Start and stop of runs of texts, of `_CHUNK_TEXTS` texts or `_CHUNK_CHARACTERS` at most."""
    start, characters = 0, 0
    for index, text in enumerate(texts):
        characters += len(text) if isinstance(text, str) else len(text[0]) + len(text[1])
        if index > start and (characters > _CHUNK_CHARACTERS or index - start == _CHUNK_TEXTS):
            yield start, index
            start, characters = index, len(text)
    if start < len(texts):
        yield start, len(texts)
