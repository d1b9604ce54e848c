"""LoRA adapters for tasks that are stored with the weights they change (Sturua et al. 2024).

A weight W is stored as `NAME.parametrizations.weight.original`, and the updates of all tasks beside
it: of a linear map A (tasks, r, in) and B (tasks, out, r), whose product is B A; of a table A
(tasks, rows, r) and B (tasks, r, width), whose product is A B. The config.json has the names of the
tasks (`lora_adaptations`), r (`lora_rank`), and alpha (`lora_alpha`); an update is scaled by
alpha / r.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.weight_files import StoredWeights
from bothways.errors import AdapterWarning, CheckpointError, InputError
from bothways.io.caller import warn_caller
from bothways.io.json_files import brief

__all__ = ["merge_task"]

_STORED = ".parametrizations.weight."
_ORIGINAL, _A, _B = (_STORED + name for name in ("original", "0.lora_A", "0.lora_B"))


def merge_task(
    stored: StoredWeights, config: Mapping[str, Any], config_file: Path, task: str | None
) -> StoredWeights:
    """The weights with the adapter of a task merged; without a task, the weights themselves.

    Weights without adapters are returned as they are. Others are in no file under their names:
    `file_of` of the result lacks them.

    Raises:
        CheckpointError: if weights or fields of the adapters are missing or do not fit.
        InputError: if there is no adapter for the task.
    """
    if not any(_STORED in name for name in stored.arrays):
        if task is not None:
            raise InputError(f"adapter={task!r}: {config_file.parent} has no adapters for tasks")
        return stored
    fields = Fields(config, str(config_file))
    tasks = fields.list("lora_adaptations")
    if not all(isinstance(name, str) for name in tasks):
        raise CheckpointError(f"{config_file}: lora_adaptations={brief(tasks)}: expected names")
    if task is None:
        warn_caller(
            AdapterWarning(
                f"{config_file.parent}: the model has adapters for {', '.join(tasks)}, and none is "
                "used; choose one with adapter= (bothways export --adapter)"
            )
        )
    elif task not in tasks:
        raise InputError(f"adapter={task!r}: expected one of {', '.join(tasks)}")
    scaling = fields.number("lora_alpha", 1) / fields.integer("lora_rank", 4, at_least=1)
    arrays = {name: array for name, array in stored.arrays.items() if _STORED not in name}
    file_of = {name: file for name, file in stored.file_of.items() if _STORED not in name}
    for key in sorted(n.removesuffix(_ORIGINAL) for n in stored.arrays if n.endswith(_ORIGINAL)):
        weight = stored.arrays[key + _ORIGINAL]
        if task is not None:
            place = f"{stored.source}: {brief(key)}"
            pair = [_stacked(stored.arrays, key + end, len(tasks), place) for end in (_A, _B)]
            a, b = (array[tasks.index(task)] for array in pair)
            weight = weight + np.float32(scaling) * _update(weight, a, b, place)
        arrays[f"{key}.weight"] = weight
    return StoredWeights(arrays, stored.source, file_of)


def _stacked(arrays: Mapping[str, np.ndarray], name: str, count: int, place: str) -> np.ndarray:
    array = arrays.get(name)
    if array is None or array.ndim != 3 or len(array) != count:
        found = "is missing" if array is None else f"has shape {array.shape}"
        raise CheckpointError(
            f"{place}: {name.rpartition('.')[2]} {found}; expected a matrix for each of "
            f"{count} tasks"
        )
    return array


def _update(weight: np.ndarray, a: np.ndarray, b: np.ndarray, place: str) -> np.ndarray:
    """B A for a linear map, A B for a table."""
    for left, right in ((b, a), (a, b)):
        if (left.shape[0], right.shape[1]) == weight.shape and left.shape[1] == right.shape[0]:
            product: np.ndarray = left @ right
            return product
    raise CheckpointError(
        f"{place}: A {a.shape} and B {b.shape} do not fit the weight {weight.shape}"
    )
