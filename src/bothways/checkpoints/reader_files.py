"""Copying the files of a tokenizer, alphabet or series into another folder."""

import shutil
from pathlib import Path

from bothways.checkpoints.families import FAMILIES
from bothways.io.json_files import has_file, read_optional_object, write_json

__all__ = ["READER_FILES", "TOKENIZER_CONFIG", "copy_reader_files", "write_length_limit"]

TOKENIZER_CONFIG = "tokenizer_config.json"

READER_FILES = (
    # Of bothways.
    "alphabet.json",
    "series.json",
    # Of the tokenizers library and of transformers.
    "tokenizer.json",
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "sentencepiece.model",
    "tokenizer.model",
)
"""Files that define how sequences become tokens, or series become values."""

_VOCABULARIES = tuple(n for n in READER_FILES if n.endswith((".model", "vocab.txt", "vocab.json")))
"""Files whose meaning depends on the class of the tokenizer."""


def copy_reader_files(folder: Path, out: Path, family: str | None = None) -> None:
    """Copy the files of a model's tokenizer, alphabet or series from `folder` into `out`.

    Where only the config.json of `folder` says of which class the tokenizer is, by name or by its
    model_type, the copy of its settings names the class: `out` may have another config, or none.

    family: the model's, for a folder whose config.json does not name it.
    """
    names = [name for name in READER_FILES if has_file(folder / name)]
    for name in names:
        shutil.copyfile(folder / name, out / name)
    settings = read_optional_object(folder / TOKENIZER_CONFIG)
    # A tokenizer.json says everything but what settings beside it override.
    needs_class = {*_VOCABULARIES, TOKENIZER_CONFIG} & {*names}
    if needs_class and settings.get("tokenizer_class") is None:
        config = read_optional_object(folder / "config.json")
        model_type = config.get("model_type", family)
        known = FAMILIES.get(model_type) if isinstance(model_type, str) else None
        usual = None if known is None or known.tokenizer is None else known.tokenizer.name
        class_name = config.get("tokenizer_class") or usual
        if class_name is not None:
            write_json(out / TOKENIZER_CONFIG, settings | {"tokenizer_class": class_name})


def write_length_limit(out: Path, max_length: int) -> None:
    """Write into the settings of a tokenizer how many tokens transformers lets a text have."""
    if any(has_file(out / name) for name in ("tokenizer.json", *_VOCABULARIES)):
        settings = read_optional_object(out / TOKENIZER_CONFIG)
        if settings.get("model_max_length") != max_length:
            write_json(out / TOKENIZER_CONFIG, settings | {"model_max_length": max_length})
