"""A tiny model of text with heads, with random weights that make every part matter."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from bothways.checkpoints import ModelBundle, export
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, head_layout
from bothways.model.spec import ModelSpec
from bothways.sequences import SequenceReader
from bothways.sequences.text import TextReader

__all__ = ["SPECIAL", "TEXT", "WORDS", "head_weights", "text_reader", "write_model"]

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


def write_model(
    path: Path,
    weights: Mapping[str, np.ndarray],
    *heads: Head,
    config: EncoderConfig = TEXT,
    reader: SequenceReader | None = None,
    prompts: Mapping[str, str] | None = None,
) -> Path:
    """Write a model folder with heads at `path`/model, which reads text by default."""
    files = path / "files"
    files.mkdir()
    (reader or text_reader()).save(files)
    folder = ModelBundle.of(
        ModelSpec(config=config, heads=heads, max_length=config.max_length, prompts=prompts or {}),
        {**weights, **head_weights(config, *heads)},
        path=path,
        reader_path=files,
    )
    export(folder, path / "model", "bothways")
    return path / "model"
