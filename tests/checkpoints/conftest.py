"""Tiny model folders, built without the libraries that usually write them."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.weight_files import write_safetensors
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize

TINY = EncoderConfig(
    num_layers=2, num_heads=2, d_model=8, d_ff=12, max_length=16, vocab_size=20, num_segments=2
)


@dataclasses.dataclass(frozen=True)
class Tiny:
    """A model folder under construction: change its files, then read it."""

    path: Path
    config: EncoderConfig
    weights: dict[str, np.ndarray]

    def edit(self, changes: dict[str, Any], file: str = "config.json") -> None:
        """Change fields of a JSON file, and create the missing ones."""
        path = self.path / file
        values = json.loads(path.read_text()) if path.is_file() else {}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(values | changes))

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by their names in the file."""
        return FAMILIES["bert"].tables[0].write(self.weights, {})

    def save(self, arrays: dict[str, np.ndarray], file: str = "model.safetensors") -> None:
        """Write weights as float32, by their names in the file."""
        write_safetensors(self.path / file, arrays)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A BERT folder as transformers writes it."""
    folder = Tiny(tmp_path / "tiny", TINY, initialize(TINY))
    folder.path.mkdir()
    folder.edit(FAMILIES["bert"].write_config(TINY, {}))
    folder.save(folder.arrays())
    return folder


@pytest.fixture
def tiny_sentences(tiny: Tiny) -> Tiny:
    """The same as a sentence-transformers folder: mean pooling and normalization."""
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    (tiny.path / "modules.json").write_text(
        json.dumps(
            [
                {
                    "idx": i,
                    "name": str(i),
                    "path": path,
                    "type": f"sentence_transformers.models.{t}",
                }
                for i, (t, path) in enumerate(modules)
            ]
        )
    )
    tiny.edit(
        {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}, "1_Pooling/config.json"
    )
    tiny.edit({"max_seq_length": 10, "do_lower_case": False}, "sentence_bert_config.json")
    return tiny


@pytest.fixture
def set_modules(tiny_sentences: Tiny) -> Callable[[list[dict[str, Any]]], None]:
    """Replace the modules of `tiny_sentences`."""

    def replace(modules: list[dict[str, Any]]) -> None:
        (tiny_sentences.path / "modules.json").write_text(json.dumps(modules))

    return replace
