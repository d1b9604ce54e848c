"""ESM-2 and ESM-1b (Lin et al. 2022, Rives et al. 2021): pre-norm encoders of protein sequences.

ESM-2 has rotary positions. Its released weights were trained with frequencies rounded to half
precision, which the frequencies in the files show. ESM-1b has learned positions.

Nucleotide Transformer v2 (Dalla-Torre et al. 2025) is ESM-2 with a gated feed-forward. Its folders
have `model_type: esm` and name code of their own, which bothways never runs; the class of
transformers cannot load them, so that they are not exported to it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bothways.checkpoints.families import bert
from bothways.checkpoints.families.roberta import (
    CLASSIFIERS,
    HEADS,
    MASKED_TOKENS,
    set_padding,
    write_offset,
)
from bothways.checkpoints.family import Family
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.errors import UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig

_ROUNDING = 1e-6
"""Relative tolerance: frequencies in float32 can differ in the last bits."""


def read_variant(fields: Fields, values: dict[str, Any]) -> None:
    """Read the kind of positions, the embedding norm and the treatment of mask tokens."""
    values["vocab_size"] = fields.integer("vocab_size")
    values["embedding_norm"] = _flag_or_null(fields, "emb_layer_norm_before")
    if _flag_or_null(fields, "token_dropout"):
        values["rescaled_mask_token"] = fields.integer("mask_token_id")
    if fields.raw("auto_map"):  # names the code of Nucleotide Transformer v2
        values |= {"gated": True, "activation": "silu"}
        values["feed_forward_bias"] = fields.flag("add_bias_fnn", True)
    rotary_base = fields.number("rope_theta", 10_000.0)
    fields.only("head_dim", None, values["d_model"] // max(values["num_heads"], 1))
    match fields.raw("position_embedding_type", "absolute"):
        case "rotary":
            values |= {
                "position_embedding": "none",
                "attention_positions": "rotary",
                "rotary_base": rotary_base,
            }
        case "absolute":
            set_padding(values, fields.integer("pad_token_id"))
        case kind:
            raise UnsupportedModel(
                f"{fields.file}: position_embedding_type={brief(kind)}: "
                "bothways runs 'rotary' and 'absolute' positions"
            )


def write_variant(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_variant`."""
    theirs = {
        "vocab_size": config.vocab_size,
        "emb_layer_norm_before": config.embedding_norm,
        "token_dropout": config.rescaled_mask_token is not None,
    }
    if config.rescaled_mask_token is not None:
        theirs["mask_token_id"] = config.rescaled_mask_token
    if config.attention_positions == "rotary":
        return theirs | {"position_embedding_type": "rotary", "rope_theta": config.rotary_base}
    return theirs | {"position_embedding_type": "absolute"} | write_offset(config)


