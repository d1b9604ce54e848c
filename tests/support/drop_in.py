"""Models as sentence-transformers and bothways load them, and the comparison of results."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sentence_transformers
import torch
from transformers import BertConfig

from bothways import drop_in

TOLERANCE = 1e-5

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


def load_both(name: str, folder: Path, **options: Any) -> Both:
    """The model of a folder as the class `name` of both libraries."""
    options = {"device": "cpu", "local_files_only": True, **options}
    ours, theirs = (
        getattr(m, name)(str(folder), **options) for m in (drop_in, sentence_transformers)
    )
    return Both(ours, theirs)


def assert_equal(ours: Any, theirs: Any) -> None:
    """The same type, shape and data type, and values within the tolerance."""
    assert isinstance(ours, type(theirs))
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_equal(one, other)
        return
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    scale = max(1.0, float(np.abs(np.asarray(theirs, np.float64)).max(initial=0)))
    tolerance = 1 if np.asarray(ours).dtype.itemsize == 1 else TOLERANCE * scale
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(theirs, np.float64), rtol=0, atol=tolerance
    )
