"""Tokenizers of fastBPE, against the classes of transformers that read the same files."""

import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints.readers import open_folder_reader
from bothways.checkpoints.tokenizers.fast_bpe import RenumberedTokenizer
from bothways.checkpoints.tokenizers.files import open_tokenizer
from bothways.checkpoints.tokenizers.settings import TokenizerSettings
from bothways.errors import CheckpointError, InputError, UnsupportedModel
from bothways.model.config import EncoderConfig
from bothways.sequences.special_tokens import continuing_tokens, special_tokens
from bothways.sequences.text import TextReader
from bothways.sequences.token_names import token_names
from bothways.sequences.unknown_tokens import unknown_id

FolderOf = Callable[..., Path]

CORPUS = (
    "Tôi là sinh_viên trường đại_học Công_nghệ và tôi học tiếng_Việt ở Hà_Nội",
    "the bank of the river and the river of the bank, banks and rivers",
    "แม่น้ำ ริมฝั่ง แม่น้ำ ฝั่ง", "नदी का किनारा नदी", "река берег реки берега", "نهر ضفة النهر",
    "@USER : see HTTPURL :smiling_face: don't don't",
)  # fmt: skip
CLASSES = ("PhobertTokenizer", "BertweetTokenizer")


def learned(num_merges: int) -> tuple[list[tuple[str, str]], Counter[str]]:
    """Merges of the corpus, and the tokens that its words are made of on the way."""
    words = Counter(" ".join(CORPUS).split())
    split = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    merges = []
    tokens: Counter[str] = Counter()
    for number in range(num_merges):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in split.items():
            for pair in itertools.pairwise(symbols):
                pairs[pair] += words[word]
        pair = max(sorted(pairs), key=lambda pair: pairs[pair])
        merges.append(pair)
        for symbols in split.values():
            for at in range(len(symbols) - 2, -1, -1):
                if at + 1 < len(symbols) and (symbols[at], symbols[at + 1]) == pair:
                    symbols[at : at + 2] = ["".join(pair)]
        if number % 20 == 0:
            for symbol in itertools.chain(*split.values()):
                is_last = symbol.endswith("</w>")
                tokens[symbol.removesuffix("</w>") if is_last else symbol + "@@"] += 1
    return merges, tokens


def files(**settings: Any) -> dict[str, Any]:
    """A folder's files; every fifth token is missing, so that words end in unknown symbols."""
    merges, tokens = learned(120)
    kept = [token for index, token in enumerate(tokens) if index % 5]
    return {
        "vocab.txt": "".join(f"{token} {tokens[token]}\n" for token in kept),
        "bpe.codes": "".join(f"{left} {right} 9\n" for left, right in merges),
        "tokenizer_config.json": {"tokenizer_class": "PhobertTokenizer"} | settings,
        "config.json": {"model_type": "roberta"},
    }


def strings(count: int) -> list[str]:
    """Words, parts of words and characters of the corpus between white space of several kinds."""
    rng = np.random.default_rng(0)
    words = " ".join(CORPUS).split()
    characters = [
        *sorted(set("".join(CORPUS))),
        "ß",
        "中",
        "😀",
        "\u0301",
        "@@",
        "<s>",
        "<mask>",
        "</w>",
    ]
    spaces = (" ", " ", "  ", "\n", " \n", "\t", "\xa0", "\u2028", "\x1c", "\u3000", "\r\n", "")
    made = []
    for _ in range(count):
        parts = []
        for _ in range(int(rng.integers(1, 9))):
            word = str(rng.choice(words))
            start = int(rng.integers(0, len(word)))
            kinds = (word, word[start:], word[: start + 1], str(rng.choice(characters)))
            parts += [kinds[int(rng.integers(4))], str(rng.choice(spaces))]
        made.append("".join(parts))
    return made


def open_reader(folder: Path) -> TextReader:
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=4, d_ff=4, vocab_size=400, position_offset=2
    )
    reader = open_folder_reader(folder, config)
    assert isinstance(reader, TextReader)
    return reader


