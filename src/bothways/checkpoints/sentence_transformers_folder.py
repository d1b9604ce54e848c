"""Reading folders of sentence-transformers: an encoder with pooling, modules and prompts.

That is vectors, with pooling and what follows; or scores of pairs, by a head of the encoder; or
weights of terms (SPLADE), by its masked-token head or a table. A folder with a Router has several
such models, one for each route.

Its modules.json names classes to import. Here a name is looked up in a list of what bothways does
itself, and never imported.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from bothways.checkpoints.generative_reranker import as_reranker, is_reranker, with_yes_or_no
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.late_interaction_folder import expansion_of, mask_settings, of_pylate
from bothways.checkpoints.layer_weights import with_layer_weights
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.sentence_transformers_files import (
    ABOUT_FILE,
    SettingsFiles,
    settings_file,
)
from bothways.checkpoints.sentence_transformers_layers import read_layers
from bothways.checkpoints.sentence_transformers_modules import ModuleFolder, modules_of
from bothways.checkpoints.sentence_transformers_pooling import read_pooling, read_splade_pooling
from bothways.checkpoints.sparse_static_embedding_folder import read_sparse_static_embedding
from bothways.checkpoints.static_embedding_folder import read_static_embedding
from bothways.checkpoints.transformers_folder import read_transformers
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.checkpoints.wrong_folders import unread_classifier
from bothways.errors import UnsupportedModel
from bothways.io.json_files import has_file, read_object, read_optional_object
from bothways.model.late_interaction import LateInteraction
from bothways.model.pooling import Normalize
from bothways.model.spec import SIMILARITIES

__all__ = ["read_sentence_transformers"]


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
_LOGITS = _Purpose("CrossEncoder", "text-generation", "causal_logits", "logits")
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


def read_sentence_transformers(
    folder: Path,
    family: str | None = None,
    adapter: str | None = None,
    route: str | None = None,
) -> ModelBundle:
    """Read all settings of a sentence-transformers folder.

    family: that of its encoder, where its config.json does not name it.
    adapter: as in `read_transformers`; its prompt becomes the default prompt.
    route: the route of a folder with a Router; None for the default one.

    Raises:
        CheckpointError: if a file is missing or malformed.
        UnsupportedModel: naming a module or setting that bothways does not have.
        InputError: if there is no such route, or none is the default.
        MissingExtra: if weights are in torch's format and torch is not installed.
    """
    modules, routes, route = modules_of(folder, route)
    model = _read(SettingsFiles(folder, adapter), modules, family)
    return dataclasses.replace(model, routes=routes, route=route)


def _read(files: SettingsFiles, modules: list[ModuleFolder], family: str | None) -> ModelBundle:
    """Read the model of these modules."""
    folder, (first, *rest) = files.folder, modules
    names = [module.name for module in modules]
    match names[:2]:
        case ["StaticEmbedding", *_]:
            return _of_table(files, read_static_embedding(first.path), rest)
        case ["SparseStaticEmbedding"]:
            table = read_sparse_static_embedding(files, first.path)
            return _finished(files, dataclasses.replace(table, path=folder), _TERMS)
        case ["Transformer" | "MLMTransformer", "SpladePooling"] if len(names) == 2:
            terms = read_splade_pooling(files, rest[0].path / "config.json")
            encoder = read_transformers(first.path, family, files.adapter)
            return _of_head(files, encoder.with_spec(terms=terms), _TERMS)
        case ["Transformer", "LogitScore"] if len(names) == 2:
            encoder = read_transformers(first.path, family, files.adapter)
            return _of_head(files, _with_logit_score(files, encoder, rest[0].path), _LOGITS)
        case ["Transformer"] if _is_for(folder, _SCORES.model_type):
            encoder = as_reranker(read_transformers(first.path, family, files.adapter))
            return _of_head(files, encoder, _SCORES)
        case ["Transformer", *_] if _is_for(folder, _TOKENS.model_type, _PYLATE):
            return _of_tokens(files, read_transformers(first.path, family, files.adapter), rest)
        case ["Transformer", "WeightedLayerPooling"] if names[2:3] == ["Pooling"]:
            encoder = read_transformers(first.path, family, files.adapter)
            mixed = with_layer_weights(files, encoder, rest[0].path)
            return _of_vectors(files, mixed, rest[1:])
        case ["Transformer", "Pooling"]:
            return _of_vectors(files, read_transformers(first.path, family, files.adapter), rest)
        case _:
            raise UnsupportedModel(
                f"{folder / 'modules.json'}: the modules {', '.join(names)}; expected Transformer, "
                "WeightedLayerPooling or none, Pooling, then Dense, LayerNorm, Dropout and "
                "Normalize; StaticEmbedding, then these; for scores a Transformer, or one and "
                "LogitScore; for terms one and SpladePooling, or SparseStaticEmbedding; or a "
                "Router to such modules"
            )


def _of_vectors(
    files: SettingsFiles, encoder: ModelBundle, rest: list[ModuleFolder]
) -> ModelBundle:
    """Read the pooling of an encoder and the modules after it."""
    model = _with_settings(files, encoder, _VECTORS)
    pooling = read_pooling(files, rest[0].path / "config.json", model.config.d_model)
    modules, weights = read_layers(files, rest[1:], pooling.width(model.config.d_model))
    spec = dataclasses.replace(model.spec, pooling=pooling, modules=modules)
    unread = "; ".join(filter(None, (unread_classifier(files.folder), model.unread_heads)))
    model = dataclasses.replace(
        model, path=files.folder, spec=spec, module_weights=weights, unread_heads=unread
    )
    return _finished(files, model, _VECTORS)


def _of_table(files: SettingsFiles, table: ModelBundle, rest: list[ModuleFolder]) -> ModelBundle:
    """Read a model of static embeddings and the modules after it."""
    modules, weights = read_layers(files, rest, table.config.d_model)
    model = dataclasses.replace(
        table,
        path=files.folder,
        spec=dataclasses.replace(table.spec, modules=modules),
        module_weights=weights,
    )
    return _finished(files, model, _VECTORS)


def _of_tokens(files: SettingsFiles, encoder: ModelBundle, rest: list[ModuleFolder]) -> ModelBundle:
    """Read a model of late interaction, which sentence-transformers or PyLate wrote."""
    folder = files.folder
    masks = [path / "config.json" for kind, path in rest if kind == "MultiVectorMask"]
    modules, weights = read_layers(
        files,
        [(kind, path) for kind, path in rest if kind != "MultiVectorMask"],
        encoder.config.d_model,
        output="token_embeddings",
    )
    about = Fields(read_object(folder / ABOUT_FILE), str(folder / ABOUT_FILE))
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
    file = settings_file(transformer)
    fields = Fields({} if file is None else read_object(file), str(file))
    return LateInteraction(
        expansion=expansion_of(fields),
        query_length=fields.optional_integer("query_length", at_least=1),
        document_length=fields.optional_integer("document_length", at_least=1),
    )


def _with_logit_score(files: SettingsFiles, encoder: ModelBundle, folder: Path) -> ModelBundle:
    """A decoder with the head of the module `LogitScore`.

    Raises:
        UnsupportedModel: if its template is not that of Qwen3-Reranker.
    """
    fields = files.read(folder / "config.json")
    yes = fields.integer("true_token_id")
    no = fields.optional_integer("false_token_id")
    fields.only("module_input_name", _LOGITS.output)
    files.finish(fields)
    if not is_reranker(encoder.reader_path):
        raise UnsupportedModel(
            f"{files.folder}: a decoder that reranks by a template of chats which is not that of "
            "Qwen3-Reranker, and bothways runs no templates of model folders"
        )
    return with_yes_or_no(encoder, yes, no)


def _of_head(files: SettingsFiles, encoder: ModelBundle, purpose: _Purpose) -> ModelBundle:
    """Read an encoder that is used with a head."""
    model = _with_settings(files, encoder, purpose)
    return _finished(files, dataclasses.replace(model, path=files.folder), purpose)


def _finished(files: SettingsFiles, model: ModelBundle, purpose: _Purpose) -> ModelBundle:
    """The bundle with its prompts, and with the unread fields of all files."""
    model = _with_prompts(files, model, purpose)
    if files.adapter in model.spec.prompts:
        model = model.with_spec(default_prompt=files.adapter)
    unread = UnreadFields.of(model.source_settings)
    unread.update(files.unread)
    settings = dict(model.source_settings) | unread.settings()
    return dataclasses.replace(model, source_settings=settings)


def _is_for(folder: Path, *model_types: str) -> bool:
    return read_optional_object(folder / ABOUT_FILE).get("model_type") in model_types


def _with_settings(files: SettingsFiles, model: ModelBundle, purpose: _Purpose) -> ModelBundle:
    """The bundle with lowercasing and maximum length from the transformer's settings."""
    lowercase, max_seq_length = _settings(files, model.path, purpose)
    changes: dict[str, Any] = {"lowercase": lowercase}
    if max_seq_length is not None:
        changes["max_length"] = min(model.config.max_length, max_seq_length)
    return model.with_spec(**changes)


