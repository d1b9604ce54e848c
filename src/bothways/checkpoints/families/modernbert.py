"""ModernBERT (Warner et al. 2024): pre-norm, rotary, gated, with local windows in most layers."""

from typing import Any

from bothways.checkpoints.family import THEIR_ACTIVATIONS, Family, activation
from bothways.checkpoints.head_architectures import (
    DECODER,
    HeadArchitecture,
    Settings,
    answer_spans,
)
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.rotary_fields import (
    FULL,
    SLIDING,
    read_rotary_by_layer,
    write_rotary_by_layer,
)
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig, HeadPooling
from bothways.model.heads import Head, HeadLayer

_THETA = {FULL: 160_000.0, SLIDING: 10_000.0}
_OLD_THETA = {FULL: "global_rope_theta", SLIDING: "local_rope_theta"}


def read_layers(fields: Fields, values: dict[str, Any]) -> None:
    """Read the layers that have a local window, its width, and the rotary bases of both kinds."""
    kinds = _layer_types(fields, values["num_layers"])
    window = fields.integer("local_attention", 128) // 2
    fields.only("sliding_window", None, window, because="it differs from half of local_attention")
    fields.only("head_dim", None, values["d_model"] // max(values["num_heads"], 1))
    if SLIDING in kinds:
        values["windows"] = tuple(window if kind == SLIDING else None for kind in kinds)
    read_rotary_by_layer(fields, values, {kind: _old_base(fields, kind) for kind in _THETA})


def write_layers(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_layers`, with the field names of transformers 5 and 4."""
    windows = config.windows or (None,) * config.num_layers
    theirs = write_rotary_by_layer(config) | {
        "layer_types": [FULL if window is None else SLIDING for window in windows],
        "global_rope_theta": config.rotary_base,
        "local_rope_theta": config.rotary_base_local or config.rotary_base,
    }
    if sizes := {window for window in windows if window is not None}:
        theirs["local_attention"] = 2 * max(sizes)
    for every in range(1, config.num_layers + 1):
        if all((window is None) == (i % every == 0) for i, window in enumerate(windows)):
            theirs["global_attn_every_n_layers"] = every
            break
    return theirs


def _layer_types(fields: Fields, num_layers: int) -> list[str]:
    every = fields.integer("global_attn_every_n_layers", 3, at_least=1)
    if fields.raw("layer_types") is None:
        return [SLIDING if layer % every else FULL for layer in range(num_layers)]
    kinds = fields.list("layer_types")
    if len(kinds) != num_layers:
        raise CheckpointError(
            f"{fields.file}: layer_types has {len(kinds)} entries; "
            f"expected one for each of num_hidden_layers={num_layers}"
        )
    for kind in kinds:
        if kind not in (FULL, SLIDING):
            raise UnsupportedModel(
                f"{fields.file}: layer_types has {brief(kind)}; bothways supports {FULL}, {SLIDING}"
            )
    return kinds


def _old_base(fields: Fields, kind: str) -> float:
    name = _OLD_THETA[kind]
    if fields.raw(name, _THETA[kind]) is None and kind == SLIDING:
        return _old_base(fields, FULL)
    return fields.number(name, _THETA[kind])


_ROWS: Rows = {
    "embeddings.tok_embeddings.weight": "embedding.token.weight",
    "embeddings.norm.{p}": "embedding.norm.{p}",
    "layers.{i}.attn_norm.{p}": "blocks.{i}.attention_norm.{p}",
    "layers.{i}.attn.Wqkv.{p}": (
        "blocks.{i}.attention.query.{p}",
        "blocks.{i}.attention.key.{p}",
        "blocks.{i}.attention.value.{p}",
    ),
    "layers.{i}.attn.Wo.{p}": "blocks.{i}.attention.output.{p}",
    "layers.{i}.mlp_norm.{p}": "blocks.{i}.feed_forward_norm.{p}",
    # act(first half) · second half
    "layers.{i}.mlp.Wi.{p}": ("blocks.{i}.feed_forward.gate.{p}", "blocks.{i}.feed_forward.up.{p}"),
    "layers.{i}.mlp.Wo.{p}": "blocks.{i}.feed_forward.down.{p}",
    "final_norm.{p}": "final_norm.{p}",
}

# Both heads begin with `head`; the rest of the name distinguishes them.
_MASKED_TOKENS: Rows = {
    "head.dense.{p}": "heads.masked_tokens.dense.{p}",
    "head.norm.{p}": "heads.masked_tokens.norm.{p}",
    "decoder.weight": "heads.masked_tokens.weight",
    "decoder.bias": "heads.masked_tokens.bias",
}
_CLASSIFIER: Rows = {
    "head.dense.{p}": "heads.classifier.dense.{p}",
    "head.norm.{p}": "heads.classifier.norm.{p}",
    "classifier.{p}": "heads.classifier.{p}",
}

_POOLINGS: dict[str, HeadPooling] = {"cls": "cls", "mean": "mean"}


def dense_and_norm(config: EncoderConfig, settings: Settings, name: str) -> HeadLayer:
    """The first layer of every head, according to the classifier fields."""
    fields = Fields(settings, "config.json")
    return HeadLayer(
        name=f"{name}.dense",
        outputs=config.d_model,
        bias=fields.flag("classifier_bias", False),
        activation=activation(fields, "classifier_activation", "gelu"),
        norm=f"{name}.norm",
        norm_bias=config.norm_bias,
        norm_eps=config.norm_eps,
    )


def logits_of_tokens(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """The layers of a masked-token head."""
    bias = Fields(settings, "config.json").flag("decoder_bias", True)
    decoder = HeadLayer(name=DECODER, outputs=outputs, bias=bias, tied=True)
    return dense_and_norm(config, settings, DECODER), decoder


def logits_of_labels(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """The layers of a head for labels."""
    dense = dense_and_norm(config, settings, "heads.classifier")
    return dense, HeadLayer(name="heads.classifier", outputs=outputs)


def read_pooling(settings: Settings) -> HeadPooling:
    """The pooling of a head."""
    name = Fields(settings, "config.json").text("classifier_pooling", "cls")
    if name not in _POOLINGS:
        raise CheckpointError(f"classifier_pooling={brief(name)}: expected cls or mean")
    return _POOLINGS[name]


def write_head(head: Head) -> dict[str, Any]:
    """The inverse of the functions above: fields for a head that can have this form."""
    first, last = head.layers[0], head.layers[-1]
    theirs: dict[str, Any] = {
        "classifier_bias": first.bias,
        "classifier_activation": THEIR_ACTIVATIONS.get(first.activation, "gelu"),
    }
    if head.task == "masked_tokens":
        theirs["decoder_bias"] = last.bias
    if head.pooling in _POOLINGS:
        theirs["classifier_pooling"] = head.pooling
    return theirs


_HEADS = (
    HeadArchitecture(
        classes=("ForMaskedLM",),
        outputs="vocabulary",
        layers=logits_of_tokens,
        settings=write_head,
    ),
    HeadArchitecture(
        classes=("ForSequenceClassification",),
        outputs="sequence",
        layers=logits_of_labels,
        pooling=read_pooling,
        settings=write_head,
    ),
    HeadArchitecture(
        classes=("ForTokenClassification",),
        outputs="positions",
        layers=logits_of_labels,
        settings=write_head,
    ),
    answer_spans(logits_of_labels, write_head),
)

_SPECIAL_IDS = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")

MODERNBERT = Family(
    model_type="modernbert",
    base_class="ModernBertModel",
    rows={
        "vocab_size": ("vocab_size", 50368),
        "hidden_size": ("d_model", 768),
        "num_hidden_layers": ("num_layers", 22),
        "num_attention_heads": ("num_heads", 12),
        "intermediate_size": ("d_ff", 1152),
        "hidden_activation": ("activation", "gelu"),
        "max_position_embeddings": ("max_length", 8192),
        "norm_eps": ("norm_eps", 1e-5),
        "norm_bias": ("norm_bias", False),
        "attention_bias": ("attention_bias", False),
        "mlp_bias": ("feed_forward_bias", False),
        "embedding_dropout": ("dropout", 0.0),
        "attention_dropout": ("attention_dropout", 0.0),
    },
    fixed={
        "position_embedding": "none",
        "attention_positions": "rotary",
        "norm_placement": "pre",
        "first_attention_norm": False,
        "final_norm": True,
        "gated": True,
    },
    kept=(
        "mlp_dropout",
        "decoder_bias",
        "classifier_pooling",
        "classifier_bias",
        "classifier_activation",
        "sparse_prediction",
        "sparse_pred_ignore_index",
        "initializer_cutoff_factor",
    ),
    dropped=(
        # In the published files, but not read: norm_eps and rotary positions take precedence.
        "layer_norm_eps",
        "position_embedding_type",
        # Implementation options.
        "deterministic_flash_attn",
        "reference_compile",
        "repad_logits_with_grad",
    ),
    reads_scaling=True,
    read_quirks=read_layers,
    write_quirks=write_layers,
    needed={"pad_token_id": 0} | dict.fromkeys(_SPECIAL_IDS),  # defaults exceed the vocabulary
    heads=_HEADS,
    tables=(
        KeyTable(_ROWS, heads=_MASKED_TOKENS, prefixes=("", "model.")),
        KeyTable(_ROWS, heads=_CLASSIFIER, prefixes=("", "model.")),
    ),
)
