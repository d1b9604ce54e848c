"""DPR (Karpukhin et al. 2020): BERT encoders of questions and of passages, pooled by `cls`.

An export writes the names of the encoder of passages, since a file says by its names which it is.
"""

import dataclasses

from bothways.checkpoints.families import bert
from bothways.checkpoints.key_table import KeyTable
from bothways.model.pooling import Pooling

_ROWS = bert.EMBEDDING | bert.BLOCK | {"pooler.dense.{p}": None}  # which DPR does not use

DPR = dataclasses.replace(
    bert.BERT,
    model_type="dpr",
    base_class="DPRContextEncoder",
    heads=(),
    only={**bert.ABSOLUTE_ONLY, "projection_dim": (0,)},
    pooling=Pooling(("cls",)),
    tables=tuple(
        KeyTable(_ROWS, prefixes=(f"{side}.bert_model.",), aliases=bert.ALIASES)
        for side in ("ctx_encoder", "question_encoder")
    ),
)
