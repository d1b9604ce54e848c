"""Reading folders of sentence-transformers: an encoder with pooling, modules and prompts.

That is vectors, with pooling and what follows; or scores of pairs, by a head of the encoder; or
weights of terms (SPLADE), by its masked-token head.

Its modules.json names classes to import. Here a name is looked up in a list of what bothways does
itself, and never imported.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple, get_args

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.late_interaction_folder import expansion_of, mask_settings, of_pylate
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.sentence_transformers_modules import modules_of
from bothways.checkpoints.static_embedding_folder import read_static_embedding
from bothways.checkpoints.transformers_folder import read_transformers
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.checkpoints.weight_files import read_weights
from bothways.checkpoints.wrong_folders import unread_classifier
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief, has_file, read_object, read_optional_object
from bothways.model.config import PoolingMode
from bothways.model.late_interaction import LateInteraction
from bothways.model.pooling import (
    Dense,
    DenseActivation,
    Module,
    Normalize,
    PooledLayerNorm,
    Pooling,
)
from bothways.model.spec import SIMILARITIES
from bothways.model.weights import CheckedWeights

__all__ = [
    "DENSE_ACTIVATIONS",
    "POOLING_FLAGS",
    "POOLING_NAMES",
    "SETTINGS_FILES",
    "read_sentence_transformers",
]

SETTINGS_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
"""Possible files of the transformer's settings; the first that exists is read."""


class _Purpose(NamedTuple):
    """The use of a folder, by the names in its settings."""

    model_type: str
    task: str
    output: str
    method_output: str


_VECTORS = _Purpose(
    "SentenceTransformer", "feature-extraction", "token_embeddings", "last_hidden_state"
)
_SCORES = _Purpose("CrossEncoder", "sequence-classification", "scores", "logits")
_TERMS = _Purpose("SparseEncoder", "fill-mask", "token_embeddings", "logits")

_TOKENS = _Purpose(
    "MultiVectorEncoder", "feature-extraction", "token_embeddings", "last_hidden_state"
)

_PYLATE = "ColBERT"
"""The `model_type` that PyLate writes; its modules end with the dense layers."""

_PYLATE_FIELDS = (
    "query_prefix", "document_prefix", "query_length", "document_length", "skiplist_words",
    "attend_to_expansion_tokens", "do_query_expansion",
)  # fmt: skip

_RISING = ("torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid", None)
"""Monotonic activations on scores, which bothways omits because they keep the order."""

_ABOUT_FILE = "config_sentence_transformers.json"

POOLING_NAMES: dict[str, PoolingMode] = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
POOLING_FLAGS: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last",
}
"""The older format with one flag per mode; their order is that of the pooled vectors."""

DENSE_ACTIVATIONS: dict[str, DenseActivation] = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.SiLU": "silu",
}


def read_sentence_transformers(
    folder: Path, family: str | None = None, adapter: str | None = None
) -> ModelBundle:
    """Read all settings of a sentence-transformers folder.

    family: that of its encoder, where its config.json does not name it.
    adapter: as in `read_transformers`; its prompt becomes the default prompt.

    Raises:
        CheckpointError: if a file is missing or malformed.
        UnsupportedModel: naming a module or setting that bothways does not have.
        MissingExtra: if weights are in torch's format and torch is not installed.
    """
    (kind, transformer), *rest = modules_of(folder)
    kinds = [kind, *(kind for kind, _ in rest)]
    files = _SettingsFiles(folder, adapter)
    if kinds in (["Transformer", "SpladePooling"], ["MLMTransformer", "SpladePooling"]):
        _check_terms(files, rest[0][1] / "config.json")
        return _of_heads(files, read_transformers(transformer, family, adapter), _TERMS)
    if kinds == ["Transformer"] and _is_for_scores(folder):
        return _of_heads(files, read_transformers(transformer, family, adapter), _SCORES)
    if kinds[:1] == ["Transformer"] and _is_for_tokens(folder):
        return _of_tokens(files, read_transformers(transformer, family, adapter), rest)
    if kind == "StaticEmbedding":
        return _of_table(files, read_static_embedding(transformer), rest)
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise UnsupportedModel(
            f"{folder / 'modules.json'}: expected Transformer, Pooling, then Dense, LayerNorm, "
            "Dropout and Normalize; StaticEmbedding, then these; or for scores a Transformer, for "
            "terms one and SpladePooling"
        )
    model = _with_settings(files, read_transformers(transformer, family, adapter), _VECTORS)
    pooling = _pooling(files, rest[0][1] / "config.json", model.config.d_model)
    modules, weights = _modules(files, rest[1:], pooling.width(model.config.d_model))
    spec = dataclasses.replace(model.spec, pooling=pooling, modules=modules)
    unread = "; ".join(filter(None, (unread_classifier(folder), model.unread_heads)))
    model = dataclasses.replace(
        model, path=folder, spec=spec, module_weights=weights, unread_heads=unread
    )
    return _finished(files, model, _VECTORS)


