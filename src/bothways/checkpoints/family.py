"""A family of models: the fields of its config.json, and the names of its weights.

A family is data, one file each in `families`. Every field of a config.json that the family's
implementation in transformers reads is mapped to a field of `EncoderConfig`, kept (for heads,
training and export), dropped by name, or accepted with certain values only. Other fields cannot
change a result: they are kept as unread fields. `scripts/config_fields.py` collects what
transformers reads, and a test compares it with the families.
"""

import dataclasses
from collections.abc import Callable, Mapping, Set
from typing import Any

import numpy as np

from bothways.checkpoints.head_architectures import HeadArchitecture
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Reading
from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.checkpoints.weight_files import StoredWeights
from bothways.errors import CheckpointError, ConfigError, UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import Activation, EncoderConfig
from bothways.model.layout import layout
from bothways.model.pooling import MEAN, Pooling

__all__ = [
    "MAX_LAYERS",
    "THEIR_ACTIVATIONS",
    "Family",
    "Projection",
    "TaskFolders",
    "activation",
    "check_num_layers",
]

MAX_LAYERS = 1000
"""Maximum number of layers; larger values indicate a malformed file."""

_ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
THEIR_ACTIVATIONS: dict[str, str] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "silu": "silu",
}

_KEPT = (
    # Heads and labels.
    "architectures", "id2label", "label2id", "num_labels", "problem_type", "classifier_dropout",
    "finetuning_task", "tie_word_embeddings",
    # Activation that sentence-transformers applies to scores; it does not change their order.
    "sentence_transformers", "sbert_ce_default_activation_function",
    # Ids of special tokens; the tokenizer has them too.
    "pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "mask_token_id",
    "unk_token_id",
    # Initialization of weights.
    "initializer_range",
)  # fmt: skip

_DROPPED = (
    # Metadata of the file.
    "model_type", "_name_or_path", "name_or_path", "_commit_hash", "transformers_version",
    "tokenizer_class", "_num_labels", "language",
    # Types of storage and computation, which the weight files and the caller determine.
    "torch_dtype", "dtype", "use_bfloat16", "_attn_implementation_autoset", "attn_implementation",
    "_attn_implementation", "torchscript", "tf_legacy_loss", "chunk_size_feed_forward",
    "gradient_checkpointing", "xla_device",
    # Outputs of a call.
    "output_attentions", "output_hidden_states", "output_past", "return_dict", "use_cache",
    "use_return_dict",
    # Text generation, which encoders do not support.
    "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty",
    "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids",
    "num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id",
    "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty",
    "suppress_tokens", "begin_suppress_tokens", "epsilon_cutoff", "eta_cutoff",
    "encoder_repetition_penalty", "decoder_start_token_id", "eos_token_ids", "prefix",
    "task_specific_params",
)  # fmt: skip

_ONLY: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "is_decoder": ((False, None), "decoders attend in one direction; bothways runs encoders"),
    "add_cross_attention": ((False, None), "cross-attention belongs to decoders"),
    "is_encoder_decoder": ((False, None), "bothways runs encoders without a decoder"),
    "cross_attention_hidden_size": ((None,), "cross-attention belongs to decoders"),
    "tie_encoder_decoder": ((False, None), "bothways runs encoders without a decoder"),
    "pruned_heads": (({}, [], None), "heads have been removed from the weights"),
    "rope_scaling": ((None,), "scaled rotary positions are not supported"),
    "per_layer_config": ((None, {}), "its layers differ from each other"),
    "quantization_config": (
        (None,),
        "its weights are quantized; bothways reads fp32, fp16 and bf16",
    ),
    "trust_remote_code": ((False, None), "bothways never runs the code of a model folder"),
    "custom_pipelines": (({}, None), "bothways never runs the code of a model folder"),
}


_RESERVED = {*_KEPT, *_DROPPED, *_ONLY, "auto_map"}
"""Fields that no config.json can have as unread fields."""


def _no_quirks(fields: Fields, values: dict[str, Any]) -> None:
    pass


def _never(values: Mapping[str, Any]) -> bool:
    return False


def _no_projection(values: Mapping[str, Any]) -> "Projection | None":
    return None


def _nothing(config: EncoderConfig) -> dict[str, Any]:
    return {}


def _as_stored(values: Mapping[str, Any], stored: StoredWeights) -> StoredWeights:
    return stored


