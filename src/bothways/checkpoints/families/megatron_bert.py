"""Megatron-BERT (Shoeybi et al. 2019): BERT with a norm before each sublayer and one at the end."""

import dataclasses

from bothways.checkpoints.families import bert
from bothways.checkpoints.key_table import KeyTable, Rows

_EMBEDDING: Rows = {name: ours for name, ours in bert.EMBEDDING.items() if "LayerNorm" not in name}
_SUBLAYERS: Rows = {name: ours for name, ours in bert.BLOCK.items() if "LayerNorm" not in name}

MEGATRON_BERT = dataclasses.replace(
    bert.BERT,
    model_type="megatron-bert",
    base_class="MegatronBertModel",
    fixed={"norm_placement": "pre", "final_norm": True, "embedding_norm": False},
    rows=dict(bert.FIELDS)
    | {
        "vocab_size": ("vocab_size", 29056),
        "hidden_size": ("d_model", 1024),
        "num_hidden_layers": ("num_layers", 24),
        "num_attention_heads": ("num_heads", 16),
        "intermediate_size": ("d_ff", 4096),
    },
    tables=(
        KeyTable(
            _EMBEDDING
            | _SUBLAYERS
            | bert.POOLER
            | {
                "encoder.layer.{i}.attention.ln.{p}": "blocks.{i}.attention_norm.{p}",
                "encoder.layer.{i}.ln.{p}": "blocks.{i}.feed_forward_norm.{p}",
                "encoder.ln.{p}": "final_norm.{p}",
            },
            heads=bert.HEAD_ROWS,
            prefixes=("", "bert."),
            aliases=bert.ALIASES,
        ),
    ),
)