def _of_table(
    files: "_SettingsFiles", table: ModelBundle, rest: list[tuple[str, Path]]
) -> ModelBundle:
    """Read a model of static embeddings and the modules after it."""
    modules, weights = _modules(files, rest, table.config.d_model)
    model = dataclasses.replace(
        table,
        path=files.folder,
        spec=dataclasses.replace(table.spec, modules=modules),
        module_weights=weights,
    )
    return _finished(files, model, _VECTORS)


def _of_tokens(
    files: "_SettingsFiles", encoder: ModelBundle, rest: list[tuple[str, Path]]
) -> ModelBundle:
    """Read a model of late interaction, which sentence-transformers or PyLate wrote."""
    folder = files.folder
    masks = [path / "config.json" for kind, path in rest if kind == "MultiVectorMask"]
    modules, weights = _modules(
        files,
        [(kind, path) for kind, path in rest if kind != "MultiVectorMask"],
        encoder.config.d_model,
        output="token_embeddings",
    )
    about = Fields(read_object(folder / _ABOUT_FILE), str(folder / _ABOUT_FILE))
    prefixes: dict[str, str] = {}
    if about.raw("model_type") == _PYLATE:
        settings, prefixes = of_pylate(about)
        modules = (*modules, Normalize())
    else:
        settings = _expansion_settings(encoder.path)
        for mask in masks:
            fields = files.read(mask)
            settings = dataclasses.replace(settings, **mask_settings(fields))
            files.finish(fields)
    model = _with_settings(files, encoder, _TOKENS)
    spec = dataclasses.replace(model.spec, modules=modules, late_interaction=settings)
    model = dataclasses.replace(
        model, path=folder, spec=spec, module_weights=weights, unread_heads=model.unread_heads
    )
    model = _finished(files, model, _TOKENS)
    prompts = dict(model.spec.prompts)
    for role, prefix in prefixes.items():
        prompts[role] = prefix + prompts.get(role, "").removeprefix(prefix)
    return model.with_spec(prompts=prompts)


def _expansion_settings(transformer: Path) -> LateInteraction:
    """Lengths and query expansion in the settings of the Transformer of a MultiVectorEncoder."""
    file = _settings_file(transformer)
    fields = Fields({} if file is None else read_object(file), str(file))
    return LateInteraction(
        expansion=expansion_of(fields),
        query_length=fields.optional_integer("query_length", at_least=1),
        document_length=fields.optional_integer("document_length", at_least=1),
    )


class _SettingsFiles:
    """The settings files of a folder, and what they have besides the fields that are read.

    adapter: the task whose adapter and prompt the model gets.
    """

    def __init__(self, folder: Path, adapter: str | None = None) -> None:
        self.folder = folder
        self.adapter = adapter
        self.unread = UnreadFields()

    def read(self, file: Path) -> Fields:
        """The fields of a file."""
        return Fields(read_object(file), str(file))

    def finish(self, fields: Fields) -> None:
        """Note the fields that were not read."""
        self.unread.add(Path(fields.file).relative_to(self.folder).as_posix(), fields)


def _of_heads(files: _SettingsFiles, encoder: ModelBundle, purpose: _Purpose) -> ModelBundle:
    """Read an encoder that is used with a head."""
    model = _with_settings(files, encoder, purpose)
    return _finished(files, dataclasses.replace(model, path=files.folder), purpose)


def _finished(files: _SettingsFiles, model: ModelBundle, purpose: _Purpose) -> ModelBundle:
    """The bundle with its prompts, and with the unread fields of all files."""
    model = _with_prompts(files, model, purpose)
    if files.adapter in model.spec.prompts:
        model = model.with_spec(default_prompt=files.adapter)
    unread = UnreadFields.of(model.source_settings)
    unread.update(files.unread)
    settings = dict(model.source_settings) | unread.settings()
    return dataclasses.replace(model, source_settings=settings)


