"""ELECTRA (Clark et al. 2020): BERT with narrower embeddings and other pretraining heads."""

import dataclasses
from typing import Any

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import answer_spans, classifier, masked_tokens
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.model.config import EncoderConfig


def read_embedding_size(fields: Fields, values: dict[str, Any]) -> None:
    """Read the width of embeddings: they are projected only if it differs from the model's."""
    size = fields.integer("embedding_size", 128)
    values["embedding_size"] = None if size == values["d_model"] else size


def write_embedding_size(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_embedding_size`."""
    return {"embedding_size": config.embedding_width}


TOKENIZER = dataclasses.replace(bert.TOKENIZER, name="ElectraTokenizer")

ELECTRA = Family(
    model_type="electra",
    base_class="ElectraModel",
    tokenizer=TOKENIZER,
    rows=dict(bert.FIELDS)
    | {
        "hidden_size": ("d_model", 256),
        "num_attention_heads": ("num_heads", 4),
        "intermediate_size": ("d_ff", 1024),
    },
    only=bert.ABSOLUTE_ONLY,
    kept=(
        "summary_type",
        "summary_use_proj",
        "summary_activation",
        "summary_first_dropout",
        "summary_last_dropout",
        "summary_proj_to_labels",
    ),
    read_quirks=read_embedding_size,
    write_quirks=write_embedding_size,
    heads=(
        masked_tokens("gelu"),
        *classifier("heads.classifier.dense", "gelu", "heads.classifier.output"),
        answer_spans(),
    ),
    tables=(
        KeyTable(
            bert.EMBEDDING | bert.BLOCK | {"embeddings_project.{p}": "embedding.projection.{p}"},
            heads={
                "discriminator_predictions.dense.{p}": "heads.replaced_tokens.dense.{p}",
                "discriminator_predictions.dense_prediction.{p}": (
                    "heads.replaced_tokens.output.{p}"
                ),
                "generator_predictions.dense.{p}": "heads.masked_tokens.dense.{p}",
                "generator_predictions.LayerNorm.{p}": "heads.masked_tokens.norm.{p}",
                "generator_lm_head.weight": "heads.masked_tokens.weight",
                "generator_lm_head.bias": "heads.masked_tokens.bias",
                "sequence_summary.summary.{p}": "heads.summary.{p}",
                "classifier.{p}": "heads.classifier.{p}",
                "classifier.dense.{p}": "heads.classifier.dense.{p}",
                "classifier.out_proj.{p}": "heads.classifier.output.{p}",
                "qa_outputs.{p}": "heads.answer_span.{p}",
            },
            prefixes=("", "electra."),
            aliases=bert.ALIASES,
        ),
    ),
)
