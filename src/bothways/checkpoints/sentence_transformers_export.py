"""Adding the files of sentence-transformers to a transformers folder: pooling and other modules."""

from pathlib import Path

from bothways.checkpoints.layer_weights import LAYER_WEIGHTS, write_layer_weights
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.sentence_transformers_files import ABOUT_FILE, SETTINGS_FILES
from bothways.checkpoints.sentence_transformers_layers import DENSE_ACTIVATIONS
from bothways.checkpoints.sentence_transformers_pooling import POOLING_FLAGS, POOLING_NAMES
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.checkpoints.weight_files import write_safetensors
from bothways.errors import UnsupportedModel
from bothways.io.json_files import has_file, read_object, write_json
from bothways.model.pooling import Dense, Normalize, PooledLayerNorm
from bothways.model.spec import ModelSpec
from bothways.model.weights import Weights

__all__ = ["write_modules"]

_OF_TERMS = ("MLMTransformer", "SpladePooling", "SparseStaticEmbedding")
_MODULES = {"dense": "Dense", "layer_norm": "LayerNorm", "normalize": "Normalize"}


def write_modules(out: Path, model: ModelBundle) -> None:
    """Write pooling, dense layers, normalization and prompts into the folder of an encoder.

    That is a folder of transformers, or the table and tokenizer of static embeddings or of weights
    of tokens, which have no module for their pooling.

    Raises:
        UnsupportedModel: if the other library lacks the pooling or the activation of a dense layer.
    """
    spec = model.spec
    missing = [mode for mode in spec.pooling.modes if mode not in POOLING_NAMES.values()]
    if missing:
        raise UnsupportedModel(
            f"{model.path}: sentence-transformers has no pooling {missing[0]!r}; 'mean' is nearest"
        )
    modules = _write_encoder_modules(out, spec)
    first = len(modules)
    for number, module in enumerate(spec.modules, start=first):
        name = _MODULES[module.kind]
        modules.append((name, f"{number}_{name}"))
        match module:
            case Dense():
                prefix = f"modules.{number - first}."
                weights = {name: model.module_weights[prefix + name] for name in _names(module)}
                _write_dense(out / f"{number}_Dense", module, weights)
            case PooledLayerNorm():
                prefix = f"modules.{number - first}."
                weights = {name: model.module_weights[prefix + name] for name in ("weight", "bias")}
                _write_layer_norm(out / f"{number}_LayerNorm", module, weights)
            case Normalize():
                (out / f"{number}_Normalize").mkdir()
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": _type(name)}
        for i, (name, path) in enumerate(modules)
    ]
    write_json(out / "modules.json", entries)
    about: dict[str, object] = {
        "model_type": "SentenceTransformer" if spec.terms is None else "SparseEncoder",
        "prompts": dict(spec.prompts),
        "default_prompt_name": spec.default_prompt,
        "similarity_fn_name": spec.similarity,
    }
    if spec.dimensions is not None:
        about["truncate_dim"] = spec.dimensions
    if spec.terms is not None and spec.terms.max_terms is not None:
        about["max_active_dims"] = spec.terms.max_terms
    write_json(out / ABOUT_FILE, about)
    _add_unread_fields(out, model)


def _write_encoder_modules(out: Path, spec: ModelSpec) -> list[tuple[str, str]]:
    """Write the settings of the encoder and of what pools it; name and path of their modules."""
    if spec.terms is not None and spec.terms.source == "tokens":
        return [("SparseStaticEmbedding", "")]
    if spec.empty_token is not None:
        return [("StaticEmbedding", "")]
    settings = {"max_seq_length": spec.max_length, "do_lower_case": spec.lowercase}
    write_json(out / SETTINGS_FILES[0], settings)
    if spec.terms is None and spec.layer_weights is not None:
        write_layer_weights(out, spec.layer_weights, spec.config.d_model)
        _write_pooling(out / "2_Pooling", spec)
        mixed = ("WeightedLayerPooling", LAYER_WEIGHTS)
        return [("Transformer", ""), mixed, ("Pooling", "2_Pooling")]
    if spec.terms is None:
        _write_pooling(out / "1_Pooling", spec)
        return [("Transformer", ""), ("Pooling", "1_Pooling")]
    splade = {
        "pooling_strategy": spec.terms.pooling,
        "activation_function": spec.terms.activation,
        "word_embedding_dimension": None,
    }
    (out / "1_SpladePooling").mkdir()
    write_json(out / "1_SpladePooling" / "config.json", splade)
    return [("MLMTransformer", ""), ("SpladePooling", "1_SpladePooling")]


def _type(name: str) -> str:
    """The class of a module, where every release that has the module finds it."""
    home = "sparse_encoder.models" if name in _OF_TERMS else "models"
    return f"sentence_transformers.{home}.{name}"


def _add_unread_fields(out: Path, model: ModelBundle) -> None:
    """Add the fields of the files of the same names in the model's folder, except the encoder's."""
    for name, values in UnreadFields.of(model.source_settings).items():
        file = out / name if name != "config.json" else None
        if file is not None and file.resolve().is_relative_to(out.resolve()) and has_file(file):
            write_json(file, values | read_object(file))


def _write_pooling(out: Path, spec: ModelSpec) -> None:
    out.mkdir()
    modes = spec.pooling.modes
    settings: dict[str, object] = {
        "word_embedding_dimension": spec.config.d_model,
        "include_prompt": spec.pooling.include_prompt,
    }
    flags = {flag: mode in modes for flag, mode in POOLING_FLAGS.items()}
    if modes == tuple(mode for flag, mode in POOLING_FLAGS.items() if flags[flag]):
        settings |= flags  # which every release reads
    else:
        names = {mode: name for name, mode in POOLING_NAMES.items()}
        settings["pooling_mode"] = [names[mode] for mode in modes]
    write_json(out / "config.json", settings)


def _write_layer_norm(out: Path, norm: PooledLayerNorm, weights: Weights) -> None:
    out.mkdir()
    write_json(out / "config.json", {"dimension": norm.width})
    arrays = {f"norm.{name}": array for name, array in weights.items()}
    write_safetensors(out / "model.safetensors", arrays)


def _names(dense: Dense) -> tuple[str, ...]:
    return ("weight", "bias") if dense.bias else ("weight",)


def _write_dense(out: Path, dense: Dense, weights: Weights) -> None:
    names = {activation: name for name, activation in DENSE_ACTIVATIONS.items()}
    if dense.activation not in names:
        raise UnsupportedModel(
            f"sentence-transformers has no dense layer with activation {dense.activation!r}"
        )
    out.mkdir()
    settings = {
        "in_features": dense.inputs,
        "out_features": dense.outputs,
        "bias": dense.bias,
        "activation_function": names[dense.activation],
    }
    write_json(out / "config.json", settings)
    arrays = {f"linear.{name}": array for name, array in weights.items()}
    write_safetensors(out / "model.safetensors", arrays)
