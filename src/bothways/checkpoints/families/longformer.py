"""Longformer (Beltagy et al. 2020): RoBERTa whose layers attend within windows.

Positions may attend globally besides, with maps of their own. Its encoder is run without any, as
sentence-transformers runs it, and so are its heads for masked tokens and tags. The others choose
global positions, which bothways does not have: they are refused by name, and the maps are kept.
"""

import dataclasses
from typing import Any

from bothways.checkpoints.families import bert, roberta
from bothways.checkpoints.head_architectures import GLOBAL_ATTENTION, answer_spans
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.errors import CheckpointError
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig

_WINDOW = 512
"""Positions that a position sees besides itself, half of them on each side, by default."""


def read_windows(fields: Fields, values: dict[str, Any]) -> None:
    """Read the offset of positions and the windows, one for all layers or one for each."""
    roberta.read_offset(fields, values)
    num_layers = values["num_layers"]
    widths = fields.raw("attention_window", _WINDOW)
    if not isinstance(widths, list):
        widths = [widths] * num_layers
    if len(widths) != num_layers:
        raise CheckpointError(
            f"{fields.file}: attention_window has {len(widths)} entries; "
            f"expected one for each of num_hidden_layers={num_layers}"
        )
    for width in widths:
        if type(width) is not int or width < 2 or width % 2:
            raise CheckpointError(
                f"{fields.file}: attention_window={brief(width)}: expected an even number above 0"
            )
    values["windows"] = tuple(width // 2 for width in widths)


def write_windows(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_windows`, for encoders with a window in every layer."""
    widths = [_WINDOW if window is None else 2 * window for window in config.windows]
    return roberta.write_offset(config) | {"attention_window": widths or _WINDOW}


_GLOBAL: Rows = {
    f"encoder.layer.{{i}}.attention.self.{part}_global.{{p}}": (
        f"{GLOBAL_ATTENTION}.{{i}}.{part}.{{p}}"
    )
    for part in ("query", "key", "value")
}

_MASKED_TOKENS, _OF_SEQUENCE, _OF_POSITIONS = roberta.HEADS

LONGFORMER = dataclasses.replace(
    roberta.ROBERTA,
    model_type="longformer",
    base_class="LongformerModel",
    rows=bert.FIELDS,
    only={},
    # Those of the authors' own code, in the published files.
    dropped=(*bert.UNUSED, "onnx_export", "attention_mode", "ignore_attention_mask"),
    read_quirks=read_windows,
    write_quirks=write_windows,
    heads=(
        _MASKED_TOKENS,
        dataclasses.replace(
            _OF_SEQUENCE,
            refused="its first position attends globally, which bothways does not support",
        ),
        _OF_POSITIONS,
        dataclasses.replace(
            answer_spans(),
            refused="the question attends globally, which bothways does not support",
        ),
    ),
    tables=(
        KeyTable(
            bert.EMBEDDING | bert.BLOCK | bert.POOLER | _GLOBAL,
            heads=roberta.MASKED_TOKENS | roberta.CLASSIFIERS,
            prefixes=("", "longformer."),
            aliases=bert.ALIASES,
        ),
    ),
)
