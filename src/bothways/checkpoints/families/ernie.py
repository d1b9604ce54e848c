"""ERNIE (Sun et al. 2020, 2021): BERT, in versions 2 and 3 with an embedding of the task.

The task is the same at all positions, 0 unless a caller says otherwise: its row is added to each
row of the segment table when a folder is read, and the encoder is BERT's.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families import bert
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.weight_files import StoredWeights
from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig

_SEGMENTS = "embeddings.token_type_embeddings.weight"
_TASKS = "embeddings.task_type_embeddings.weight"


def read_task(fields: Fields, values: dict[str, Any]) -> None:
    """Check the fields of the task embedding, which `fold_task` uses."""
    fields.flag("use_task_id", False)
    fields.integer("task_type_vocab_size", 3)


def write_task(config: EncoderConfig) -> dict[str, Any]:
    """A config without a task embedding."""
    return {"use_task_id": False}


def fold_task(values: Mapping[str, Any], stored: StoredWeights) -> StoredWeights:
    """Add the embedding of task 0 to each segment, if the model uses it."""
    if not values.get("use_task_id"):
        return stored
    arrays, file_of = dict(stored.arrays), dict(stored.file_of)
    for prefix in ERNIE.tables[0].prefixes:
        tasks, segments = arrays.pop(prefix + _TASKS, None), arrays.get(prefix + _SEGMENTS)
        if tasks is not None and segments is not None:
            if tasks.ndim != 2 or not len(tasks) or tasks.shape[1:] != segments.shape[1:]:
                raise CheckpointError(
                    f"{stored.source}: weight {prefix + _TASKS!r} has shape {tasks.shape}; "
                    f"expected rows of the width of the segments, {segments.shape}"
                )
            arrays[prefix + _SEGMENTS] = segments + tasks[0]
            file_of.pop(prefix + _SEGMENTS)
            return StoredWeights(arrays, stored.source, file_of)
    raise CheckpointError(f"{stored.source}: weight {_TASKS!r} is missing, and use_task_id is true")


ERNIE = dataclasses.replace(
    bert.BERT,
    model_type="ernie",
    base_class="ErnieModel",
    read_quirks=read_task,
    write_quirks=write_task,
    fold=fold_task,
    tables=(
        KeyTable(
            # Without use_task_id, the table of tasks is not used.
            bert.EMBEDDING | bert.BLOCK | bert.POOLER | {_TASKS: None},
            heads=bert.HEAD_ROWS,
            prefixes=("", "ernie."),
            aliases=bert.ALIASES,
        ),
    ),
)
