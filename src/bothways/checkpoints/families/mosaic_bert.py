"""MosaicBERT (Portes et al. 2023) and DNABERT-2 (Zhou et al. 2024): BERT with ALiBi and GeGLU.

Its files call themselves `bert`, or nothing, and name published code, which bothways never runs.
"""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families import bert, jina_bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import POOLER, classifier, masked_tokens
from bothways.checkpoints.key_table import KeyTable
from bothways.model.config import EncoderConfig

_CLASSES = {
    "AutoConfig": "configuration_bert.BertConfig",
    "AutoModel": "bert_layers.BertModel",
    "AutoModelForMaskedLM": "bert_layers.BertForMaskedLM",
    "AutoModelForSequenceClassification": "bert_layers.BertForSequenceClassification",
}
_REPOSITORIES = ("", "zhihan1996/DNABERT-2-117M--", "mosaicml/mosaic-bert-base--")


def is_published_as(values: Mapping[str, Any]) -> bool:
    """Whether a config.json of `bert`, or without model_type, names the published code."""
    if values.get("model_type") not in (None, "bert"):
        return False
    code = values.get("auto_map")
    named = code.values() if isinstance(code, Mapping) else ()
    return "alibi_starting_size" in values or any(
        isinstance(name, str) and "bert_layers." in name for name in named
    )


def write_code(config: EncoderConfig) -> dict[str, Any]:
    """The fields that the published code reads besides BERT's."""
    return {
        "hidden_act": "gelu",
        "alibi_starting_size": config.max_length,
        "auto_map": {auto: _REPOSITORIES[1] + name for auto, name in _CLASSES.items()},
    }


MOSAIC_BERT = Family(
    model_type="mosaic_bert",
    file_type="bert",
    base_class="BertModel",
    in_transformers=False,
    is_published_as=is_published_as,
    tokenizer=bert.TOKENIZER,
    rows=bert.FIELDS,
    fixed={
        "position_embedding": "none",
        "attention_positions": "alibi",
        "gated": True,
        "feed_forward_input_bias": False,
    },
    only=dict(bert.ABSOLUTE_ONLY) | {"hidden_act": ("gelu",)},
    dropped=(
        *bert.UNUSED,
        "alibi_starting_size",  # for which the code computes biases at its start; it adds to them
        "flash_attn",
    ),
    write_quirks=write_code,
    published_code=frozenset(
        prefix + name for prefix in _REPOSITORIES for name in _CLASSES.values()
    ),
    heads=(masked_tokens(None), *classifier(POOLER, "tanh")),
    tables=(
        KeyTable(
            jina_bert.EMBEDDING
            | jina_bert.ATTENTION_OUTPUT
            | jina_bert.GATED
            | bert.POOLER
            | {
                "encoder.layer.{i}.attention.self.Wqkv.{p}": (
                    "blocks.{i}.attention.query.{p}",
                    "blocks.{i}.attention.key.{p}",
                    "blocks.{i}.attention.value.{p}",
                ),
            },
            heads=bert.HEAD_ROWS,
            prefixes=("", "bert."),
        ),
    ),
)
