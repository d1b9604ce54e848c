"""Vocabularies of new models: tokenizers trained on texts, and alphabets of symbols."""

import collections
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, assert_never

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from bothways.errors import ConfigError, InputError
from bothways.sequences import Alphabet, Separator
from bothways.training.options.new_model import Vocabulary

__all__ = ["SPECIAL_TOKENS", "choose_alphabet", "train_tokenizer"]

Texts = Callable[[], Iterable[str]]
"""Returns an iterator over the texts of a corpus; may be called several times."""

SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
"""Special tokens by role, with BERT's names; their ids are 0 to 4."""

UNKNOWN, BEGIN, END = "[UNK]", "[CLS]", "[SEP]"
_SPECIAL = tuple(SPECIAL_TOKENS.values())

_MAX_CHARACTERS = 1000
"""Maximum number of characters in a WordPiece vocabulary: the most frequent ones. Words with other
characters become unknown tokens."""

_LINES_AT_A_TIME = 1000

_ALPHABETS = ("smiles", "protein", "dna", "dna:K", "characters", "words")


def train_tokenizer(
    texts: Texts,
    kind: Vocabulary = "wordpiece",
    *,
    size: int = 16_384,
    lowercase: bool = True,
) -> Tokenizer:
    """Train a tokenizer on a corpus, with at most `size` tokens, including special tokens.

    texts: called up to three times.
    kind: `wordpiece` (Wu et al. 2016, section 4.1) after splitting at spaces and punctuation; `bpe`
        on bytes (Sennrich et al. 2016; Radford et al. 2019, section 2.2), without unknown tokens;
        `unigram` (Kudo 2018, section 3.2) for scripts without spaces.
    lowercase: whether to ignore case. Accents are kept.

    The same texts give the same vocabulary, except for `unigram`: its training adds in an order
    that varies between runs, and so does its rounding.

    Raises:
        InputError: if there is no text, or `size` is too small for its characters.
    """
    if not any(text.strip() for text in texts()):
        raise InputError("no text to train a vocabulary on")
    match kind:
        case "wordpiece":
            tokenizer = _word_piece(texts, size, lowercase)
        case "bpe":
            tokenizer = _byte_pairs(texts, size, lowercase)
        case "unigram":
            tokenizer = _unigram(texts, size, lowercase)
        case unknown:
            assert_never(unknown)
    if tokenizer.get_vocab_size() > size:
        raise InputError(
            f"a vocabulary of {size}: these texts have {tokenizer.get_vocab_size()} characters and "
            "special tokens; choose a larger size"
        )
    _add_special_tokens(tokenizer)
    return tokenizer


def choose_alphabet(name: str, sequences: Callable[[], Iterable[Any]]) -> Alphabet:
    """The alphabet called `name`; open alphabets are collected from the sequences.

    name: `protein`, `dna`, `dna:6` for 6-mers, `smiles`; `characters` or `words` (separated by
        spaces) to collect those of the sequences; or the path of an alphabet.json.

    Raises:
        ConfigError: for any other name.
        CheckpointError: if the file is malformed.
    """
    if kmers := re.fullmatch(r"dna:([0-9]+)", name):
        return Alphabet.dna(int(kmers[1]))
    match name:
        case "protein":
            return Alphabet.protein()
        case "dna":
            return Alphabet.dna()
        case "smiles":
            return Alphabet.smiles(sequences())
        case "characters":
            return Alphabet.from_sequences(sequences())
        case "words":
            return Alphabet.from_sequences(sequences(), splitting=Separator())
    path = Path(name)
    if not path.is_file():
        raise ConfigError(
            f"alphabet {name!r}: expected one of {', '.join(_ALPHABETS)}, or an alphabet.json file"
        )
    return Alphabet.open(path)


def _word_piece(texts: Texts, size: int, lowercase: bool) -> Tokenizer:
    """Train WordPiece deterministically.

    The library numbers the tokens that continue a word ("##a") in an order that varies between
    runs, and breaks ties between merges by these numbers. So a first training collects the tokens
    of one character, and the second gets them in sorted order.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    characters = _frequent_characters(texts(), tokenizer.normalizer)

    def train(size: int, first: Sequence[str]) -> list[str]:
        trainer = trainers.WordPieceTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=list(first),
            limit_alphabet=len(characters),
            initial_alphabet=characters,
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts(), trainer)
        vocabulary = tokenizer.get_vocab()
        return sorted(vocabulary, key=lambda token: vocabulary[token])

    single = sorted(set(train(1, _SPECIAL)) - set(_SPECIAL))
    tokens = train(size, [*_SPECIAL, *single])
    trained = Tokenizer(models.WordPiece({t: i for i, t in enumerate(tokens)}, unk_token=UNKNOWN))
    trained.normalizer, trained.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    trained.decoder = decoders.WordPiece(prefix="##")
    return trained


def _byte_pairs(texts: Texts, size: int, lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = _normalizer(normalizers.NFC(), lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=list(_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def _unigram(texts: Texts, size: int, lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = _normalizer(normalizers.NFKC(), lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=list(_SPECIAL), unk_token=UNKNOWN, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def _normalizer(form: normalizers.Normalizer, lowercase: bool) -> normalizers.Normalizer:
    return normalizers.Sequence([form, *([normalizers.Lowercase()] if lowercase else [])])


def _frequent_characters(texts: Iterable[str], normalizer: normalizers.Normalizer) -> list[str]:
    counts: collections.Counter[str] = collections.Counter()
    lines: Iterator[str] = iter(texts)
    while chunk := list(itertools.islice(lines, _LINES_AT_A_TIME)):
        counts.update(normalizer.normalize_str("\n".join(chunk)))
    frequent = sorted(
        (character for character in counts if not character.isspace()),
        key=lambda character: (-counts[character], character),
    )
    return sorted(frequent[:_MAX_CHARACTERS])


def _add_special_tokens(tokenizer: Tokenizer) -> None:
    """Add special tokens as BERT does: [CLS] text [SEP], or [CLS] text [SEP] text [SEP]."""
    tokenizer.add_special_tokens(list(_SPECIAL))
    template = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}",
        pair=f"{BEGIN} $A {END} $B:1 {END}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (BEGIN, END)],
    )
    if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        trimming = processors.ByteLevel(trim_offsets=True)  # offsets exclude the space before
        tokenizer.post_processor = processors.Sequence([trimming, template])
    else:
        tokenizer.post_processor = template
