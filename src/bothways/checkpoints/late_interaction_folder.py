"""Late interaction (ColBERT) in folders of sentence-transformers, PyLate and Stanford's ColBERT."""

import dataclasses
import string
from typing import Any

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import UNREAD
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief, has_file, read_object
from bothways.model.late_interaction import LateInteraction, QueryExpansion
from bothways.model.pooling import Dense, Normalize
from bothways.model.weights import CheckedWeights

__all__ = [
    "METADATA_FILE",
    "expansion_of",
    "mask_settings",
    "of_pylate",
    "with_stanford_projection",
]

METADATA_FILE = "artifact.metadata"
"""The settings of Stanford's ColBERT, in JSON."""

_ARCHITECTURE = "HF_ColBERT"
_PROJECTION = UNREAD + "linear.weight"
_LENGTH = 32
"""Positions of a query where a folder does not say."""


def expansion_of(fields: Fields) -> QueryExpansion | None:
    """The field `query_expansion` of the settings of a Transformer of sentence-transformers.

    Raises:
        CheckpointError: if it is malformed.
    """
    value = fields.raw("query_expansion", None)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise CheckpointError(f"{fields.file}: query_expansion={brief(value)}: expected an object")
    expansion = Fields(value, f"{fields.file}: query_expansion")
    strategy = expansion.text("strategy")
    if strategy not in ("fixed", "min"):
        raise UnsupportedModel(
            f"{expansion.file}: strategy={brief(strategy)}: expected 'fixed' or 'min'"
        )
    token = expansion.raw("token", None)
    result = QueryExpansion(
        length=expansion.integer("length", at_least=1),
        token=None if token is None else str(token),
        is_attended=expansion.flag("attend", False),
        is_minimum=strategy == "min",
    )
    expansion.finish("query_expansion")
    return result


def mask_settings(fields: Fields) -> dict[str, Any]:
    """The fields of `LateInteraction` that a MultiVectorMask has.

    Raises:
        UnsupportedModel: if it keeps only some tokens of documents.
    """
    fields.only("keep_only_token_ids", None)
    roles = fields.raw("skiplist_tasks", ["document"])
    words = fields.raw("skiplist_words", [])
    return {
        "skipped_words": tuple(map(str, words or ())),
        "skipping_roles": tuple([roles] if isinstance(roles, str) else map(str, roles or ())),
    }


def of_pylate(fields: Fields) -> tuple[LateInteraction, dict[str, str]]:
    """The settings that PyLate saves beside the prompts, and the token before each role's texts."""
    length = fields.optional_integer("query_length", at_least=1) or _LENGTH
    attends = fields.raw("attend_to_expansion_tokens", False)
    expands = fields.flag("do_query_expansion", True)
    words = fields.raw("skiplist_words", None)
    prefixes = {
        role: str(prefix)
        for role in ("query", "document")
        if (prefix := fields.raw(f"{role}_prefix", None))
    }
    settings = LateInteraction(
        expansion=QueryExpansion(length, is_attended=bool(attends)) if expands else None,
        query_length=None if expands else length,
        document_length=fields.optional_integer("document_length", at_least=1),
        skipped_words=tuple(string.punctuation) if words is None else tuple(map(str, words)),
        has_markers=True,
    )
    return settings, prefixes


def with_stanford_projection(model: ModelBundle) -> ModelBundle:
    """The model with the projection and settings of Stanford's ColBERT, if its folder is one.

    Raises:
        CheckpointError: if the projection is missing or malformed.
    """
    config_file = model.path / "config.json"
    if _ARCHITECTURE not in (read_object(config_file).get("architectures") or ()):
        return model
    arrays = dict(model.head_weights)
    weight = arrays.pop(_PROJECTION, None)
    if weight is None or weight.ndim != 2 or weight.shape[1] != model.config.d_model:
        raise CheckpointError(
            f"{config_file}: {_ARCHITECTURE} needs a weight linear.weight of shape "
            f"(any, {model.config.d_model})"
        )
    file = model.path / METADATA_FILE
    fields = Fields(read_object(file) if has_file(file) else {}, str(file))
    expansion = QueryExpansion(
        fields.optional_integer("query_maxlen", at_least=1) or _LENGTH,
        is_attended=bool(fields.raw("attend_to_mask_tokens", False)),
    )
    skips = bool(fields.raw("mask_punctuation", True))
    settings = LateInteraction(
        expansion=expansion,
        document_length=fields.optional_integer("doc_maxlen", at_least=1),
        skipped_words=tuple(string.punctuation) if skips else (),
        has_markers=True,
    )
    prompts = {
        "query": str(fields.raw("query_token_id", None) or "[unused0]") + " ",
        "document": str(fields.raw("doc_token_id", None) or "[unused1]") + " ",
    }
    modules = (Dense(weight.shape[1], weight.shape[0], bias=False), Normalize())
    spec = dataclasses.replace(
        model.spec, modules=modules, prompts=prompts, late_interaction=settings
    )
    return dataclasses.replace(
        model,
        spec=spec,
        module_weights=CheckedWeights(
            {"modules.0.weight": weight.shape}, {"modules.0.weight": weight}, str(config_file)
        ),
        head_weights=CheckedWeights(
            {name: array.shape for name, array in arrays.items()}, arrays, str(config_file)
        ),
        unread_heads="" if not arrays else model.unread_heads,
    )
