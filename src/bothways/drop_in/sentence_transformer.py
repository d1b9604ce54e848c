"""`SentenceTransformer` of sentence-transformers: one vector per text.

n inputs; d dimensions of a vector.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from bothways.drop_in.embedding_model import EmbeddingModel, document_method, query_method
from bothways.drop_in.model import Pool, show_bar
from bothways.drop_in.renamed import renamed
from bothways.drop_in.tensors import as_tensor, import_torch
from bothways.encoder import Encoder
from bothways.errors import InputError
from bothways.inference.options import check_count
from bothways.inference.postprocessing import first_dimensions, to_unit_length
from bothways.model.quantization import VectorPrecision, quantize

__all__ = ["SentenceTransformer"]

OutputValue = Literal["sentence_embedding", "token_embeddings"]
OutputPrecision = Literal["float32"] | VectorPrecision


class SentenceTransformer(EmbeddingModel):
    """`sentence_transformers.SentenceTransformer` (6.2), run by bothways.

    model_name_or_path: a folder, a model of the hub (`org/name`, or a name of the organization
        `sentence-transformers`), or any source of `bothways.load`.
    device: as torch names it; None for a GPU if torch sees one, and the CPU otherwise.
    prompts, default_prompt_name: take precedence over those of the model.
    backend: of bothways (`auto`, `native`, `torch`, `reference`), not of sentence-transformers.
    model_kwargs: `dtype` (or `torch_dtype`): float32; bfloat16 or float16 on a GPU.
    similarity_fn_name: `cosine`, `dot`, `euclidean` or `manhattan`; None for the model's own.
    truncate_dim: the number of leading dimensions to keep; None for the model's own.

    No code of a model is ever run, so that `trust_remote_code` has no effect. Other arguments are
    accepted if they are None.

    Raises:
        InputError: naming an argument that bothways cannot give the same meaning, and why.
        SourceError, CheckpointError, BackendError, MissingExtra: as `bothways.load`.
    """

    default_huggingface_organization = "sentence-transformers"

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
        use_auth_token: bool | str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        model_card_data: Any = None,
        backend: str = "auto",
        similarity_fn_name: Any = None,
        truncate_dim: int | None = None,
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
            use_auth_token=use_auth_token,
            processor_kwargs=processor_kwargs,
            config_kwargs=config_kwargs,
        )
        spec = self.encoder.spec
        check_count("truncate_dim", truncate_dim)
        self.truncate_dim = spec.dimensions if truncate_dim is None else truncate_dim
        self.similarity_fn_name = similarity_fn_name or spec.similarity

    @renamed(sentences="inputs")
    def encode(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: OutputValue | None = "sentence_embedding",
        precision: OutputPrecision = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Pool | None = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """One vector per input, float32 (n, d); (d,) for a single text.

        inputs: a list of texts, or of pairs of texts, or a single text; `sentences` in releases
            before 5.2.
        prompt_name, prompt: the prompt to prepend; the text takes precedence over the name.
        output_value: `token_embeddings` for one vector per token: a list of tensors.
        precision: of the result: `int8` and `uint8` with the ranges of these vectors, `binary` and
            `ubinary` with 8 dimensions in a byte.
        convert_to_tensor: return a tensor. convert_to_numpy: if False too, a list of tensors.
        device: move the model to it first; of several, to the first one.
        normalize_embeddings: give each vector unit length.
        truncate_dim: the number of leading dimensions to keep; None for the attribute of the model.
        batch_size, chunk_size, pool: have no effect. task: the route, in a model with several.

        Raises:
            InputError: naming the input or argument that is invalid.
            MissingExtra: if tensors are requested, and torch is not installed.
        """
        self._start_call(batch_size, device, kwargs)
        _check_output(output_value, precision)
        encoder = self._encoder_for(kwargs.get("task"))
        rows, single = self._rows(inputs)
        options: dict[str, Any] = {
            "prompt": self._prompt_text(prompt, prompt_name),
            "max_length": self._max_seq_length,
            "progress": show_bar(show_progress_bar),
        }
        if output_value == "token_embeddings":
            tensors = self._token_embeddings(encoder, rows, options)
            return tensors[0] if single else tensors
        vectors: np.ndarray = encoder.encode(rows, dimensions=encoder.spec.width, **options)
        # After the model's own unit length: sentence-transformers cuts what the last module gives.
        vectors = first_dimensions(vectors, self._dimensions(truncate_dim))
        if normalize_embeddings:
            vectors = to_unit_length(vectors)
        if precision is not None and precision != "float32" and rows:
            vectors = np.asarray(quantize(vectors, precision))
        if convert_to_tensor:
            result = self._as_tensor(vectors, "convert_to_tensor=True")
        elif convert_to_numpy:
            result = vectors if rows else np.array([])
        else:
            tensor = self._as_tensor(vectors, "convert_to_numpy=False")
            result = list(tensor) if rows else []
        return result[0] if single else result

    encode_query = query_method(encode)
    encode_document = document_method(encode)

    def encode_multi_process(
        self,
        sentences: Any,
        pool: Pool,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        chunk_size: int | None = None,
        show_progress_bar: bool | None = None,
        precision: OutputPrecision = "float32",
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Any:
        """`encode`, under the name of earlier releases."""
        return self.encode(
            sentences,
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            precision=precision,
            normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim,
            pool=pool,
            chunk_size=chunk_size,
        )

    def get_embedding_dimension(self) -> int:
        """The number of dimensions d of a vector that `encode` returns by default."""
        return self._dimensions(None)

    @contextlib.contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """Keep `truncate_dim` leading dimensions within the context; None for all."""
        check_count("truncate_dim", truncate_dim)
        before = self.truncate_dim
        self.truncate_dim = truncate_dim
        try:
            yield
        finally:
            self.truncate_dim = before

    truncate_sentence_embeddings = truncate_embeddings

    def _dimensions(self, truncate_dim: int | None) -> int:
        check_count("truncate_dim", truncate_dim)
        width = self.encoder.spec.width
        dimensions = self.truncate_dim if truncate_dim is None else truncate_dim
        return width if dimensions is None else min(dimensions, width)

    def _token_embeddings(
        self, encoder: Encoder, rows: list[Any], options: dict[str, Any]
    ) -> list[Any]:
        purpose = "output_value='token_embeddings'"
        import_torch(purpose)  # before the work, not after it
        states = encoder.contextualize(rows, **options)
        return [as_tensor(tokens.vectors, self.device, purpose) for tokens in states]

    def _as_tensor(self, vectors: np.ndarray, purpose: str) -> Any:
        if not len(vectors):
            return import_torch(purpose).tensor([], device=self.device)
        # Quantized vectors are on the CPU, as in sentence-transformers.
        return as_tensor(vectors, self.device if vectors.dtype == np.float32 else "cpu", purpose)


def _check_output(output_value: Any, precision: Any) -> None:
    if output_value is None:
        raise InputError(
            "output_value=None gives the tensors of padded batches, and bothways has none; use "
            "'token_embeddings', or `encoder.encode_detailed`, which counts tokens"
        )
    if output_value not in ("sentence_embedding", "token_embeddings"):
        raise InputError(
            f"output_value={output_value!r}: expected 'sentence_embedding' or 'token_embeddings'"
        )
    if output_value == "token_embeddings" and precision not in (None, "float32"):
        raise InputError(f"precision={precision!r}: bothways quantizes only sentence embeddings")
