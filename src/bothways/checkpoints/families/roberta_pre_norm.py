"""RoBERTa with norms before each sublayer: fairseq's `--encoder-normalize-before`, XLM-RoBERTa XL.

RoBERTa-PreLayerNorm is of Ott et al. 2019 (fairseq), XLM-RoBERTa XL of Goyal et al. 2021.
"""

import dataclasses

from bothways.checkpoints.families import bert
from bothways.checkpoints.families.roberta import CLASSIFIERS, MASKED_TOKENS, ROBERTA, XLM_ROBERTA
from bothways.checkpoints.key_table import KeyTable, Rows

_SUBLAYERS: Rows = {name: ours for name, ours in bert.BLOCK.items() if "LayerNorm" not in name}

ROBERTA_PRELAYERNORM = dataclasses.replace(
    ROBERTA,
    model_type="roberta-prelayernorm",
    base_class="RobertaPreLayerNormModel",
    fixed={"norm_placement": "pre", "final_norm": True},
    tables=(
        KeyTable(
            bert.EMBEDDING
            | _SUBLAYERS
            | bert.POOLER
            | {
                "encoder.layer.{i}.attention.LayerNorm.{p}": "blocks.{i}.attention_norm.{p}",
                "encoder.layer.{i}.intermediate.LayerNorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
                "LayerNorm.{p}": "final_norm.{p}",
            },
            heads=MASKED_TOKENS | CLASSIFIERS,
            prefixes=("", "roberta_prelayernorm."),
            aliases=bert.ALIASES,
        ),
    ),
)

_EMBEDDING: Rows = {name: ours for name, ours in bert.EMBEDDING.items() if "LayerNorm" not in name}

XLM_ROBERTA_XL = dataclasses.replace(
    XLM_ROBERTA,
    model_type="xlm-roberta-xl",
    base_class="XLMRobertaXLModel",
    fixed={"norm_placement": "pre", "final_norm": True, "embedding_norm": False},
    rows=dict(bert.FIELDS)
    | {
        "vocab_size": ("vocab_size", 250880),
        "hidden_size": ("d_model", 2560),
        "num_hidden_layers": ("num_layers", 36),
        "num_attention_heads": ("num_heads", 32),
        "intermediate_size": ("d_ff", 10240),
        "max_position_embeddings": ("max_length", 514),
        "type_vocab_size": ("num_segments", 1),
        "layer_norm_eps": ("norm_eps", 1e-5),
    },
    tables=(
        KeyTable(
            _EMBEDDING
            | _SUBLAYERS
            | bert.POOLER
            | {
                "encoder.layer.{i}.attention.self_attn_layer_norm.{p}": (
                    "blocks.{i}.attention_norm.{p}"
                ),
                "encoder.layer.{i}.LayerNorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
                "encoder.LayerNorm.{p}": "final_norm.{p}",
            },
            heads=MASKED_TOKENS | CLASSIFIERS,
            prefixes=("", "roberta."),
            aliases=bert.ALIASES,
        ),
    ),
)
