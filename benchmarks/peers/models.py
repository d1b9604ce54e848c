"""Cache of models converted for a peer, in the user's cache folder."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["converted", "example_inputs", "pooled_module"]


def converted(name: str, library: str, make: Callable[[Path], None]) -> Path:
    """The cached folder for this version of `library`; `make` fills it on first use."""
    version = importlib.metadata.version(library)
    cache = platformdirs.user_cache_path("bothways-benchmarks")
    folder = cache / f"{name}-{version}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=cache))
        try:
            make(scratch)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder


def pooled_module(attention: str) -> Any:
    """`minilm` in transformers, followed by mean pooling, as a torch module for converters.

    attention: the attention implementation of transformers: `eager` (matrix products and softmax)
        or `sdpa`.
    """
    import torch
    from transformers import AutoModel

    from bothways.checkpoints import resolve

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModel.from_pretrained(
                str(resolve("minilm")), attn_implementation=attention
            )

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask)[0]
            weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled: torch.Tensor = (hidden * weights).sum(1) / weights.sum(1)
            return pooled

    return Pooled().eval()


def example_inputs() -> Any:
    """Ids and mask of a small padded batch, both int64 (3, 17)."""
    import torch

    mask = torch.ones(3, 17, dtype=torch.long)
    mask[1, 9:] = 0
    return torch.randint(1000, 2000, (3, 17)), mask
