"""`SparseEncoder` of sentence-transformers: weights of the terms of a vocabulary (SPLADE).

n inputs; V tokens of the vocabulary.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from bothways.drop_in.embedding_model import EmbeddingModel, document_method, query_method
from bothways.drop_in.model import Pool, show_bar
from bothways.drop_in.renamed import renamed
from bothways.drop_in.tensors import import_torch, is_tensor
from bothways.errors import InputError
from bothways.inference.options import RunOptions, check_count
from bothways.inference.predict.sparse import (
    SparseVectors,
    check_sparse,
    sparse,
    term_names,
)

__all__ = ["SparseEncoder"]

Terms = list[tuple[str, float]]
"""The tokens of one vector and their weights, the heaviest first."""


class SparseEncoder(EmbeddingModel):
    """`sentence_transformers.SparseEncoder` (6.2), run by bothways.

    The vectors are torch tensors, so torch must be installed; `bothways.Encoder.sparse` gives them
    without. The arguments are those of `SentenceTransformer`, and:

    similarity_fn_name: None for the model's own, or else `dot`.
    max_active_dims: the number of terms to keep of each vector, the heaviest; None for the model's
        own.

    Raises:
        InputError: naming an argument that bothways cannot give the same meaning, and why; if the
            model has no head for masked tokens.
        MissingExtra: if torch is not installed.
        SourceError, CheckpointError, BackendError: as `bothways.load`.
    """

    default_huggingface_organization = "sparse-encoder"
    _default_similarity = "dot"

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
        max_active_dims: int | None = None,
    ) -> None:
        import_torch("SparseEncoder")
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
        check_sparse(self.encoder.session, "SparseEncoder")
        check_count("max_active_dims", max_active_dims)
        terms = self.encoder.spec.terms
        saved = None if terms is None else terms.max_terms
        self.max_active_dims = saved if max_active_dims is None else max_active_dims
        self.similarity_fn_name = similarity_fn_name or self.encoder.spec.similarity

    @renamed(sentences="inputs")
    def encode(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_tensor: bool = True,
        convert_to_sparse_tensor: bool = True,
        save_to_cpu: bool = False,
        device: Any = None,
        max_active_dims: int | None = None,
        pool: Pool | None = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """The weight of each term for each input: a sparse tensor (n, V); (V,) for a single text.

        prompt_name, prompt: the prompt to prepend; the text takes precedence over the name.
        convert_to_tensor: if False, return a list of tensors (V,).
        convert_to_sparse_tensor: if False, return dense tensors.
        save_to_cpu: return tensors on the CPU, and not on the model's device.
        device: move the model to it first; of several, to the first one.
        max_active_dims: terms to keep of each vector; None for the attribute of the model.
        batch_size, chunk_size, pool: have no effect. task: the route, in a model with several.

        Raises:
            InputError: naming the input or argument that is invalid.
        """
        self._start_call(batch_size, device, kwargs)
        check_count("max_active_dims", max_active_dims)
        session = self._encoder_for(kwargs.get("task")).session
        rows, single = self._rows(inputs)
        options = RunOptions(
            prompt=self._prompt_text(prompt, prompt_name),
            max_length=self._max_seq_length,
            progress=show_bar(show_progress_bar),
        )
        torch = import_torch("SparseEncoder")
        keep = self.max_active_dims if max_active_dims is None else max_active_dims
        keep = keep or len(term_names(session))  # None for all, also where the model keeps fewer
        vectors = sparse(session, rows, options=options, max_terms=keep) if rows else None
        if isinstance(vectors, SparseVectors):
            result = _as_sparse_tensor(torch, vectors)
        else:
            result = torch.tensor([]).to_sparse()
        result = result if convert_to_sparse_tensor else result.to_dense()
        result = result if save_to_cpu else result.to(self.device)
        if single:
            return result[0]
        return result if convert_to_tensor else list(result)

    encode_query = query_method(encode)
    encode_document = document_method(encode)

    def get_embedding_dimension(self) -> int:
        """The number of tokens V of the vocabulary."""
        return len(term_names(self.encoder.session))

    def decode(self, embeddings: Any, top_k: int | None = None) -> Terms | list[Terms]:
        """The terms of a tensor (V,), or of each row of one (n, V), the heaviest first.

        top_k: the number of terms of each; None for all.

        Raises:
            InputError: if the embeddings are no such tensor.
        """
        check_count("top_k", top_k)
        _check_tensor(embeddings, self.get_embedding_dimension())
        single = embeddings.ndim == 1
        names = term_names(self.encoder.session)
        rows = []
        for row in [embeddings] if single else embeddings:
            present = (row if row.is_sparse else row.to_sparse()).coalesce()
            index, weight = present.indices()[0].tolist(), present.values().tolist()
            heaviest = np.argsort(-np.asarray(weight), kind="stable")[:top_k]
            rows.append([(names[index[i]], weight[i]) for i in heaviest.tolist()])
        return rows[0] if single else rows

    @staticmethod
    def sparsity(embeddings: Any) -> dict[str, float]:
        """The mean number of terms of a vector, and the share of the vocabulary that has weight 0.

        Raises:
            InputError: if the embeddings are no tensor of one or two axes.
        """
        _check_tensor(embeddings, None)
        if not embeddings.numel():
            return {"active_dims": 0.0, "sparsity_ratio": 1.0}
        rows = embeddings.shape[0] if embeddings.ndim == 2 else 1
        active = float((embeddings.to_sparse().coalesce().values() != 0).sum()) / rows
        return {"active_dims": active, "sparsity_ratio": 1 - active / embeddings.shape[-1]}

    @staticmethod
    def intersection(embeddings_1: Any, embeddings_2: Any) -> Any:
        """The products of the weights of a tensor (V,) and of another (V,) or (n, V), sparse.

        Only terms whose product is above 0 are kept.

        Raises:
            InputError: if the tensors have other shapes.
        """
        _check_tensor(embeddings_1, None)
        _check_tensor(embeddings_2, embeddings_1.shape[-1])
        if embeddings_1.ndim != 1:
            raise InputError(f"embeddings_1 has shape {tuple(embeddings_1.shape)}; expected (V,)")
        return (embeddings_1.to_dense() * embeddings_2.to_dense()).clamp(min=0).to_sparse()


def _as_sparse_tensor(torch: Any, vectors: SparseVectors) -> Any:
    row = np.repeat(np.arange(len(vectors)), np.diff(vectors.indptr))
    indices = np.stack([row, vectors.indices])
    return torch.sparse_coo_tensor(
        torch.from_numpy(indices),
        torch.from_numpy(vectors.data),
        vectors.shape,
        is_coalesced=True,
        check_invariants=True,
    )


def _check_tensor(embeddings: Any, width: int | None) -> None:
    if not is_tensor(embeddings):
        raise InputError(f"embeddings: got {type(embeddings).__name__}; expected a torch tensor")
    shape = tuple(embeddings.shape)
    if len(shape) not in (1, 2) or (width is not None and shape[-1] != width):
        expected = "one or two axes" if width is None else f"({width},) or (n, {width})"
        raise InputError(f"embeddings have shape {shape}; expected {expected}")