@pytest.mark.parametrize("name", CLASSES)
def test_ids_are_those_of_transformers(name: str, folder_of: FolderOf) -> None:
    transformers = pytest.importorskip("transformers")
    folder = folder_of(files(tokenizer_class=name))
    theirs = getattr(transformers, name)(str(folder / "vocab.txt"), str(folder / "bpe.codes"))
    reader, unknown = open_reader(folder), theirs.unk_token_id
    texts = [*strings(300), "", "bank\n<mask> bank", "river" * 20, "a@@", "<s><unk>x</s>"]
    ids = [tokenized.values.tolist() for tokenized in reader.read(texts)]
    for text, values in zip(texts, ids, strict=True):
        assert values == theirs(text)["input_ids"], text
    found = Counter(itertools.chain(*ids))
    assert 0.1 < found[unknown] / found.total() < 0.5
    [pair] = reader.read([("the bank", "river")])
    assert pair.values.tolist() == theirs("the bank", "river")["input_ids"]
    names = token_names(reader, 400)
    kept = range(len(theirs))
    assert [names[i] for i in kept] == theirs.convert_ids_to_tokens(list(kept))
    assert special_tokens(reader).mask == theirs.mask_token_id
    assert unknown_id(reader) == unknown


def test_tokens_have_the_spelling_of_the_vocabulary(folder_of: FolderOf) -> None:
    folder = folder_of(
        {
            "vocab.txt": "ri@@ 5\nver 4\nbank 3\n",
            "bpe.codes": "r i 9\nv e 8\nve r</w> 7\nb a 6\nba n 5\nban k</w> 4\n",
            "tokenizer_config.json": {"tokenizer_class": "PhobertTokenizer"},
        }
    )
    reader = open_reader(folder)
    [read] = reader.read(["a river bank"])
    tokens, offsets = read.describe()
    assert tokens == ["<s>", "<unk>", "ri@@", "ver", "bank", "</s>"]
    assert read.values.tolist() == [0, 3, 4, 5, 6, 2]
    assert offsets is not None
    assert offsets.tolist() == [[0, 0], [0, 1], [2, 4], [4, 7], [8, 12], [0, 0]]
    assert continuing_tokens(reader) is None
    assert reader.vocabulary["<mask>"] == 7
    with pytest.raises(InputError, match=r"cannot be written as tokenizer\.json"):
        reader.save(folder)


def test_tokens_added_beside_the_vocabulary_keep_their_ids(folder_of: FolderOf) -> None:
    whole = files() | {"added_tokens.json": {"<mask>": 390, "ri": 391}}
    reader = open_reader(folder_of(whole))
    [read] = reader.read(["<mask>river"])
    assert read.values[1:3].tolist() == [390, 391]
    with pytest.raises(CheckpointError, match=r"'<mask>' has the id 3, and|'<unk>' has the id 9"):
        open_tokenizer(folder_of(whole | {"added_tokens.json": {"<unk>": 9}}, "wrong"))
    single = {"content": "ri", "single_word": True}
    settings = whole["tokenizer_config.json"] | {"added_tokens_decoder": {"391": single}}
    with pytest.raises(UnsupportedModel, match="'ri' is one between spaces only"):
        open_tokenizer(folder_of(whole | {"tokenizer_config.json": settings}, "single"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vocab.txt": "the 5\nriver\n"}, r"vocab\.txt, line 2: 'river'; expected a token and"),
        ({"bpe.codes": "t h 5\nt h\n"}, r"bpe\.codes, line 2: 't h'; expected two symbols and"),
        ({"bpe.codes": "t</w> h 5\n"}, r"bpe\.codes, line 1: .* look like the mark"),
        ({"bpe.codes": "</w > 5\n"}, r"bpe\.codes, line 1: .* look like the mark"),
        ({"tokenizer_config.json": {"tokenizer_class": "PhobertTokenizer", "pad_token": None}},
         "pad_token is null"),
    ],
)  # fmt: skip
def test_malformed_files_are_named(
    changed: dict[str, Any], message: str, folder_of: FolderOf
) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_tokenizer(folder_of(files() | changed))


def test_a_tokenizer_that_rewrites_tweets_is_not_opened(folder_of: FolderOf) -> None:
    rewriting = files(tokenizer_class="BertweetTokenizer", normalization=True)
    assert open_tokenizer(folder_of(rewriting)) is None
    plain = files(tokenizer_class="BertweetTokenizer", normalization=False)
    assert isinstance(open_tokenizer(folder_of(plain, "plain")), RenumberedTokenizer)
    assert json.loads((folder_of(plain, "again") / "config.json").read_text())


def test_the_class_says_what_texts_its_model_expects(folder_of: FolderOf) -> None:
    tokenizer_class = TokenizerSettings.read(folder_of(files())).tokenizer_class
    assert tokenizer_class is not None
    assert "syllables of a word joined by _" in tokenizer_class.expects