def read_frequencies(
    config: EncoderConfig, arrays: Mapping[str, np.ndarray], file: str
) -> EncoderConfig:
    """Read the precision of the rotary frequencies, which a file has once or once per layer."""
    carried = {key: a for key, a in arrays.items() if key.endswith("rotary_embeddings.inv_freq")}
    if config.attention_positions != "rotary" or not carried:
        return config
    # Before frequencies are computed, whose number a config gives without weights to confirm it.
    if all(array.shape == (config.head_width // 2,) for array in carried.values()):
        for candidate in (config, dataclasses.replace(config, rotary_precision="float16")):
            expected = np.array(candidate.rotation(0).frequencies)
            if all(np.allclose(a, expected, rtol=_ROUNDING, atol=0) for a in carried.values()):
                return candidate
    raise UnsupportedModel(
        f"{file}: {next(iter(carried))!r} has rotary frequencies that differ from "
        f"those of rope_theta={config.rotary_base}, exact or rounded to float16"
    )


def write_buffers(config: EncoderConfig) -> dict[str, np.ndarray]:
    """The arrays that transformers expects in every file: frequencies and a contact head."""
    maps = config.num_layers * config.num_heads
    buffers = {
        "contact_head.regression.weight": np.zeros((1, maps), np.float32),
        "contact_head.regression.bias": np.zeros(1, np.float32),
    }
    if config.attention_positions == "rotary":
        frequencies = np.array(config.rotation(0).frequencies, dtype=np.float32)
        buffers["rotary_embeddings.inv_freq"] = frequencies
    return buffers


def _flag_or_null(fields: Fields, name: str) -> bool:
    return fields.raw(name) is not None and fields.flag(name)


_ROWS: Rows = bert.POOLER | {
    "embeddings.word_embeddings.weight": "embedding.token.weight",
    "embeddings.layer_norm.{p}": "embedding.norm.{p}",
    "embeddings.position_ids": None,  # a buffer: 0, 1, 2, ...
    # Read by `read_frequencies`. Files have them once or in each layer; some releases of
    # transformers 5 save them once, with a star in the name.
    "rotary_embeddings.inv_freq": None,
    "encoder.layer.{i}.attention.self.rotary_embeddings.inv_freq": None,
    "encoder.layer.*.attention.self.rotary_embeddings.inv_freq": None,
    "encoder.layer.{i}.attention.self.query.{p}": "blocks.{i}.attention.query.{p}",
    "encoder.layer.{i}.attention.self.key.{p}": "blocks.{i}.attention.key.{p}",
    "encoder.layer.{i}.attention.self.value.{p}": "blocks.{i}.attention.value.{p}",
    "encoder.layer.{i}.attention.output.dense.{p}": "blocks.{i}.attention.output.{p}",
    "encoder.layer.{i}.attention.LayerNorm.{p}": "blocks.{i}.attention_norm.{p}",
    "encoder.layer.{i}.intermediate.dense.{p}": "blocks.{i}.feed_forward.up.{p}",
    "encoder.layer.{i}.output.dense.{p}": "blocks.{i}.feed_forward.down.{p}",
    "encoder.layer.{i}.LayerNorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
    "encoder.emb_layer_norm_after.{p}": "final_norm.{p}",
    "contact_head.regression.{p}": "heads.contacts.{p}",
}


_GATED: Rows = {
    # silu(first half) · second half
    "encoder.layer.{i}.intermediate.dense.{p}": (
        "blocks.{i}.feed_forward.gate.{p}",
        "blocks.{i}.feed_forward.up.{p}",
    ),
}


def _table(position_table: str | None, rows: Rows = _ROWS) -> KeyTable:
    return KeyTable(
        rows | {"embeddings.position_embeddings.weight": position_table},
        heads=MASKED_TOKENS | CLASSIFIERS,
        prefixes=("", "esm."),
        aliases=bert.ALIASES,
    )


TOKENIZER = TokenizerClass(
    "EsmTokenizer",
    "symbols",
    {
        "unk_token": "<unk>",
        "cls_token": "<cls>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
        "eos_token": "<eos>",
    },
)

ESM = Family(
    model_type="esm",
    base_class="EsmModel",
    tokenizer=TOKENIZER,
    rows={
        "hidden_size": ("d_model", 768),
        "num_hidden_layers": ("num_layers", 12),
        "num_attention_heads": ("num_heads", 12),
        "intermediate_size": ("d_ff", 3072),
        "max_position_embeddings": ("max_length", 1026),
        "layer_norm_eps": ("norm_eps", 1e-12),
        "hidden_dropout_prob": ("dropout", 0.1),
        "attention_probs_dropout_prob": ("attention_dropout", 0.1),
    },
    fixed={"norm_placement": "pre", "final_norm": True, "activation": "gelu"},
    only={
        "hidden_act": ("gelu",),
        "is_folding_model": (False, None),
        "esmfold_config": (None,),
        "vocab_list": (None,),
    },
    read_quirks=read_variant,
    write_quirks=write_variant,
    dropped=(*bert.UNUSED, "use_esm_attn_map"),
    needed={"pad_token_id": 1},
    from_weights=read_frequencies,
    buffers=write_buffers,
    heads=HEADS,
    # Files of rotary models can contain an unused position table.
    tables=(_table("embedding.position.weight"), _table(None), _table(None, _ROWS | _GATED)),
    published_code=frozenset(
        (
            "esm_config.EsmConfig",
            "modeling_esm.EsmModel",
            *(f"modeling_esm.Esm{head.classes[0]}" for head in HEADS),
        )
    ),
)
