"""Published models that are pooled by their first position, by name.

A folder of transformers does not say how it is pooled; `AutoModel.save_pretrained` writes such a
folder of any model. The names are of models of the supported families; their model cards on the hub
state the pooling, and the `1_Pooling/config.json` beside their weights.
"""

import re
from pathlib import Path

from bothways.checkpoints.model_bundle import ModelBundle
from bothways.errors import PoolingWarning
from bothways.io.caller import warn_caller
from bothways.io.json_files import read_object

__all__ = ["warn_of_pooling"]

_CLS_MODELS = re.compile(
    r"bge-(?!reranker).+"  # Xiao et al. 2023, "C-Pack", and later models of BAAI
    r"|snowflake-arctic-embed-.+"  # Merrick et al. 2024
    r"|mxbai-embed-(2d-)?large-.+"
    r"|gte-modernbert-base"
    r"|multi-qa-(mpnet-base|distilbert)-dot-v1"
    r"|msmarco-distilbert-base-tas-b",  # Hofstätter et al. 2021
    re.IGNORECASE,
)


def warn_of_pooling(model: ModelBundle) -> None:
    """Warn if a model without declared pooling is one that was published with `cls` pooling.

    Its name is that in its config.json, or that of its folder.
    """
    if any(head.pooling is not None for head in model.spec.heads):
        return  # a classifier, which says how it pools
    recorded = read_object(model.path / "config.json").get("_name_or_path")
    names = [recorded] if isinstance(recorded, str) else []
    for name in (*names, str(model.path.resolve())):
        # Older releases recorded a folder of the cache, such as .../BAAI_bge-small-en/.
        last = Path(name.rstrip("/\\").replace("\\", "/")).name.removeprefix("BAAI_")
        if _CLS_MODELS.fullmatch(last):
            warn_caller(
                PoolingWarning(
                    f"{model.path}: the folder does not say how it is pooled, so the mean of all "
                    f"positions is used, and {last[:80]} was published with cls pooling: choose "
                    "pooling='cls' (--pooling cls), or add the modules.json and 1_Pooling of its "
                    "publisher to the folder"
                )
            )
            return