def _settings(files: SettingsFiles, folder: Path, purpose: _Purpose) -> tuple[bool, int | None]:
    """Lowercasing and maximum length from the transformer's settings, if they define them."""
    file = settings_file(folder)
    if file is None:
        return False, None
    fields = files.read(file)
    lowercase = fields.flag("do_lower_case", False)
    length = fields.optional_integer("max_seq_length", at_least=1)
    fields.only("transformer_task", purpose.task)
    fields.only("module_output_name", purpose.output)
    text = {"method": "forward", "method_output_name": purpose.method_output}
    messages = [text | {"format": kind} for kind in ("auto", "flat", "structured")]
    fields.only(
        "modality_config", {"text": text}, *({"text": text, "message": m} for m in messages)
    )
    # Arguments for the libraries that sentence-transformers calls, and other kinds of model.
    if purpose is _LOGITS:
        fields.drop(("processing_kwargs",))  # of its template of chats, which bothways has itself
    else:
        fields.only("processing_kwargs", None, {})
    of_tokens = ("query_length", "document_length", "query_expansion")
    if purpose is _TOKENS:
        fields.drop(of_tokens)  # which `_expansion_settings` reads
    else:
        for name in of_tokens:
            fields.only(name, None, {})
    for name in (
        "model_args", "tokenizer_args", "config_args", "model_kwargs", "processor_kwargs",
        "config_kwargs", "tokenizer_name_or_path",
    ):  # fmt: skip
        fields.only(name, None, {})
    fields.drop(("unpad_inputs", "backend", "model_name_or_path"))
    files.finish(fields)
    return lowercase, length


def _with_prompts(files: SettingsFiles, model: ModelBundle, purpose: _Purpose) -> ModelBundle:
    """The bundle with the prompts, similarity and dimensions of the folder."""
    file = model.path / ABOUT_FILE
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
    if purpose is _TERMS and model.spec.terms is not None:
        kept = fields.optional_integer("max_active_dims", at_least=1)
        model = model.with_spec(terms=dataclasses.replace(model.spec.terms, max_terms=kept))
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
