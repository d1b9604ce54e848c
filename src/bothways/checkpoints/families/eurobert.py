"""EuroBERT (Boizard et al. 2025): Llama's layers, with attention in both directions."""

from typing import Any

from bothways.checkpoints.families import jina_v5, llama
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import (
    DECODER,
    HeadArchitecture,
    Settings,
)
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.rotary_fields import read_rotary, write_rotary
from bothways.errors import CheckpointError
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig, HeadPooling
from bothways.model.heads import Head, HeadLayer

_POOLINGS: dict[str, HeadPooling] = {"bos": "cls", "mean": "mean", "late": "mean"}
"""Of a classifier; `late` averages its outputs at all positions."""


def read_attention(fields: Fields, values: dict[str, Any]) -> None:
    """Read heads and rotary positions."""
    llama.read_grouped_heads(fields, values, heads=None, width=None)
    read_rotary(fields, values, 10_000.0)


def write_attention(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_attention`."""
    return llama.write_grouped_heads(config) | write_rotary(config)


def logits_of_tokens(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """One layer, which has a bias if the feed-forward has one."""
    return (HeadLayer(name=DECODER, outputs=outputs, bias=config.feed_forward_bias, tied=True),)


def logits_of_classes(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """A dense layer and the output layer."""
    dense = HeadLayer(name="heads.classifier.dense", outputs=config.d_model, activation="gelu")
    return dense, HeadLayer(name="heads.classifier", outputs=outputs)


def logits_of_tags(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """The output layer."""
    return (HeadLayer(name="heads.classifier", outputs=outputs),)


def read_pooling(settings: Settings) -> HeadPooling:
    """The pooling of a classifier.

    Raises:
        CheckpointError: for another than those of the implementation.
    """
    name = _name_of_pooling(settings)
    if name not in _POOLINGS:
        raise CheckpointError(
            f"classifier_pooling={brief(name)}: expected one of {', '.join(_POOLINGS)}"
        )
    return _POOLINGS[name]


def pools_outputs(settings: Settings) -> bool:
    """Whether a classifier averages its outputs at all positions."""
    return _name_of_pooling(settings) == "late"


def write_pooling(head: Head) -> dict[str, Any]:
    """The inverse of `read_pooling`."""
    if head.pooling is None:
        return {}
    if head.pools_outputs:
        return {"classifier_pooling": "late"}
    return {"classifier_pooling": "bos" if head.pooling == "cls" else "mean"}


def _name_of_pooling(settings: Settings) -> str:
    return Fields(settings, "config.json").text("classifier_pooling", "late")


_HEADS = (
    HeadArchitecture(classes=("ForMaskedLM",), outputs="vocabulary", layers=logits_of_tokens),
    HeadArchitecture(
        classes=("ForSequenceClassification",),
        outputs="sequence",
        layers=logits_of_classes,
        pooling=read_pooling,
        pools_outputs=pools_outputs,
        settings=write_pooling,
    ),
    HeadArchitecture(
        classes=("ForTokenClassification",), outputs="positions", layers=logits_of_tags
    ),
)

EUROBERT = Family(
    model_type="eurobert",
    base_class="EuroBertModel",
    rows={
        "vocab_size": ("vocab_size", 128256),
        "hidden_size": ("d_model", 768),
        "num_hidden_layers": ("num_layers", 12),
        "num_attention_heads": ("num_heads", 12),
        "intermediate_size": ("d_ff", 3072),
        "hidden_act": ("activation", "silu"),
        "max_position_embeddings": ("max_length", 8192),
        "rms_norm_eps": ("norm_eps", 1e-5),
        "attention_bias": ("attention_bias", False),
        "mlp_bias": ("feed_forward_bias", False),
        "attention_dropout": ("attention_dropout", 0.0),
    },
    fixed=llama.FIXED,
    only=llama.ONLY,
    kept=("classifier_pooling",),
    dropped=(
        "pretraining_tp",
        # In the published files: tokens that the tokenizer has too, and a rate that nothing reads.
        "bos_token",
        "eos_token",
        "mask_token",
        "pad_token",
        "hidden_dropout",
    ),
    kept_defaults={"tie_word_embeddings": False},
    reads_scaling=True,
    read_quirks=read_attention,
    write_quirks=write_attention,
    heads=_HEADS,
    tables=(
        KeyTable(
            llama.ROWS,
            heads={
                "lm_head.weight": f"{DECODER}.weight",
                "lm_head.bias": f"{DECODER}.bias",
                "dense.{p}": "heads.classifier.dense.{p}",
                "classifier.{p}": "heads.classifier.{p}",
            },
            prefixes=("", "model."),
        ),
    ),
    is_published_as=jina_v5.is_on_eurobert,
    published_modules=jina_v5.MODULES,
    task_folders=jina_v5.TASK_FOLDERS,
    published_code=jina_v5.CODE
    | frozenset(
        prefix + name
        for prefix in ("", "EuroBERT/EuroBERT-210m--")
        for name in (
            "configuration_eurobert.EuroBertConfig",
            "modeling_eurobert.EuroBertModel",
            "modeling_eurobert.EuroBertPreTrainedModel",
            "modeling_eurobert.EuroBertForMaskedLM",
            "modeling_eurobert.EuroBertForSequenceClassification",
            "modeling_eurobert.EuroBertForTokenClassification",
        )
    ),
    needed={"pad_token_id": 0, "bos_token_id": None, "eos_token_id": None, "mask_token_id": 0},
)
