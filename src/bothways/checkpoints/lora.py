"""LoRA adapters beside the weights that they change (Hu et al. 2021, section 4.1).

A folder that peft wrote has `adapter_config.json` and `adapter_model.safetensors`. The update of a
weight W is merged into it when it is read: W + scaling * B A, with A (r, in) and B (out, r).
"""

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.weight_files import StoredWeights, read_safetensors
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief, has_file, read_object

__all__ = ["ADAPTER_CONFIG", "ADAPTER_FILES", "adapter_weights", "merge_adapter"]

ADAPTER_CONFIG = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
ADAPTER_FILES = (ADAPTER_CONFIG, *_WEIGHTS)

_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"

_DROPPED = (
    # Which base, and which of its layers: the names of the adapter's weights say that.
    "base_model_name_or_path", "revision", "target_modules", "exclude_modules",
    "layers_to_transform", "layers_pattern", "auto_mapping",
    # How it was trained, and with what.
    "task_type", "inference_mode", "lora_dropout", "peft_version", "megatron_core",
    "qalora_group_size", "ensure_weight_tying",
)  # fmt: skip

_PLAIN = "bothways merges plain LoRA only; merge the adapter with peft, and load what it saves"


def adapter_weights(folder: Path) -> Path | None:
    """The weights of the adapter in a folder; None if the folder has no adapter.

    Raises:
        CheckpointError: if there is an adapter_config.json and no weights.
    """
    if not has_file(folder / ADAPTER_CONFIG):
        return None
    for name in _WEIGHTS:
        if has_file(folder / name):
            return folder / name
    raise CheckpointError(
        f"{folder / ADAPTER_CONFIG}: an adapter without weights: looked for {', '.join(_WEIGHTS)}"
    )


def merge_adapter(folder: Path, stored: StoredWeights, prefixes: Collection[str]) -> StoredWeights:
    """The weights of a folder with its adapter merged; as they are if it has no adapter.

    Merged weights are in no file: `file_of` of the result lacks them.

    prefixes: prefixes that a name may have in the one file and lack in the other, such as `bert.`.

    Raises:
        CheckpointError: if a file is malformed, or an update does not fit its weight.
        UnsupportedModel: naming the field or weight of an adapter that is no plain LoRA.
    """
    file = adapter_weights(folder)
    if file is None:
        return stored
    scaling = _scaling(folder / ADAPTER_CONFIG)
    updates = _read(file)
    merged: dict[str, np.ndarray] = {}
    for key in sorted(name.removesuffix(_A) for name in updates if name.endswith(_A)):
        a, b = updates.pop(key + _A), updates.pop(key + _B, None)
        if b is None:
            raise CheckpointError(f"{file}: weight {brief(key + _B)} is missing")
        name = _find(key.removeprefix(_PREFIX) + ".weight", stored.arrays.keys(), prefixes)
        if name is None:
            raise CheckpointError(f"{file}: {brief(key)}: {stored.source} has no such weight")
        weight = merged.get(name, stored.arrays[name])
        merged[name] = _merged(weight, a, b, scaling, f"{file}: {brief(key)}")
    if updates:
        raise UnsupportedModel(f"{file}: weight {brief(min(updates))}: {_PLAIN}")
    return stored.replacing(merged)


def _scaling(file: Path) -> float:
    """The factor of B A: lora_alpha / r, or lora_alpha / sqrt(r) where `use_rslora` is set."""
    fields = Fields(read_object(file), str(file))
    fields.only("peft_type", "LORA", because=_PLAIN)
    rank, alpha = fields.integer("r", at_least=1), fields.number("lora_alpha")
    is_rank_stabilized = fields.flag("use_rslora", False)
    fields.only("bias", "none", None, because=_PLAIN)
    # Other ways to start change the base's weights too.
    fields.only("init_lora_weights", True, False, "gaussian", None, because=_PLAIN)
    fields.drop(_DROPPED)
    for name in fields.unread():  # DoRA, patterns of ranks, whole modules and whatever comes
        fields.only(name, None, False, {}, [], because=_PLAIN)
    return alpha / (math.sqrt(rank) if is_rank_stabilized else rank)


def _read(file: Path) -> dict[str, np.ndarray]:
    if file.suffix == ".safetensors":
        return read_safetensors(file)
    from bothways.checkpoints.torch_files import read_torch

    return read_torch(file)


def _find(name: str, keys: Collection[str], prefixes: Collection[str]) -> str | None:
    """The name of a weight among `keys`, which may have another prefix there."""
    bare = [name, *(name.removeprefix(p) for p in prefixes if p and name.startswith(p))]
    candidates = [*bare, *(prefix + bare[-1] for prefix in prefixes)]
    return next((candidate for candidate in candidates if candidate in keys), None)


def _merged(
    weight: np.ndarray, a: np.ndarray, b: np.ndarray, scaling: float, place: str
) -> np.ndarray:
    shapes = [array.shape for array in (weight, a, b)]
    if any(len(shape) != 2 for shape in shapes) or (
        (b.shape[0], a.shape[1]) != weight.shape or a.shape[0] != b.shape[1]
    ):
        raise CheckpointError(
            f"{place}: A {a.shape} and B {b.shape} do not fit the weight {weight.shape}; "
            "expected (r, inputs) and (outputs, r)"
        )
    merged: np.ndarray = weight + np.float32(scaling) * (b @ a)
    return merged
