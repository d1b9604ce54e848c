"""Folders that hold no encoder that bothways runs: what they are, and what to do about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bothways.io.json_files import brief, read_optional_object

__all__ = ["other_folder", "other_model", "other_weights", "unread_classifier"]

_OTHER_WEIGHTS = {
    "*.gguf": "a GGUF file of llama.cpp: load the folder of safetensors that it was made from",
    "*.onnx": "a graph, and bothways does not run graphs: load the model that it was exported from",
    "onnx/*.onnx": "graphs, and bothways does not run graphs: load the model that they were "
    "exported from",
    "openvino_model.xml": "a graph of OpenVINO: load the model that it was exported from",
    "*.mlpackage": "a model of Core ML: load the model that it was exported from",
    "tf_model.h5": "weights of TensorFlow: load them with transformers 4 (from_tf=True), and save "
    "them with save_pretrained",
    "saved_model.pb": "a graph of TensorFlow: load the model that it was exported from",
    "flax_model.msgpack": "weights of Flax: load them with transformers 4 (from_flax=True), and "
    "save them with save_pretrained",
    "rust_model.ot": "weights of rust-bert: load the model in the format of torch",
}

_OTHERS = {
    "gliner": "a model of GLiNER, which finds the entities that each call names, by layers on an "
    "encoder: use the package gliner",
    "moment": "a MOMENT model of series, whose patches and heads are layers around a T5 encoder: "
    "use the package momentfm, or train an encoder on your own series with `bothways train mlm`",
    "codet5p_embedding": "the encoder of CodeT5+ with a projection, which needs Python code of its "
    "own: read that code and run it with transformers (trust_remote_code=True), or load another "
    "model of code, such as jinaai/jina-embeddings-v2-base-code",
    "codesage": "CodeSage, which needs Python code of its own: read that code and run it with "
    "transformers (trust_remote_code=True), or load another model of code, such as "
    "jinaai/jina-embeddings-v2-base-code",
}
"""Models that other packages, or code of their own, run."""

_PICTURES = frozenset({"clip", "siglip", "siglip2", "align", "blip", "chinese_clip", "clap"})


def other_weights(folder: Path) -> str:
    """What weights in another format are, for a message about missing ones; "" without any."""
    for pattern, what in _OTHER_WEIGHTS.items():
        for path in sorted(folder.glob(pattern)):
            return f"{path.relative_to(folder).as_posix()} is {what}; "
    return ""


def other_folder(folder: Path) -> str:
    """What a folder without a config.json is, such as a cache or a run; "" if nothing is known."""
    if (folder / "snapshots").is_dir():
        return _hub_cache(folder)
    models = sorted(path.name for path in folder.glob("models--*"))
    if models:
        shown = ", ".join(f"hf:{_repository(name)}" for name in models[:5])
        return f"it is the cache of the hub: load one of its models, such as {shown}; "
    if (folder / "adapter_config.json").is_file():
        base = read_optional_object(folder / "adapter_config.json").get("base_model_name_or_path")
        return (
            f"it is an adapter without its model, {brief(base)}: put its files beside those of "
            "the model, or merge it with peft and load what it saves; "
        )
    runs = [path for path in folder.glob("checkpoint-*") if (path / "config.json").is_file()]
    if runs:
        last = max(runs, key=lambda path: _number(path.name))
        return f"it is the output of a training run: load one of its checkpoints, such as {last}; "
    if (folder / "gliner_config.json").is_file():
        values = read_optional_object(folder / "gliner_config.json")
        base = values.get("model_name")
        which = f"; the encoder that it was made from is {brief(base)}" if base else ""
        return f"it is {_OTHERS['gliner']}{which}; "
    if (folder / "meta.json").is_file() and (folder / "config.cfg").is_file():
        return "it is a pipeline of spaCy, which is no Transformer encoder of its own: use spaCy; "
    return other_weights(folder)


def other_model(values: Mapping[str, Any]) -> str:
    """What the model of a config.json of an unknown type is; "" if nothing is known."""
    named = values.get("architectures")
    classes = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    model_type = values.get("model_type")
    if isinstance(model_type, str) and model_type in _OTHERS:
        return _OTHERS[model_type]
    if {"span_mode", "max_width"} <= values.keys():
        return _OTHERS["gliner"]
    if {"patch_len", "transformer_backbone"} <= values.keys():
        return _OTHERS["moment"]
    of_pictures = isinstance(model_type, str) and model_type in _PICTURES
    if of_pictures or {"vision_config", "audio_config"} & values.keys():
        return "a model of images or sound and text: bothways runs encoders of sequences alone"
    if values.get("is_encoder_decoder") is True or any(
        name.endswith("ForConditionalGeneration") for name in classes
    ):
        return "a sequence-to-sequence model: bothways runs encoders without a decoder"
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in classes):
        return "a decoder, which generates text: bothways runs encoders"
    if {"word_embedding_dimension", "pooling_mode", "in_features"} & values.keys():
        return "the settings of one module of sentence-transformers: load the folder above it"
    return ""


def unread_classifier(folder: Path) -> str:
    """Why the classifier of a folder of SetFit is not read; "" for other folders."""
    file = folder / "model_head.pkl"
    if not file.is_file():
        return ""
    return (
        f"{file}: the classifier of SetFit is a pickle, which can run any code and is never "
        "loaded; train a head on the vectors with `bothways train classify --frozen`"
    )


def _hub_cache(folder: Path) -> str:
    revisions = sorted(path for path in (folder / "snapshots").iterdir() if path.is_dir())
    named = f"load hf:{_repository(folder.name)}" if folder.name.startswith("models--") else ""
    paths = f"load the folder {revisions[-1]}" if revisions else ""
    advice = " or ".join(filter(None, (named, paths))) or "download the model again"
    return f"it is a folder of the hub's cache, whose files are in snapshots: {advice}; "


def _repository(name: str) -> str:
    return name.removeprefix("models--").replace("--", "/")


def _number(name: str) -> int:
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 12 else -1
