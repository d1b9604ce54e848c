"""What the two bases of jina-embeddings-v5 have in common (Jina AI 2026).

The models are Qwen3 (text-small) and EuroBERT (text-nano), with adapters for tasks, pooled by the
last position. They were published with code of their own, which bothways never runs: it loads the
base, and applies an adapter. bothways reads them as models of the base, and writes those.
"""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.family import TaskFolders
from bothways.model.pooling import Pooling

TASK_FOLDERS = TaskFolders("task_names", Pooling(("last",)))

_REPOSITORIES = (
    "",
    "jinaai/jina-embeddings-v5-text-small--",
    "jinaai/jina-embeddings-v5-text-nano--",
)
CODE = frozenset(
    prefix + name
    for prefix in _REPOSITORIES
    for name in (
        "configuration_jina_embeddings_v5.JinaEmbeddingsV5Config",
        "modeling_jina_embeddings_v5.JinaEmbeddingsV5Model",
    )
)
"""Values of `auto_map` that name the published code."""

MODULES = frozenset({"custom_st.Transformer"})


def is_on_eurobert(values: Mapping[str, Any]) -> bool:
    """Whether a config.json of jina-embeddings-v5 has the fields of EuroBERT."""
    return _is_published(values) and "mlp_bias" in values


def is_on_qwen3(values: Mapping[str, Any]) -> bool:
    """Whether a config.json of jina-embeddings-v5 has those of Qwen3."""
    return _is_published(values) and "mlp_bias" not in values


def _is_published(values: Mapping[str, Any]) -> bool:
    return values.get("model_type") == "jina_embeddings_v5"
