"""Write a model with heads, and what encoders compute offline, as JSON to standard output.

Run in the environment of bothways: the clients have none.

    python -m tests.clients.offline FOLDER
"""

import json
import sys
from pathlib import Path

from tests.conftest import make_weights
from tests.support.heads import TAGS, TOKENS, pooled_head
from tests.support.models import TEXT, write_model

from bothways import load

MINILM_TEXTS = ["The cat is on the sofa", "A kitten on the couch", "Interest rates went up", ""]
HEADS_TEXT = "a river bank"
MASKED_TEXT = "the [MASK] bank"


def main() -> None:
    """Write the model, and print what clients should get."""
    folder = Path(sys.argv[1])
    heads = (pooled_head("classes"), TOKENS)
    for name in ("heads", "tagger"):
        (folder / name).mkdir()
    write_model(folder / "heads", make_weights(TEXT), *heads)
    write_model(folder / "tagger", make_weights(TEXT), TAGS)
    minilm, tiny = load("minilm", threads=1), load(folder / "heads/model", threads=1)
    tags = load(folder / "tagger/model", threads=1).tag(HEADS_TEXT)
    (mask,) = tiny.fill_mask(MASKED_TEXT, top=3)
    classified = tiny.classify(HEADS_TEXT)
    unit = minilm.encode(MINILM_TEXTS, normalize=True)
    facts = {
        "texts": MINILM_TEXTS,
        "vectors": minilm.encode(MINILM_TEXTS).tolist(),
        "short": minilm.encode(MINILM_TEXTS, dimensions=64).tolist(),
        "unit": unit.tolist(),
        "similarities": (unit[1:] @ unit[0]).tolist(),
        "text": HEADS_TEXT,
        "masked": MASKED_TEXT,
        "label": classified.label,
        "probability": float(classified.probabilities.max()),
        "tokens": list(mask.tokens),
        "token_probabilities": mask.probabilities.tolist(),
        "tags": [
            [token, label, float(row.max())]
            for token, label, row in zip(tags.tokens, tags.labels, tags.probabilities, strict=True)
            if label not in (None, "O")
        ],
    }
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
