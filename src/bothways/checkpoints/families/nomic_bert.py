"""NomicBERT (Nussbaum et al. 2024): BERT with rotary positions and a gated feed-forward.

It was published with GPT-2's config fields and its own code, which bothways never runs;
transformers uses other names, and published files mix both. bothways reads all of them, and writes
those of transformers.
"""

from typing import Any

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import Family, activation, check_num_layers
from bothways.checkpoints.head_architectures import POOLER, classifier, masked_tokens
from bothways.checkpoints.json_fields import MISSING, Fields, same
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.rotary_fields import read_rotary, write_rope_parameters
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig

_ACTIVATIONS = {"swiglu": "silu", "geglu": "gelu"}
CODE = "nomic-ai/nomic-bert-2048--"


def read_both(fields: Fields, values: dict[str, Any]) -> None:
    """Read fields by their original names, by transformers' names, or by both if they agree."""
    values["activation"] = _activation(fields)
    read_all_but_activation(fields, values)


def read_all_but_activation(fields: Fields, values: dict[str, Any]) -> None:
    """Read the fields that do not concern the feed-forward's kind, by either name."""
    original = "n_embd" in fields
    width = values["d_model"] = _integer(fields, "hidden_size", "n_embd", 768)
    values["num_layers"] = _integer(fields, "num_hidden_layers", "n_layer", 12)
    check_num_layers(fields.file, values["num_layers"])
    heads = values["num_heads"] = _integer(fields, "num_attention_heads", "n_head", 12)
    default = 4 * width if original else 3072
    if fields.raw("n_inner") is None:
        values["d_ff"] = fields.integer("intermediate_size", default)
    else:
        values["d_ff"] = _integer(fields, "intermediate_size", "n_inner", default)
    trained = fields.integer("max_position_embeddings", 2048)
    values["max_length"] = fields.integer("n_positions", trained)
    values["norm_eps"] = _number(fields, "layer_norm_eps", "layer_norm_epsilon", 1e-12)
    values["dropout"] = _number(fields, "hidden_dropout_prob", "resid_pdrop", 0.0)
    values["attention_dropout"] = _number(fields, "attention_probs_dropout_prob", "attn_pdrop", 0.0)
    _read_positions(fields, values)
    values["attention_bias"] = fields.flag("qkv_proj_bias", original)
    values["feed_forward_bias"] = fields.flag("mlp_fc1_bias", original)
    fields.only("mlp_fc2_bias", values["feed_forward_bias"], because="it differs from mlp_fc1_bias")
    fields.only("head_dim", None, width // max(heads, 1))
    fields.only("num_heads_kv", None, heads)
    multiple = fields.integer("pad_vocab_size_multiple", 1, at_least=1)
    values["vocab_size"] = -(-values["vocab_size"] // multiple) * multiple


def write_transformers(config: EncoderConfig) -> dict[str, Any]:
    """The config of transformers, which does not support biases."""
    return {
        "hidden_size": config.d_model,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.d_ff,
        "max_position_embeddings": config.max_length,
        "layer_norm_eps": config.norm_eps,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "hidden_act": config.activation,
        "rope_parameters": write_rope_parameters(config),
    }


def _integer(fields: Fields, name: str, original: str, default: int) -> int:
    _agree(fields, name, original)
    return fields.integer(original if original in fields else name, default)


def _number(fields: Fields, name: str, original: str, default: float) -> float:
    _agree(fields, name, original)
    return fields.number(original if original in fields else name, default)


def _agree(fields: Fields, name: str, original: str) -> None:
    if name in fields and original in fields and not same(fields.raw(name), fields.raw(original)):
        raise CheckpointError(
            f"{fields.file}: {name}={brief(fields.raw(name))} and "
            f"{original}={brief(fields.raw(original))} mean the same and differ"
        )


def _activation(fields: Fields) -> str:
    if fields.raw("activation_function") is None:
        return activation(fields, "hidden_act", "silu")
    theirs = fields.text("activation_function")
    if theirs not in _ACTIVATIONS:
        raise UnsupportedModel(
            f"{fields.file}: activation_function={brief(theirs)}: "
            f"bothways runs NomicBERT with {' or '.join(_ACTIVATIONS)}"
        )
    if _ACTIVATIONS[theirs] != activation(fields, "hidden_act", _ACTIVATIONS[theirs]):
        raise CheckpointError(f"{fields.file}: activation_function and hidden_act differ")
    return _ACTIVATIONS[theirs]


def _read_positions(fields: Fields, values: dict[str, Any]) -> None:
    read_rotary(fields, values, 1000.0)
    bases = []
    if fields.raw("rope_scaling") or fields.raw("rope_parameters") is not None:
        bases.append(values["rotary_base"])
    if "rope_theta" in fields:
        bases.append(fields.number("rope_theta"))
    if "n_embd" in fields or "rotary_emb_base" in fields:
        bases.append(fields.number("rotary_emb_base", MISSING))
    if len(set(bases)) > 1:
        raise CheckpointError(f"{fields.file}: rotary bases {bases} mean the same and differ")
    if bases:
        values["rotary_base"] = bases[0]


PUBLISHED_CODE = frozenset(
    prefix + name
    for prefix in ("", CODE)
    for name in (
        "configuration_hf_nomic_bert.NomicBertConfig",
        "modeling_hf_nomic_bert.NomicBertModel",
        "modeling_hf_nomic_bert.NomicBertForPreTraining",
        "modeling_hf_nomic_bert.NomicBertForMaskedLM",
        "modeling_hf_nomic_bert.NomicBertForSequenceClassification",
        "modeling_hf_nomic_bert.NomicBertForTokenClassification",
        "modeling_hf_nomic_bert.NomicBertForQuestionAnswering",
        "modeling_hf_nomic_bert.NomicBertForMultipleChoice",
    )
)

EMBEDDING: Rows = {
    "embeddings.word_embeddings.weight": "embedding.token.weight",
    "embeddings.token_type_embeddings.weight": "embedding.segment.weight",
    "embeddings.position_ids": None,  # a buffer: 0, 1, 2, ...
    "embeddings.token_type_ids": None,  # a buffer: 0, 0, 0, ...
    "pooler.dense.{p}": "heads.pooler.{p}",
}

HEADS: Rows = {
    "cls.predictions.transform.dense.{p}": "heads.masked_tokens.dense.{p}",
    "cls.predictions.transform.layer_norm.{p}": "heads.masked_tokens.norm.{p}",
    "cls.predictions.decoder.weight": "heads.masked_tokens.weight",
    "cls.predictions.decoder.bias": "heads.masked_tokens.decoder.bias",
    "cls.predictions.bias": "heads.masked_tokens.bias",
    "classifier.{p}": "heads.classifier.{p}",
    "qa_outputs.{p}": "heads.answer_span.{p}",
}

_TRANSFORMERS = KeyTable(
    EMBEDDING
    | {
        "embeddings.LayerNorm.{p}": "embedding.norm.{p}",
        "rotary_emb.inv_freq": None,  # a buffer, computed from the config
        "layers.{i}.self_attn.q_proj.{p}": "blocks.{i}.attention.query.{p}",
        "layers.{i}.self_attn.k_proj.{p}": "blocks.{i}.attention.key.{p}",
        "layers.{i}.self_attn.v_proj.{p}": "blocks.{i}.attention.value.{p}",
        "layers.{i}.self_attn.o_proj.{p}": "blocks.{i}.attention.output.{p}",
        "layers.{i}.post_attention_layernorm.{p}": "blocks.{i}.attention_norm.{p}",
        "layers.{i}.mlp.gate_proj.{p}": "blocks.{i}.feed_forward.gate.{p}",
        "layers.{i}.mlp.up_proj.{p}": "blocks.{i}.feed_forward.up.{p}",
        "layers.{i}.mlp.down_proj.{p}": "blocks.{i}.feed_forward.down.{p}",
        "layers.{i}.post_mlp_layernorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
    },
    heads=HEADS,
    prefixes=("", "nomic_bert."),
)

ORIGINAL_ROWS: Rows = EMBEDDING | {
    "emb_ln.{p}": "embedding.norm.{p}",
    "encoder.layers.{i}.attn.rotary_emb.inv_freq": None,  # a buffer, computed from the config
    "encoder.layers.{i}.attn.Wqkv.{p}": (
        "blocks.{i}.attention.query.{p}",
        "blocks.{i}.attention.key.{p}",
        "blocks.{i}.attention.value.{p}",
    ),
    "encoder.layers.{i}.attn.out_proj.{p}": "blocks.{i}.attention.output.{p}",
    "encoder.layers.{i}.norm1.{p}": "blocks.{i}.attention_norm.{p}",
    "encoder.layers.{i}.mlp.fc2.{p}": "blocks.{i}.feed_forward.down.{p}",
    "encoder.layers.{i}.norm2.{p}": "blocks.{i}.feed_forward_norm.{p}",
}
"""Names of the published code, but for the feed-forward's first map."""

ORIGINAL_PREFIXES = ("", "bert.", "nomic_bert.")

_ORIGINAL = KeyTable(
    ORIGINAL_ROWS
    | {
        "encoder.layers.{i}.mlp.fc12.{p}": "blocks.{i}.feed_forward.gate.{p}",
        "encoder.layers.{i}.mlp.fc11.{p}": "blocks.{i}.feed_forward.up.{p}",
    },
    heads=HEADS,
    prefixes=ORIGINAL_PREFIXES,
)

DROPPED = (
    # Implementation options.
    "fused_bias_fc", "fused_dropout_add_ln", "use_flash_attn", "use_xentropy",
    "reorder_and_upcast_attn", "dense_seq_output", "last_layer_subset",
    # Training options, and code that bothways replaces.
    "embd_pdrop", "max_trained_positions", "auto_map",
    # Heads of GPT-2.
    "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
    "summary_use_proj", "add_pooling_layer",
    # Options of the training of experts.
    "moe_impl", "moe_resid_pdrop", "router_aux_loss_coef",
)  # fmt: skip

ONLY: dict[str, tuple[Any, ...]] = {
    "causal": (False,),
    "prenorm": (False,),
    "parallel_block": (False,),
    "parallel_block_tied_norm": (False,),
    "rotary_emb_fraction": (1.0,),
    "rotary_emb_interleaved": (False,),
    "rotary_emb_scale_base": (None,),
    "rotary_scaling_factor": (None,),
    "rotary_head_dim": (False, None),
    "use_rms_norm": (False, None),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "num_shared_experts": (0, None),
    "ffn_div": (1, None),
}

NOMIC_BERT = Family(
    model_type="nomic_bert",
    base_class="NomicBertModel",
    tokenizer=bert.TOKENIZER,
    rows={"vocab_size": ("vocab_size", 30528), "type_vocab_size": ("num_segments", 2)},
    fixed={"position_embedding": "none", "attention_positions": "rotary", "gated": True},
    only=ONLY | {"num_experts": (0, None), "moe_every_n_layers": (0, None)},
    dropped=(
        *DROPPED,
        # Options of experts, which these models do not have.
        *("expert_choice_router", "moe_normalize_expert_weights", "moe_top_k"),
    ),
    reads_scaling=True,
    read_quirks=read_both,
    write_quirks=write_transformers,
    published_code=PUBLISHED_CODE,
    heads=(masked_tokens(None, "ForPreTraining"), *classifier(POOLER, "tanh")),
    tables=(_TRANSFORMERS, _ORIGINAL),
)
