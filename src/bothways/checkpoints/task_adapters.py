"""LoRA adapters for tasks: stored with the weights they change, or in folders of their own.

Stored with them (Sturua et al. 2024), a weight W is `NAME.parametrizations.weight.original`, and
the updates of all tasks are beside it: of a linear map A (tasks, r, in) and B (tasks, out, r),
whose product is B A; of a table A (tasks, rows, r) and B (tasks, r, width), whose product is A B.
The config.json has the names of the tasks (`lora_adaptations`), r (`lora_rank`), and alpha
(`lora_alpha`); an update is scaled by alpha / r.

In folders (jina-embeddings-v5), the adapter of each task is `adapters/TASK`, as peft writes it.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.lora import ADAPTER_FILES, adapter_weights, merge_adapter
from bothways.checkpoints.weight_files import StoredWeights, inside
from bothways.errors import AdapterWarning, CheckpointError, InputError
from bothways.io.caller import warn_caller
from bothways.io.json_files import brief

__all__ = ["merge_task", "merge_task_folder", "task_files"]

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


def merge_task_folder(
    stored: StoredWeights,
    names: str,
    config: Mapping[str, Any],
    config_file: Path,
    task: str | None,
    prefixes: Collection[str],
) -> StoredWeights:
    """The weights with the adapter of a task merged, which is in a folder of its own.

    names: the field of the config with the tasks. prefixes: as in `merge_adapter`.

    Raises:
        CheckpointError: if files or fields of the adapter are missing or do not fit.
        UnsupportedModel: if the adapter is no plain LoRA.
        InputError: if there is no adapter for the task, or no task is chosen: such models are not
            used without one.
    """
    tasks = Fields(config, str(config_file)).list(names)
    if not tasks or not all(isinstance(name, str) and name for name in tasks):
        raise CheckpointError(f"{config_file}: {names}={brief(tasks)}: expected names")
    known = ", ".join(brief(name) for name in tasks)
    if task is None:
        raise InputError(
            f"{config_file.parent}: the model has adapters for tasks and is used with one of them; "
            f"choose one with adapter= (bothways export --adapter): {known}"
        )
    if task not in tasks:
        raise InputError(f"adapter={task!r}: expected one of {known}")
    folder = inside(config_file.parent, f"adapters/{task}", config_file)
    if adapter_weights(folder) is None:
        raise CheckpointError(f"{folder}: no adapter: looked for {', '.join(ADAPTER_FILES)}")
    return merge_adapter(folder, stored, prefixes)


def task_files(folder: Path, task: str | None) -> list[Path]:
    """Where the files of the adapter of a task are in the folder of a model, if it is in a folder.

    Raises:
        CheckpointError: if the name of the task leads out of the folder.
    """
    if task is None:
        return []
    place = inside(folder, f"adapters/{task}", folder)
    return [place / name for name in ADAPTER_FILES]


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
