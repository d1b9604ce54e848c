"""Tokenizers and alphabets from vocabularies: `vocab.txt`, or `vocab.json` with `merges.txt`."""

from collections.abc import Mapping
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from bothways.errors import CheckpointError, InputError
from bothways.io.json_files import read_object, read_text
from bothways.sequences.alphabet import Alphabet
from bothways.sequences.tokenizer_settings import TokenizerSettings

__all__ = ["byte_pair", "symbol_vocabulary", "word_piece"]

_BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_ROBERTA_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
_MPNET_TOKENS = {**_ROBERTA_TOKENS, "unk_token": "[UNK]"}
_ESM_TOKENS = {
    "unk_token": "<unk>",
    "cls_token": "<cls>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
    "eos_token": "<eos>",
}


def word_piece(settings: TokenizerSettings) -> Tokenizer:
    """WordPiece (Wu et al. 2016, section 4.1) after BERT's clean-up of the text.

    Raises:
        CheckpointError: if a file is malformed, or a special token is not in the vocabulary.
    """
    path = settings.folder / "vocab.txt"
    is_mpnet = settings.class_name == "MPNetTokenizer"
    special = settings.special_tokens(_MPNET_TOKENS if is_mpnet else _BERT_TOKENS)
    vocabulary = {token: index for index, token in enumerate(_lines(path))}
    begin, end = _bounds(special, vocabulary, path)
    unknown = _required("unk_token", special, vocabulary, path)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.choice("tokenize_chinese_chars", True),
        strip_accents=settings.choice_or_null("strip_accents", None),
        lowercase=settings.choice("do_lower_case", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    _add_tokens(tokenizer, settings, special, vocabulary)
    if is_mpnet:
        tokenizer.post_processor = processors.RobertaProcessing(end, begin, add_prefix_space=False)
    else:
        tokenizer.post_processor = processors.BertProcessing(end, begin)
    return tokenizer


def byte_pair(settings: TokenizerSettings) -> Tokenizer:
    """Byte-pair encoding (Sennrich et al. 2016) of bytes (Radford et al. 2019, section 2.2).

    Raises:
        CheckpointError: if a file is malformed, or a special token is not in the vocabulary.
    """
    path = settings.folder / "vocab.json"
    special = settings.special_tokens(_ROBERTA_TOKENS)
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
    spaced = settings.choice("add_prefix_space", False)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=spaced)
    tokenizer.decoder = decoders.ByteLevel()
    _add_tokens(tokenizer, settings, special, vocabulary)
    tokenizer.post_processor = processors.RobertaProcessing(
        end, begin, trim_offsets=settings.choice("trim_offsets", True), add_prefix_space=spaced
    )
    return tokenizer


def symbol_vocabulary(settings: TokenizerSettings) -> Alphabet:
    """The alphabet in the `vocab.txt` of an ESM-2 folder.

    As its tokenizer does: the longest symbol that fits, whitespace skipped, and a run of characters
    outside the vocabulary as one unknown symbol.

    Raises:
        CheckpointError: if a file is malformed, or a special token is not in the vocabulary.
    """
    path = settings.folder / "vocab.txt"
    special = settings.special_tokens(_ESM_TOKENS)
    names = {role: token.content for role, token in special.items()}
    try:
        return Alphabet(
            symbols=tuple(line.strip() for line in _lines(path)),
            begin=names.get("cls_token"),
            end=names.get("eos_token"),
            unknown=names.get("unk_token"),
            mask=names.get("mask_token"),
            outside="runs",
        )
    except InputError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _add_tokens(
    tokenizer: Tokenizer,
    settings: TokenizerSettings,
    special: Mapping[str, AddedToken],
    vocabulary: Mapping[str, int],
) -> None:
    """Make special tokens words that no rule splits, and add what the vocabulary lacks."""
    tokenizer.add_special_tokens([t for t in special.values() if t.content in vocabulary])
    for index, token in settings.added_tokens().items():
        add = tokenizer.add_special_tokens if token.special else tokenizer.add_tokens
        add([token])
        if (found := tokenizer.token_to_id(token.content)) != index:
            raise CheckpointError(
                f"{settings.folder}: the added token {token.content!r} has the id {index}, "
                f"and after the vocabulary it gets {found}"
            )


def _bounds(
    special: Mapping[str, AddedToken], vocabulary: Mapping[str, int], path: Path
) -> tuple[tuple[str, int], tuple[str, int]]:
    """The tokens before and after a text, each with its id."""
    begin, end = (_required(role, special, vocabulary, path) for role in ("cls_token", "sep_token"))
    return (begin, vocabulary[begin]), (end, vocabulary[end])


def _required(
    role: str, special: Mapping[str, AddedToken], vocabulary: Mapping[str, int], path: Path
) -> str:
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
    """Lines as text files have them: U+2028 and its like are characters, and may be tokens."""
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n")
