"""Two models as sentence-transformers and bothways load them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling
from transformers import BertConfig, BertModel

from bothways import drop_in

WORDS = ["a", "river", "bank", "loan", "shore", "of", "stream", "water", "##s", "find", ":", "to"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SETTINGS = {
    **SIZE,
    "vocab_size": len(VOCABULARY),
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,  # attention that is not uniform
}


class Both(NamedTuple):
    """One model, loaded twice."""

    ours: Any
    theirs: Any


def bert_folder(folder: Path, kind: type[Any], **settings: Any) -> Path:
    """A small BERT of random weights, as transformers saves it."""
    torch.manual_seed(1)
    kind(BertConfig(**SETTINGS, **settings)).save_pretrained(str(folder))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 48}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def prompted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with prompts, a default prompt, a dense layer, a cut and dot products."""
    base = bert_folder(tmp_path_factory.mktemp("bert"), BertModel)
    model = SentenceTransformer(
        modules=[
            Transformer(str(base), max_seq_length=24),
            Pooling(32, "mean", include_prompt=False),
            Dense(32, 20),
        ],
        prompts={"query": "find: ", "passage": "a bank ", "document": ""},
        default_prompt_name="passage",
        similarity_fn_name="dot",
        truncate_dim=12,
        device="cpu",
    )
    saved = tmp_path_factory.mktemp("prompted")
    model.save_pretrained(str(saved), create_model_card=False)
    return saved


@pytest.fixture(scope="session")
def minilm(minilm_folder: Path) -> Both:
    theirs = SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True)
    return Both(drop_in.SentenceTransformer(str(minilm_folder), device="cpu"), theirs)


@pytest.fixture(scope="session")
def prompted(prompted_folder: Path) -> Both:
    theirs = SentenceTransformer(str(prompted_folder), device="cpu", local_files_only=True)
    return Both(drop_in.SentenceTransformer(str(prompted_folder), device="cpu"), theirs)