def _as_named(config: EncoderConfig, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(arrays)


def _as_it_is(config: EncoderConfig, arrays: Mapping[str, np.ndarray], file: str) -> EncoderConfig:
    return config


@dataclasses.dataclass(frozen=True)
class Projection:
    """A linear layer at the end of a published class, which becomes a dense layer after pooling.

    name: of the layer in the file. pooling: how such models pool, by a mode that is linear, so that
    the order of both does not matter. normalizes: whether the class pools itself, and gives its
    vectors unit length.
    """

    name: str
    bias: bool
    pooling: Pooling
    normalizes: bool = False


@dataclasses.dataclass(frozen=True)
class TaskFolders:
    """Adapters for tasks that lie in folders of their own, `adapters/TASK`.

    names: the field of the config.json with the names of the tasks. pooling: how such models pool.
    """

    names: str
    pooling: Pooling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """Models that share a `model_type` and an implementation.

    model_type: its name in config.json, unless it has a `file_type`.
    base_class: the class of the bare encoder, in transformers or the published code.
    in_transformers: whether transformers has that class.
    is_always_named: whether all its files have a model_type, as those of classes have that are
        newer than the field.
    file_type: the `model_type` of its files if that is another family's, whose fields it borrows.
    is_published_as(values): whether a config.json that names another `model_type` is of this
        family: models that were published with code of their own. published_stem: the prefix of
        the names of their classes, if it differs from `stem`.
    rows: their field -> (our field, the default of a missing field).
    fixed: our fields that all members share, if they differ from the defaults.
    only: their field -> the values that bothways supports, in place of those of every family.
    kept, dropped: their fields that change no encoding, in addition to those of every family.
    segments_optional: whether its implementation runs encoders without segments.
    reads_scaling: whether `read_quirks` reads `rope_scaling`; other families refuse it.
    kept_defaults: what absent fields about heads stand for, if not for what BERT's do.
    read_quirks(fields, values): reads fields that no row can express into our `values`.
    write_quirks(config): the reverse. needed: fields that transformers requires, with defaults.
    from_weights(config, arrays, file): completes the config with values that only weights reveal.
    fold(values, stored): the weights of a file, with those merged that have no name in `layout`,
        and rows in the order of `layout`.
    unfold(config, arrays): weights under their names, with rows in the order of the file again.
    pooling: how the family's own class pools; the mean where it does not.
    projection(values): the linear layer at the end of the class that a config.json names.
    task_folders: where its models may have adapters for tasks; None for none.
    buffers(config): arrays that transformers expects in a file, but that are not weights.
    tables: names of weights; the first table is written, and the first that fits reads a file.
    heads: the architectures of the heads of its classes.
    published_code: values of `auto_map` that name the published code of this architecture.
    published_modules: modules of sentence-transformers that do the same as its Transformer, in
        published code of this architecture.
    tokenizer: the tokenizer class of folders that name none; None if folders must name it.
        named_tokenizers: others, which only folders that name them have.
    """

    model_type: str
    base_class: str
    in_transformers: bool = True
    is_always_named: bool = False
    tables: tuple[KeyTable, ...]
    heads: tuple[HeadArchitecture, ...]
    rows: Mapping[str, tuple[str, Any]]
    file_type: str | None = None
    is_published_as: Callable[[Mapping[str, Any]], bool] = _never
    published_stem: str | None = None
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    kept: tuple[str, ...] = ()
    kept_defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    reads_scaling: bool = False
    segments_optional: bool = False
    read_quirks: Callable[[Fields, dict[str, Any]], None] = _no_quirks
    write_quirks: Callable[[EncoderConfig], dict[str, Any]] = _nothing
    needed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    from_weights: Callable[[EncoderConfig, Mapping[str, np.ndarray], str], EncoderConfig] = (
        _as_it_is
    )
    fold: Callable[[Mapping[str, Any], StoredWeights], StoredWeights] = _as_stored
    unfold: Callable[[EncoderConfig, Mapping[str, np.ndarray]], dict[str, np.ndarray]] = _as_named
    pooling: Pooling = MEAN
    projection: Callable[[Mapping[str, Any]], Projection | None] = _no_projection
    task_folders: TaskFolders | None = None
    buffers: Callable[[EncoderConfig], dict[str, np.ndarray]] = _nothing
    published_code: frozenset[str] = frozenset()
    published_modules: frozenset[str] = frozenset()
    tokenizer: TokenizerClass | None = None
    named_tokenizers: tuple[TokenizerClass, ...] = ()

    @property
    def stem(self) -> str:
        """The prefix of transformers' class names: `Bert` in `BertForMaskedLM`."""
        return self.base_class.removesuffix("Model").removesuffix("Encoder")

    def read_config(
        self, values: Mapping[str, Any], file: str
    ) -> tuple[EncoderConfig, dict[str, Any]]:
        """Read a config.json: the config of the encoder, and the other fields to keep.

        Raises:
            CheckpointError: if a field has a wrong value, or fields contradict each other.
            UnsupportedModel: naming a field with a value that bothways does not support.
        """
        fields = Fields(values, file)
        self._check_code(fields)
        for name, (accepted, because) in _ONLY.items():
            if name not in self.only and not (name == "rope_scaling" and self.reads_scaling):
                fields.only(name, *accepted, because=because)
        ours: dict[str, Any] = dict(self.fixed)
        for theirs, (name, default) in self.rows.items():
            ours[name] = _take(fields, theirs, default)
        check_num_layers(file, ours.get("num_layers", 0))
        self.read_quirks(fields, ours)
        for name, values_of in self.only.items():
            fields.only(name, *values_of)
        kept = fields.keep((*_KEPT, *self.kept))
        settings = self._own_classes(dict(self.kept_defaults) | kept)
        fields.drop((*_DROPPED, *self.dropped))
        if self.task_folders is not None:
            fields.drop((self.task_folders.names,))
        unread = UnreadFields()
        unread.add("config.json", fields)
        settings |= unread.settings()
        try:
            return EncoderConfig(**ours), settings
        except ConfigError as error:
            raise CheckpointError(f"{file}: {error}") from None

    def write_config(self, config: EncoderConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
        """A config.json for `config`: `read_config` backwards, where there is no `obstacle`."""
        known = {*_KEPT, *self.kept}
        unread = UnreadFields.of(settings)["config.json"]
        theirs = {name: value for name, value in unread.items() if name not in _RESERVED}
        theirs |= self.needed
        theirs |= {name: value for name, value in settings.items() if name in known}
        for name, (ours, _) in self.rows.items():
            value = getattr(config, ours)
            theirs[name] = THEIR_ACTIVATIONS[value] if ours == "activation" else value
        theirs |= self.write_quirks(config)
        theirs.setdefault("architectures", [self.base_class])
        return theirs | {"model_type": self.file_type or self.model_type, "dtype": "float32"}

    def obstacle(self, config: EncoderConfig) -> str:
        """What of `config` this family has no way to say; empty if it can be exported to it."""
        try:
            back, _ = self.read_config(self.write_config(config, {}), self.model_type)
            back = self.from_weights(back, self.buffers(config), self.model_type)
        except CheckpointError as error:
            return str(error)
        ours, theirs = config.to_dict(), back.to_dict()
        return ", ".join(f"{n}={ours[n]!r}" for n in ours if ours[n] != theirs[n])

    def fit(self, keys: Set[str], config: EncoderConfig) -> Reading:
        """The reading with the fewest problems, then the fewest unread weights."""
        expected = layout(config).keys()
        readings = [table.read(keys, expected) for table in self.tables]
        return min(readings, key=lambda reading: (len(reading.problems), reading.num_unread))

    def _own_classes(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings, with the names of published classes replaced by this family's."""
        named = settings.get("architectures")
        if self.published_stem is None or not isinstance(named, list):
            return settings
        stem = self.published_stem
        renamed = [
            self.stem + name.removeprefix(stem)
            if isinstance(name, str) and name.startswith(stem)
            else name
            for name in named
        ]
        return settings | {"architectures": renamed}

    def _check_code(self, fields: Fields) -> None:
        auto_map = fields.raw("auto_map", None)
        if not auto_map:
            return
        named = auto_map.values() if isinstance(auto_map, Mapping) else [auto_map]
        if not all(isinstance(code, str) and code in self.published_code for code in named):
            raise UnsupportedModel(
                f"{fields.file}: auto_map={brief(auto_map)}: this model needs Python code of its "
                "own, and bothways never runs the code of a model folder"
            )


def _take(fields: Fields, name: str, default: Any) -> Any:
    match default:
        case bool():
            return fields.flag(name, default)
        case int():
            return fields.integer(name, default)
        case float():
            return fields.number(name, default)
        case str():
            return activation(fields, name, default)
        case _:
            raise TypeError(f"{name}: a default of {type(default).__name__}")


def check_num_layers(file: str, count: int) -> None:
    """Refuse a number of layers that no model has, before anything is made for each of them.

    Raises:
        CheckpointError: if there are more than `MAX_LAYERS`.
    """
    if count > MAX_LAYERS:
        raise CheckpointError(f"{file}: {count:,} layers; refused as malformed")


def activation(fields: Fields, name: str, default: str) -> Activation:
    """Our name for the activation that a field names.

    Raises:
        UnsupportedModel: for one that bothways does not have.
    """
    theirs = fields.text(name, default)
    if theirs not in _ACTIVATIONS:
        raise UnsupportedModel(
            f"{fields.file}: {name}={brief(theirs)}: bothways has no such activation; "
            f"it has {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[theirs]