def _modules(
    files: _SettingsFiles,
    entries: list[tuple[str, Path]],
    width: int,
    *,
    output: str = "sentence_embedding",
) -> tuple[tuple[Module, ...], CheckedWeights]:
    """The modules after pooling, and their weights.

    width: dimensions of the pooled vector. output: what they are applied to.
    """
    modules: list[Module] = []
    weights: list[CheckedWeights] = []
    for kind, path in entries:
        prefix = f"modules.{len(modules)}."
        match kind:
            case "Dense":
                dense, arrays = _dense(files, path, width, output)
                width = dense.outputs
                modules.append(dense)
                weights.append(arrays.with_prefix(prefix))
            case "LayerNorm":
                modules.append(PooledLayerNorm(width))
                weights.append(_layer_norm(files, path, width).with_prefix(prefix))
            case "Dropout":
                _check_dropout(files, path / "config.json")
            case "Normalize":
                _check_normalize(files, path / "config.json", output)
                modules.append(Normalize())
            case _:
                raise UnsupportedModel(
                    f"{files.folder / 'modules.json'}: {kind} after pooling; expected Dense, "
                    "LayerNorm, Dropout or Normalize"
                )
    return tuple(modules), CheckedWeights.union(*weights)


def _is_for_scores(folder: Path) -> bool:
    about = read_optional_object(folder / _ABOUT_FILE)
    return about.get("model_type") == _SCORES.model_type


def _is_for_tokens(folder: Path) -> bool:
    about = read_optional_object(folder / _ABOUT_FILE)
    return about.get("model_type") in (_TOKENS.model_type, _PYLATE)


def _check_terms(files: _SettingsFiles, file: Path) -> None:
    """Check that term weights are computed as in SPLADE v2."""
    fields = files.read(file)
    fields.only("pooling_strategy", "max")
    fields.only("activation_function", "relu")
    fields.drop(("embedding_dimension", "word_embedding_dimension", "chunk_size"))
    files.finish(fields)


def _pooling(files: _SettingsFiles, file: Path, d_model: int) -> Pooling:
    fields = files.read(file)
    names = [n for n in ("word_embedding_dimension", "embedding_dimension") if n in fields]
    for name in names or ["embedding_dimension"]:
        if (width := fields.integer(name)) != d_model:
            raise CheckpointError(
                f"{file}: pools vectors of {width}; the encoder has {d_model} dimensions"
            )
    flagged = [mode for flag, mode in POOLING_FLAGS.items() if fields.flag(flag, False)]
    modes = _pooling_modes(fields) or flagged or ["mean"]
    pooling = Pooling(tuple(modes), fields.flag("include_prompt", True))
    files.finish(fields)
    return pooling


def _pooling_modes(fields: Fields) -> list[PoolingMode]:
    given = fields.raw("pooling_mode", [])
    modes = []
    for name in given if isinstance(given, list) else [given]:
        if not isinstance(name, str) or name not in POOLING_NAMES:
            raise UnsupportedModel(
                f"{fields.file}: pooling_mode={brief(name)}: "
                f"expected one of {', '.join(POOLING_NAMES)}"
            )
        modes.append(POOLING_NAMES[name])
    return modes


def _dense(
    files: _SettingsFiles, folder: Path, width: int, output: str
) -> tuple[Dense, CheckedWeights]:
    """A dense layer, and its `weight` and `bias`."""
    file = folder / "config.json"
    fields = files.read(file)
    shape = (fields.integer("out_features", at_least=1), fields.integer("in_features", at_least=1))
    has_bias = fields.flag("bias", True)
    activation = fields.text("activation_function", "torch.nn.modules.activation.Tanh")
    _only_output(fields, output)
    fields.only("use_residual", False)
    fields.drop(("init_weight", "init_bias"))  # of a layer without weights of its own
    files.finish(fields)
    if activation not in DENSE_ACTIVATIONS:
        raise UnsupportedModel(
            f"{file}: activation_function={brief(activation)}: bothways has "
            f"{', '.join(get_args(DenseActivation))}, and imports nothing that a model folder names"
        )
    if shape[1] != width:
        raise CheckpointError(f"{file}: in_features={shape[1]}; its input has {width} dimensions")
    arrays, source, _ = read_weights(folder, math.prod(shape) + shape[0])
    dense = Dense(shape[1], shape[0], has_bias, DENSE_ACTIVATIONS[activation])
    layout = {"linear.weight": shape} | ({"linear.bias": shape[:1]} if has_bias else {})
    checked = CheckedWeights(layout, arrays, str(source))
    return dense, checked.without_prefix("linear.")


