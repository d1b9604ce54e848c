"""DistilBERT (Sanh et al. 2019): BERT without segments and pooler, with its own names."""

import dataclasses
from typing import Any

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import answer_spans, classifier, masked_tokens
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable

_OTHER_NAMES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
}
"""Names that transformers takes for `dim`, `n_layers` and `n_heads`."""


def read_other_names(fields: Fields, values: dict[str, Any]) -> None:
    """Read the sizes by other names, where the file does not give them by the usual ones."""
    for theirs, (ours, _) in DISTILBERT.rows.items():
        for other, named in _OTHER_NAMES.items():
            if named == ours and other in fields and theirs not in fields:
                values[ours] = fields.integer(other)
            elif named == ours:
                fields.only(other, values[ours], because=f"it differs from {theirs}")


TOKENIZER = dataclasses.replace(bert.TOKENIZER, name="DistilBertTokenizer")

DISTILBERT = Family(
    model_type="distilbert",
    base_class="DistilBertModel",
    tokenizer=TOKENIZER,
    rows={
        "vocab_size": ("vocab_size", 30522),
        "dim": ("d_model", 768),
        "n_layers": ("num_layers", 6),
        "n_heads": ("num_heads", 12),
        "hidden_dim": ("d_ff", 4 * 768),
        "activation": ("activation", "gelu"),
        "max_position_embeddings": ("max_length", 512),
        "dropout": ("dropout", 0.1),
        "attention_dropout": ("attention_dropout", 0.1),
    },
    kept=(
        "qa_dropout",
        "seq_classif_dropout",
        # How the position table was initialized; the file contains the table itself.
        "sinusoidal_pos_embds",
    ),
    dropped=("tie_weights_",),
    read_quirks=read_other_names,
    heads=(masked_tokens(), *classifier("heads.classifier.dense", "relu"), answer_spans()),
    tables=(
        KeyTable(
            {
                "embeddings.word_embeddings.weight": "embedding.token.weight",
                "embeddings.position_embeddings.weight": "embedding.position.weight",
                "embeddings.LayerNorm.{p}": "embedding.norm.{p}",
                "embeddings.position_ids": None,  # a buffer: 0, 1, 2, ...
                "transformer.layer.{i}.attention.q_lin.{p}": "blocks.{i}.attention.query.{p}",
                "transformer.layer.{i}.attention.k_lin.{p}": "blocks.{i}.attention.key.{p}",
                "transformer.layer.{i}.attention.v_lin.{p}": "blocks.{i}.attention.value.{p}",
                "transformer.layer.{i}.attention.out_lin.{p}": "blocks.{i}.attention.output.{p}",
                "transformer.layer.{i}.sa_layer_norm.{p}": "blocks.{i}.attention_norm.{p}",
                "transformer.layer.{i}.ffn.lin1.{p}": "blocks.{i}.feed_forward.up.{p}",
                "transformer.layer.{i}.ffn.lin2.{p}": "blocks.{i}.feed_forward.down.{p}",
                "transformer.layer.{i}.output_layer_norm.{p}": "blocks.{i}.feed_forward_norm.{p}",
            },
            heads={
                "vocab_transform.{p}": "heads.masked_tokens.dense.{p}",
                "vocab_layer_norm.{p}": "heads.masked_tokens.norm.{p}",
                "vocab_projector.weight": "heads.masked_tokens.weight",
                "vocab_projector.bias": "heads.masked_tokens.bias",
                "pre_classifier.{p}": "heads.classifier.dense.{p}",
                "classifier.{p}": "heads.classifier.{p}",
                "qa_outputs.{p}": "heads.answer_span.{p}",
            },
            prefixes=("", "distilbert."),
            aliases={"gamma": "weight", "beta": "bias"},
        ),
    ),
)
