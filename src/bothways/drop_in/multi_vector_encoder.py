"""`MultiVectorEncoder` of sentence-transformers: one vector per token (late interaction).

n inputs; t tokens of one; d dimensions of a vector.
"""

import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from bothways.drop_in.embedding_model import document_method, query_method
from bothways.drop_in.model import DropInModel, Pool, show_bar
from bothways.drop_in.renamed import renamed
from bothways.drop_in.tensors import as_tensor, import_torch, is_tensor
from bothways.errors import InputError
from bothways.inference.maxsim import maxsim
from bothways.inference.postprocessing import to_unit_length

__all__ = ["MultiVectorEncoder"]

MultiVectorSimilarity = Literal["maxsim", "meanmaxsim"]

_EMPTY_DOCUMENT_SCORE = -1e9
"""The score of a document without tokens, before a mean: sentence-transformers' constant."""


class MultiVectorEncoder(DropInModel):
    """`sentence_transformers.MultiVectorEncoder` (6.2), run by bothways.

    The arguments are those of `SentenceTransformer`, and:

    similarity_fn_name: `maxsim` or `meanmaxsim`, which divides by the tokens of the query; None for
        `maxsim`.

    Raises:
        InputError: naming an argument that bothways cannot give the same meaning, and why; if the
            model is none of late interaction.
        SourceError, CheckpointError, BackendError, MissingExtra: as `bothways.load`.
    """

    @renamed(tokenizer_kwargs="processor_kwargs")
    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        modules: Any = None,
        device: Any = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        model_card_data: Any = None,
        backend: str = "auto",
        similarity_fn_name: Any = None,
    ) -> None:
        super().__init__(
            model_name_or_path,
            device=device,
            prompts=prompts,
            default_prompt_name=default_prompt_name,
            backend=backend,
            revision=revision,
            local_files_only=local_files_only,
            model_kwargs=model_kwargs,
            modules=modules,
            cache_folder=cache_folder,
            token=token,
            processor_kwargs=processor_kwargs,
            config_kwargs=config_kwargs,
        )
        if self.encoder.spec.late_interaction is None:
            raise InputError(
                f"{self.encoder.path}: a model of one vector per text; use SentenceTransformer"
            )
        self.similarity_fn_name = similarity_fn_name

    @property
    def similarity_fn_name(self) -> MultiVectorSimilarity:
        """The name of the function that compares texts; None restores `maxsim`."""
        return self._similarity_fn_name

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: Any) -> None:
        name = getattr(value, "value", value)  # also a member of their enumeration
        if name not in (None, "maxsim", "meanmaxsim"):
            raise InputError(f"similarity_fn_name={name!r}: expected 'maxsim' or 'meanmaxsim'")
        self._similarity_fn_name: MultiVectorSimilarity = name or "maxsim"

    @renamed(sentences="inputs")
    def encode(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: Literal["token_embeddings"] | None = "token_embeddings",
        convert_to_numpy: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        pool: Pool | None = None,
        chunk_size: int | None = None,
        token_pooling: Any = None,
        task: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The vectors of the tokens of each input: a list of tensors (t, d); one for a single text.

        prompt_name, prompt: the prompt to prepend; the text takes precedence over the name.
        convert_to_numpy: return arrays, float32, and no tensors, which need torch.
        device: move the model to it first; of several, to the first one.
        normalize_embeddings: give each vector unit length.
        task: `query` or `document`; None for a document of up to `max_seq_length` tokens.
        batch_size, chunk_size, pool: have no effect.

        Raises:
            InputError: naming the input or argument that is invalid.
            MissingExtra: if tensors are requested, and torch is not installed.
        """
        self._start_call(batch_size, device, kwargs)
        if output_value != "token_embeddings":
            raise InputError(
                f"output_value={output_value!r}: bothways has no padded batches; expected "
                "'token_embeddings'"
            )
        if token_pooling is not None:
            raise InputError("token_pooling: bothways does not pool the vectors of tokens")
        if task not in (None, "query", "document"):
            raise InputError(f"task={task!r}: expected 'query' or 'document'")
        if not convert_to_numpy:
            import_torch("MultiVectorEncoder.encode")  # before the work, not after it
        rows, single = self._rows(inputs)
        vectors = self._encoder_for(task).multi_vector(
            rows,
            role="query" if task == "query" else "document",
            prompt=self._prompt_text(prompt, prompt_name),
            max_length=self._max_length_of(task),
            progress=show_bar(show_progress_bar),
        )
        if normalize_embeddings:
            vectors = [to_unit_length(each) for each in vectors]
        results = vectors if convert_to_numpy else [self._as_tensor(each) for each in vectors]
        return results[0] if single else results

    encode_query = query_method(encode)
    encode_document = document_method(encode)

    def get_embedding_dimension(self) -> int:
        """The number of dimensions d of the vector of a token."""
        return self.encoder.spec.width

    def get_sentence_embedding_dimension(self) -> int:
        """`get_embedding_dimension`, under the name of earlier releases."""
        return self.get_embedding_dimension()

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The score of each of n queries with each of m documents, float32 (n, m).

        embeddings1, embeddings2: what `encode` returns; one text counts as a list of one. A tensor
        if either argument has one, and a NumPy array otherwise; sentence-transformers always
        returns a tensor.
        """
        queries, documents = _each(embeddings1), _each(embeddings2)
        scores = np.asarray(maxsim(queries, documents), np.float32)
        scores = scores.reshape(len(queries), len(documents))
        scores[:, [not len(document) for document in documents]] = _EMPTY_DOCUMENT_SCORE
        return self._result(self._mean(scores, queries), embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The score of each query with the document at the same index, float32 (n,).

        The arguments and the type of the result are those of `similarity`.

        Raises:
            InputError: if there are not as many of both.
        """
        queries, documents = _each(embeddings1), _each(embeddings2)
        if len(queries) != len(documents):
            raise InputError(
                f"{len(queries)} queries and {len(documents)} documents: expected as many of both"
            )
        scores = np.array(
            [
                maxsim(query, document) if len(document) else _EMPTY_DOCUMENT_SCORE
                for query, document in zip(queries, documents, strict=True)
            ],
            np.float32,
        )
        return self._result(self._mean(scores, queries), embeddings1, embeddings2)

    def _mean(self, scores: np.ndarray, queries: list[np.ndarray]) -> np.ndarray:
        """The scores, divided by the numbers of tokens of the queries if the model's are means."""
        if self.similarity_fn_name == "maxsim":
            return scores
        tokens = np.array([max(len(query), 1) for query in queries], np.float32)
        return scores / (tokens[:, None] if scores.ndim == 2 else tokens)

    def _result(self, scores: np.ndarray, *arguments: Any) -> Any:
        devices = [d for argument in arguments if (d := _device(argument)) is not None]
        return as_tensor(scores, devices[-1], "similarity") if devices else scores

    def _max_length_of(self, task: str | None) -> int | None:
        """The longest text of a task; None for the model's own of the task, as it has one."""
        settings = self.encoder.spec.late_interaction
        assert settings is not None  # noqa: S101  checked by the constructor
        has_length = {
            "query": settings.query_length is not None or settings.expansion is not None,
            "document": settings.document_length is not None,
        }
        return None if has_length.get(task or "", False) else self.max_seq_length

    def _as_tensor(self, vectors: np.ndarray) -> Any:
        return as_tensor(vectors, self.device, "MultiVectorEncoder.encode")


def _each(embeddings: Any) -> list[np.ndarray]:
    """The vectors of each text as arrays; one text counts as a list of one."""
    single = getattr(embeddings, "ndim", None) == 2
    return [
        each.detach().float().cpu().numpy() if is_tensor(each) else np.asarray(each)
        for each in ([embeddings] if single else embeddings)
    ]


def _device(embeddings: Any) -> str | None:
    """The device of embeddings; None if they are no tensors."""
    first = embeddings
    if not is_tensor(embeddings):
        first = next(iter(embeddings), None)
    return str(first.device) if is_tensor(first) else None
