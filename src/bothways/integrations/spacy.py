"""spaCy: the component `bothways`, which gives documents, spans and tokens their vectors.

n tokens of a document; d dimensions.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from bothways.errors import MissingExtra
from bothways.integrations._shared import RoleEmbedder

try:
    import srsly
    from spacy.language import Language
    from spacy.tokens import Doc, Span, Token
    from spacy.util import minibatch
except ImportError as error:
    raise MissingExtra("spacy", "bothways.integrations.spacy") from error

__all__ = ["VectorComponent"]

_KEY = "bothways.vector"
"""The key of `Doc.user_data` for the vector of the document."""

_FILE = "model.json"


@Language.factory(
    "bothways",
    assigns=["doc.tensor", "doc.vector"],
    default_config={"options": {}, "tokens": True},
)
class VectorComponent:
    """A component that sets `doc.vector`, and `doc.tensor`, the vectors of its tokens.

        nlp.add_pipe("bothways", config={"model": "minilm"})

    `doc.vector` is that of `Encoder.encode`. Row i of `doc.tensor` is the mean of the vectors of
    the model's tokens that overlap token i, and 0 if there are none, as behind the longest text
    that the model reads; `token.vector` is this row, and `span.vector` the mean of its rows.
    `similarity` compares them by cosine.

    model: a source of `bothways.load`. options: those of `EmbedderOptions`; the prompt is that of
        documents. tokens: whether to compute the vectors of tokens, which takes a second run.

    A pipeline on disk has the model's source and fingerprint, and `spacy.load` refuses another
    model.

    Raises:
        InputError, SourceError, CheckpointError, BackendError: as `bothways.load`.
    """

    def __init__(
        self, nlp: Language, name: str, model: str, options: dict[str, Any], tokens: bool
    ) -> None:
        self.name = name
        self.tokens = tokens
        self.embedder = RoleEmbedder(model, **options)

    def __call__(self, doc: Doc) -> Doc:
        """Set the vectors of one document."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], batch_size: int = 256) -> Iterator[Doc]:
        """Set the vectors of documents, a batch at a time."""
        for batch in minibatch(stream, batch_size):
            docs = list(batch)
            texts = [doc.text for doc in docs]
            for doc, vector in zip(docs, self.embedder.documents(texts), strict=True):
                doc.user_data[_KEY] = vector
                _set_hooks(doc, tokens=self.tokens)
            if self.tokens:
                for doc, tensor in zip(docs, self._tensors(docs, texts), strict=True):
                    doc.tensor = tensor
            yield from docs

    def _tensors(self, docs: list[Doc], texts: list[str]) -> Iterator[np.ndarray]:
        prompt = self.embedder.document_prompt
        contextual = self.embedder.encoder.contextualize(
            texts, prompt=prompt, role="document" if prompt is None else None
        )
        for doc, tokens in zip(docs, contextual, strict=True):
            yield _aligned(doc, tokens.vectors, tokens.offsets)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The model's source, the options and the fingerprint."""
        data: bytes = srsly.json_dumps(self.embedder.options()).encode()
        return data

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Take the model of `to_bytes`.

        Raises:
            CheckpointError: if the model has another fingerprint.
        """
        self.embedder = RoleEmbedder(**srsly.json_loads(data))
        _ = self.embedder.encoder
        return self

    def to_disk(self, path: Path, *, exclude: Iterable[str] = ()) -> None:
        """Write what `to_bytes` returns into a folder."""
        Path(path).mkdir(exist_ok=True)
        (Path(path) / _FILE).write_bytes(self.to_bytes())

    def from_disk(self, path: Path, *, exclude: Iterable[str] = ()) -> Self:
        """Take the model of `to_disk`; raises as `from_bytes`."""
        return self.from_bytes((Path(path) / _FILE).read_bytes())


def _aligned(doc: Doc, vectors: np.ndarray, offsets: np.ndarray | None) -> np.ndarray:
    """The mean vector of the pieces that overlap each token of a document, float32 (n, d)."""
    tensor = np.zeros((len(doc), vectors.shape[1]), np.float32)
    if offsets is None:
        return tensor
    starts, ends = offsets.T
    for token in doc:
        overlaps = (starts < token.idx + len(token)) & (ends > token.idx)
        if overlaps.any():
            tensor[token.i] = vectors[overlaps].mean(axis=0)
    return tensor


def _set_hooks(doc: Doc, *, tokens: bool) -> None:
    doc.user_hooks.update(vector=_vector_of_doc, has_vector=_true, similarity=_cosine)
    if tokens:
        for hooks, vector in (
            (doc.user_span_hooks, _vector_of_span),
            (doc.user_token_hooks, _vector_of_token),
        ):
            hooks.update(vector=vector, has_vector=_true, similarity=_cosine)


def _vector_of_doc(doc: Doc) -> np.ndarray:
    vector: np.ndarray = doc.user_data[_KEY]
    return vector


def _vector_of_span(span: Span) -> np.ndarray:
    mean: np.ndarray = span.doc.tensor[span.start : span.end].mean(axis=0)
    return mean


def _vector_of_token(token: Token) -> np.ndarray:
    row: np.ndarray = token.doc.tensor[token.i]
    return row


def _true(_: Any) -> bool:
    return True


def _cosine(one: Any, other: Any) -> float:
    a, b = one.vector, other.vector
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0
