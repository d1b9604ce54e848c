"""Tiny models with heads, with random weights that make every part matter."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from bothways.checkpoints import ModelBundle, export
from bothways.inference.backends import BackendName
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, head_layout
from bothways.model.spec import ModelSpec
from bothways.native import is_built
from bothways.sequences import SequenceReader
from bothways.sequences.text import TextReader

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("river", "bank", "loan", "a", "the", "walk", "##ing", "##ed", "shore", "##s")

TEXT = EncoderConfig(
    num_layers=2,
    num_heads=2,
    d_model=8,
    d_ff=12,
    vocab_size=len(SPECIAL) + len(WORDS) + 1,  # room for one more than the tokenizer has
    num_segments=2,
    max_length=12,
)


class MakeModel(Protocol):
    """Write a model folder with heads, which reads text by default."""

    def __call__(
        self,
        *heads: Head,
        config: EncoderConfig = TEXT,
        reader: SequenceReader | None = None,
    ) -> Path: ...


def text_reader() -> TextReader:
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return TextReader(tokenizer, vocab_size=TEXT.vocab_size, num_segments=2)


def head_weights(config: EncoderConfig, *heads: Head) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    shapes = {name: s for head in heads for name, s in head_layout(head, config).items()}
    return {name: rng.standard_normal(s).astype(np.float32) for name, s in shapes.items()}


BACKENDS: list[BackendName] = ["reference", "torch", "native"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> BackendName:
    name: BackendName = request.param
    if name == "native" and not is_built():
        pytest.skip("bothways was installed without its engine")
    return name


@pytest.fixture
def make_model(make_weights: Callable[..., dict[str, np.ndarray]], tmp_path: Path) -> MakeModel:
    def make(
        *heads: Head, config: EncoderConfig = TEXT, reader: SequenceReader | None = None
    ) -> Path:
        files = tmp_path / "files"
        files.mkdir()
        (reader or text_reader()).save(files)
        folder = ModelBundle.of(
            ModelSpec(config=config, heads=heads, max_length=config.max_length),
            {**make_weights(config), **head_weights(config, *heads)},
            path=tmp_path,
            reader_path=files,
        )
        export(folder, tmp_path / "model", "bothways")
        return tmp_path / "model"

    return make