def _layer_norm(files: _SettingsFiles, folder: Path, width: int) -> CheckedWeights:
    """The `weight` and `bias` of a layer norm."""
    fields = files.read(folder / "config.json")
    if (dimension := fields.integer("dimension")) != width:
        raise CheckpointError(
            f"{fields.file}: dimension={dimension}; its input has {width} dimensions"
        )
    files.finish(fields)
    arrays, source, _ = read_weights(folder, 2 * width)
    layout = {f"norm.{name}": (width,) for name in ("weight", "bias")}
    return CheckedWeights(layout, arrays, str(source)).without_prefix("norm.")


def _check_dropout(files: _SettingsFiles, file: Path) -> None:
    """Read the settings of a dropout, which changes no vector after training."""
    fields = files.read(file)
    fields.number("dropout", 0.2)
    files.finish(fields)


def _check_normalize(files: _SettingsFiles, file: Path, output: str) -> None:
    if has_file(file):
        fields = files.read(file)
        _only_output(fields, output)
        files.finish(fields)


def _only_output(fields: Fields, output: str) -> None:
    for name in ("module_input_name", "module_output_name"):
        fields.only(name, output, None)


def _with_settings(files: _SettingsFiles, model: ModelBundle, purpose: _Purpose) -> ModelBundle:
    """The bundle with lowercasing and maximum length from the transformer's settings."""
    lowercase, max_seq_length = _settings(files, model.path, purpose)
    changes: dict[str, Any] = {"lowercase": lowercase}
    if max_seq_length is not None:
        changes["max_length"] = min(model.config.max_length, max_seq_length)
    return model.with_spec(**changes)


def _settings_file(folder: Path) -> Path | None:
    return next((folder / name for name in SETTINGS_FILES if has_file(folder / name)), None)


def _settings(files: _SettingsFiles, folder: Path, purpose: _Purpose) -> tuple[bool, int | None]:
    """Lowercasing and maximum length from the transformer's settings, if they define them."""
    file = _settings_file(folder)
    if file is None:
        return False, None
    fields = files.read(file)
    lowercase = fields.flag("do_lower_case", False)
    length = fields.optional_integer("max_seq_length", at_least=1)
    fields.only("transformer_task", purpose.task)
    fields.only("module_output_name", purpose.output)
    text = {"method": "forward", "method_output_name": purpose.method_output}
    fields.only("modality_config", {"text": text})
    # Arguments for the libraries that sentence-transformers calls, and other kinds of model.
    of_tokens = ("query_length", "document_length", "query_expansion")
    if purpose is _TOKENS:
        fields.drop(of_tokens)  # which `_expansion_settings` reads
    else:
        for name in of_tokens:
            fields.only(name, None, {})
    for name in (
        "model_args", "tokenizer_args", "config_args", "model_kwargs", "processor_kwargs",
        "config_kwargs", "processing_kwargs", "tokenizer_name_or_path",
    ):  # fmt: skip
        fields.only(name, None, {})
    fields.drop(("unpad_inputs", "backend", "model_name_or_path"))
    files.finish(fields)
    return lowercase, length


def _with_prompts(files: _SettingsFiles, model: ModelBundle, purpose: _Purpose) -> ModelBundle:
    """The bundle with the prompts, similarity and dimensions of the folder."""
    file = model.path / _ABOUT_FILE
    if not has_file(file):
        return model
    fields = files.read(file)
    prompts = fields.texts("prompts")
    model = model.with_spec(
        prompts=prompts,
        default_prompt=fields.one_of("default_prompt_name", prompts),
        similarity=_similarity(fields, purpose),
        dimensions=fields.optional_integer("truncate_dim", at_least=1),
    )
    if purpose is _TOKENS:
        fields.drop(_PYLATE_FIELDS)  # which `of_pylate` reads
        fields.only("model_type", purpose.model_type, _PYLATE)
    else:
        fields.only("model_type", purpose.model_type)
    fields.only("activation_fn", *_RISING)
    fields.drop(("__version__",))
    files.finish(fields)
    return model


def _similarity(fields: Fields, purpose: _Purpose) -> str | None:
    """The similarity of the model's vectors; vectors of tokens are compared by MaxSim."""
    if purpose is not _TOKENS:
        return fields.one_of("similarity_fn_name", SIMILARITIES)
    fields.only("similarity_fn_name", "maxsim", "MaxSim", None)
    return None
