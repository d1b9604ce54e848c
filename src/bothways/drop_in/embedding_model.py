"""`EmbeddingModel`: what `SentenceTransformer` and `SparseEncoder` share."""

import abc
from collections.abc import Callable
from typing import Any

from bothways.drop_in.model import DropInModel
from bothways.drop_in.renamed import renamed, same_signature
from bothways.drop_in.similarity import check_similarity_name, pairwise_similarity, similarity

__all__ = ["EmbeddingModel", "document_method", "query_method"]


class EmbeddingModel(DropInModel, abc.ABC):
    """A model of one vector per input, which can be compared."""

    _default_similarity = "cosine"

    @property
    def similarity_fn_name(self) -> str:
        """The name of the function that compares vectors; None restores the default."""
        return self._similarity_fn_name

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: Any) -> None:
        default = self._default_similarity
        self._similarity_fn_name = default if value is None else check_similarity_name(value)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The similarity of each of n vectors to each of m, (n, m).

        A tensor if either argument is one, and a NumPy array otherwise; sentence-transformers
        always returns a tensor.
        """
        return similarity(self.similarity_fn_name, embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The similarity of each of n vectors to the one at the same index, (n,).

        A tensor if either argument is one, and a NumPy array otherwise.
        """
        return pairwise_similarity(self.similarity_fn_name, embeddings1, embeddings2)

    @abc.abstractmethod
    def get_embedding_dimension(self) -> int:
        """The number of dimensions of a vector that `encode` returns by default."""

    def get_sentence_embedding_dimension(self) -> int:
        """`get_embedding_dimension`, under the name of earlier releases."""
        return self.get_embedding_dimension()


def query_method(encode: Callable[..., Any]) -> Callable[..., Any]:
    """`encode_query` of a class: its `encode`, by default with the prompt `query`."""
    return _with_prompt(encode, "encode_query", ("query",))


def document_method(encode: Callable[..., Any]) -> Callable[..., Any]:
    """`encode_document` of a class: its `encode`, by default with the prompt `document`.

    A model without that name gets the prompt `passage` or `corpus`.
    """
    return _with_prompt(encode, "encode_document", ("document", "passage", "corpus"))


def _with_prompt(
    encode: Callable[..., Any], name: str, names: tuple[str, ...]
) -> Callable[..., Any]:
    @same_signature(encode)
    @renamed(sentences="inputs")
    def method(
        self: Any,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        if prompt_name is None and prompt is None:
            prompt_name = next((n for n in names if n in self.prompts), None)
        options.setdefault("task", names[0])  # which chooses the route of a model with several
        return self.encode(inputs, prompt_name, prompt, *arguments, **options)

    method.__name__ = name
    method.__qualname__ = f"{encode.__qualname__.rpartition('.')[0]}.{name}"
    shown = f"the prompt {names[0]!r}" + (f" (or else {', '.join(names[1:])})" if names[1:] else "")
    method.__doc__ = f"As `encode`, by default with {shown}, and none if that is empty."
    return method
