"""fastembed with ONNX Runtime in fp32, from text.

It has its own tokenization, batches and pooling, so that only encoding from text can be measured.
Its catalog has no file that may be used here without a download: the model of transformers is
exported as fastembed's own `model.onnx` is, without fused operators.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bothways.checkpoints import resolve
from peers.models import converted, example_inputs, pooled_module
from peers.peer import Setting

__all__ = ["FastEmbedPeer", "open_peer"]

_NAME = "benchmark/minilm"
_DEFAULT = Setting(256, "sequences")
_TOKENIZER_FILES = (
    "config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip


class FastEmbedPeer:
    """fastembed as a peer that reads texts."""

    settings = (_DEFAULT,)

    def __init__(self, folder: Path, threads: int) -> None:
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        TextEmbedding.add_custom_model(
            model=_NAME,
            pooling=PoolingType.DISABLED,  # the graph pools
            normalization=True,
            sources=ModelSource(hf=_NAME),
            dim=384,
            model_file="model.onnx",
        )
        self._model = TextEmbedding(_NAME, threads=threads, specific_model_path=str(folder))

    def encode_ids(self, ids: Sequence[np.ndarray], setting: Setting) -> np.ndarray:
        """Not possible: fastembed reads texts."""
        raise NotImplementedError("fastembed reads texts")

    def encode_texts(self, texts: list[str], max_length: int, setting: Setting) -> np.ndarray:
        """Encode texts, cut to `max_length` tokens, into unit vectors, float32 (n, D)."""
        self._model.model.tokenizer.enable_truncation(max_length)
        return np.stack(list(self._model.embed(texts, batch_size=setting.size))).astype(np.float32)


def open_peer(precision: str, threads: int) -> FastEmbedPeer:
    """Open fastembed in fp32, with its default batches."""
    return FastEmbedPeer(converted("fastembed", "fastembed", _convert), threads)


def _convert(folder: Path) -> None:
    import torch

    sizes = {0: "sequences", 1: "positions"}
    torch.onnx.export(
        pooled_module("sdpa"),
        example_inputs(),
        str(folder / "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["pooled"],
        dynamic_axes={"input_ids": sizes, "attention_mask": sizes},
        opset_version=17,
        dynamo=False,
    )
    for name in _TOKENIZER_FILES:
        if (source := resolve("minilm") / name).exists():
            shutil.copy(source, folder / name)
