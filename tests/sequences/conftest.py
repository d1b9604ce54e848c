"""Small tokenizer folders, made in the test, and texts that have tripped tokenizers up."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from bothways.model.config import EncoderConfig

WORDS = ["a", "river", "bank", "loan", "shore", "of", "stream", "water", "##s", "##ing", "##ed"]
WORDS += ["un", "##able", ",", ".", "!", "?", "中", "é", "##é", "the", "##a"]
BERT_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"bcdefgh", *WORDS]
MPNET_VOCABULARY = ["<s>", "<pad>", "</s>", "<unk>", *BERT_VOCABULARY[5:], "[UNK]", "<mask>"]
ESM_VOCABULARY = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO", ".", "-"]
ESM_VOCABULARY += ["<null_1>", "<mask>"]

_ALPHABETS = (
    "abc the river ",
    " \t\n\r\x00\x01\x1f\x7f\x85\xa0\u2028\u2029\ufeff\u200b\u200d",
    "éèüßÅıİﬁﬀ중국中日本語",
    "😀👩‍👩‍👧🇩🇪\U0010ffff\ufffd",
    "[SEP] [CLS] [MASK] <mask> </s> <s> ## [UNK]",
    ",.!?;:'\"()-–—…€$",
)


@pytest.fixture(scope="session")
def strange_texts() -> list[str]:
    """Some hundred texts of every kind of character, and the special tokens among them."""
    generator = random.Random(7)  # noqa: S311
    texts = ["", " ", "\n\t ", "\x00", "\ufeff", "\u2028", "a\u2028b", "\ufeffthe river", "a\r\nb"]
    texts += ["[SEP]", "a [SEP] b", "[CLS]a", " <mask>", "a <mask> b", "</s></s>", "##s", "a##s"]
    texts += [
        "x" * 300,
        "the " * 200,
        "é" * 99,
        "e\u0301" * 50,
        "中" * 30,
        "👩‍👩‍👧",
        "İstanbul",
        "ﬁn",
    ]
    for _ in range(150):
        pieces = []
        for _ in range(generator.randrange(1, 6)):
            alphabet = generator.choice(_ALPHABETS)
            if alphabet.startswith("[SEP]"):
                pieces.append(generator.choice(alphabet.split()))
            else:
                pieces.append("".join(generator.choices(alphabet, k=generator.randrange(1, 12))))
        texts.append(generator.choice(["", " "]).join(pieces))
    return texts


def write(folder: Path, files: dict[str, Any]) -> Path:
    """A folder of these files: strings as they are, other values as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of these files."""
    return lambda files, name="model": write(tmp_path / name, files)


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WordPiece vocabulary, and nothing else but the model's type."""
    files = {"vocab.txt": "\n".join(BERT_VOCABULARY) + "\n", "config.json": {"model_type": "bert"}}
    return write(tmp_path_factory.mktemp("bert"), files)


@pytest.fixture(scope="session")
def mpnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WordPiece vocabulary with RoBERTa's special tokens."""
    files = {"vocab.txt": "\n".join(MPNET_VOCABULARY), "config.json": {"model_type": "mpnet"}}
    return write(tmp_path_factory.mktemp("mpnet"), files)


@pytest.fixture(scope="session")
def esm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary of residues as ESM-2 has it."""
    files = {
        "vocab.txt": "\n".join(ESM_VOCABULARY),
        "config.json": {"model_type": "esm"},
        "tokenizer_config.json": {"tokenizer_class": "EsmTokenizer"},
    }
    return write(tmp_path_factory.mktemp("esm"), files)


@pytest.fixture(scope="session")
def roberta_folder(tmp_path_factory: pytest.TempPathFactory, strange_texts: list[str]) -> Path:
    """A byte-level BPE vocabulary, trained on the strange texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(strange_texts * 3, trainer)
    folder = tmp_path_factory.mktemp("roberta")
    tokenizer.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    vocabulary["<mask>"] = len(vocabulary)
    return write(folder, {"vocab.json": vocabulary, "config.json": {"model_type": "roberta"}})


@pytest.fixture
def config_of() -> Callable[..., EncoderConfig]:
    """The smallest encoder of a vocabulary."""

    def config(vocab_size: int = 40_000, num_segments: int = 2, **fields: Any) -> EncoderConfig:
        of_tokens = {"vocab_size": vocab_size, "num_segments": num_segments}
        given = {"input": "vectors", **fields} if "num_channels" in fields else of_tokens
        sizes = {"num_layers": 1, "num_heads": 1, "d_model": 8, "d_ff": 8}
        return EncoderConfig.from_dict({**sizes, **given})

    return config
