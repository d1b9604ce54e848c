"""JinaBERT (Günther et al. 2023): BERT with ALiBi and a gated feed-forward.

Its files call themselves `bert` and name published code, which bothways never runs.
"""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import POOLER, answer_spans, classifier, masked_tokens
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.errors import UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig

_ACTIVATIONS = {"geglu": "gelu", "reglu": "relu"}
_CODE = "jinaai/jina-bert-implementation--"
_CLASSES = {
    "AutoConfig": "configuration_bert.JinaBertConfig",
    "AutoModel": "modeling_bert.JinaBertModel",
    "AutoModelForMaskedLM": "modeling_bert.JinaBertForMaskedLM",
    "AutoModelForQuestionAnswering": "modeling_bert.JinaBertForQuestionAnswering",
    "AutoModelForSequenceClassification": "modeling_bert.JinaBertForSequenceClassification",
    "AutoModelForTokenClassification": "modeling_bert.JinaBertForTokenClassification",
}

GATED: Rows = {
    # The first half of the rows is activated, and multiplies the second.
    "encoder.layer.{i}.mlp.gated_layers.{p}": (
        "blocks.{i}.feed_forward.gate.{p}",
        "blocks.{i}.feed_forward.up.{p}",
    ),
    "encoder.layer.{i}.mlp.wo.{p}": "blocks.{i}.feed_forward.down.{p}",
    "encoder.layer.{i}.mlp.layernorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
}

EMBEDDING: Rows = {
    name: ours for name, ours in bert.EMBEDDING.items() if "position_embeddings" not in name
}
"""BERT's without a table of positions."""

ATTENTION_OUTPUT: Rows = {
    name: ours for name, ours in bert.BLOCK.items() if ".attention.output." in name
}

_ATTENTION: Rows = {name: ours for name, ours in bert.BLOCK.items() if ".attention." in name}


def is_published_as(values: Mapping[str, Any]) -> bool:
    """Whether a config.json of `bert` has ALiBi."""
    return values.get("model_type") == "bert" and values.get("position_embedding_type") == "alibi"


def read_feed_forward(fields: Fields, values: dict[str, Any]) -> None:
    """Read whether the feed-forward has a gate, and its activation; without a gate it is BERT's."""
    theirs = fields.raw("feed_forward_type", "original")
    if not isinstance(theirs, str) or theirs not in {*_ACTIVATIONS, "original"}:
        raise UnsupportedModel(
            f"{fields.file}: feed_forward_type={brief(theirs)}: "
            f"bothways runs JinaBERT with {', '.join(_ACTIVATIONS)} or original"
        )
    is_gated = theirs != "original"
    values |= {
        "activation": _ACTIVATIONS[theirs] if is_gated else "gelu",
        "gated": is_gated,
        "feed_forward_input_bias": not is_gated,
    }


def write_feed_forward(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_feed_forward`, with the names of the published code."""
    theirs = {ours: name for name, ours in _ACTIVATIONS.items()}
    return {
        "feed_forward_type": theirs.get(config.activation) if config.gated else "original",
        "position_embedding_type": "alibi",
        "auto_map": {auto: _CODE + name for auto, name in _CLASSES.items()},
    }


JINA_BERT = Family(
    model_type="jina_bert",
    file_type="bert",
    base_class="JinaBertModel",
    in_transformers=False,
    is_published_as=is_published_as,
    tokenizer=bert.TOKENIZER,
    rows={name: row for name, row in bert.FIELDS.items() if name != "hidden_act"},
    fixed={
        "position_embedding": "none",
        "attention_positions": "alibi",
    },
    # hidden_act is that of the masked-token head; the feed-forward's type decides on its own.
    only={"position_embedding_type": ("alibi",), "hidden_act": ("gelu",)},
    needed={"hidden_act": "gelu"},
    dropped=(
        *bert.UNUSED,
        # What encode() of the published code does; modules.json says the same.
        "emb_pooler",
        "model_max_length",
        "attn_implementation",
    ),
    read_quirks=read_feed_forward,
    write_quirks=write_feed_forward,
    published_code=frozenset(prefix + name for prefix in ("", _CODE) for name in _CLASSES.values()),
    heads=(masked_tokens("gelu", "ForPreTraining"), *classifier(POOLER, "tanh"), answer_spans()),
    tables=(
        KeyTable(
            EMBEDDING | _ATTENTION | GATED | bert.POOLER,
            heads=bert.HEAD_ROWS,
            prefixes=("", "bert."),
        ),
        KeyTable(
            EMBEDDING | bert.BLOCK | bert.POOLER, heads=bert.HEAD_ROWS, prefixes=("", "bert.")
        ),
    ),
)
