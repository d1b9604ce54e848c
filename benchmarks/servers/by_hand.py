"""The server that people write by hand: FastAPI around sentence-transformers.

Run by `serve_load.py` in an environment of its own: `python by_hand.py FOLDER PORT`.
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from sentence_transformers import SentenceTransformer


def main() -> None:
    """Serve a model folder."""
    model = SentenceTransformer(sys.argv[1], device="cpu")
    app = FastAPI()

    def embeddings(body: dict[str, Any]) -> dict[str, Any]:
        texts = body["input"]
        vectors = model.encode([texts] if isinstance(texts, str) else texts)
        rows = [{"index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)]
        return {"object": "list", "data": rows}

    app.post("/v1/embeddings")(embeddings)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")


if __name__ == "__main__":
    main()
