"""MTEB: models that `mteb.evaluate` takes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from bothways.errors import InputError, MissingExtra
from bothways.inference.options import RunOptions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.predict.rerank import query_prompt, ranking, scoring_head
from bothways.integrations._shared import EmbedderOptions, ModelSource, RoleEmbedder

try:
    from mteb import similarity_functions
    from mteb.models import ModelMeta
    from mteb.models.abs_encoder import get_prompt_name
    from mteb.models.model_meta import ScoringFunction
except ImportError as error:
    raise MissingExtra("mteb", "bothways.integrations.mteb") from error

__all__ = ["BothwaysCrossEncoder", "BothwaysModel"]

Batches = Iterable[Mapping[str, Any]]
"""Batches of inputs, with the texts of each under `text`."""

_SIMILARITIES = {
    "cosine": (similarity_functions.cos_sim, similarity_functions.pairwise_cos_sim),
    "dot": (similarity_functions.dot_score, similarity_functions.pairwise_dot_score),
    "euclidean": (similarity_functions.euclidean_sim, similarity_functions.pairwise_euclidean_sim),
}
"""The functions of a model's similarity: all pairs, and pairs of the same index."""


class BothwaysModel:
    """An encoder of MTEB, from a model of `bothways.load`.

        mteb.evaluate(BothwaysModel("minilm"), mteb.get_tasks(tasks=["STS12"]))

    Texts have the model's prompt for the task, as MTEB chooses it by name, or else the prompt of
    their role. MTEB keeps results under the model's name, and its fingerprint as the revision.

    model: a source of `bothways.load`, or a loaded `Encoder`. options: those of `EmbedderOptions`;
    `query_prompt` and `document_prompt` replace every other prompt.
    """

    def __init__(self, model: ModelSource, **options: Unpack[EmbedderOptions]) -> None:
        self.embedder = RoleEmbedder(model, **options)
        self._similarity = self.embedder.encoder.spec.similarity or "cosine"
        if self._similarity not in _SIMILARITIES:
            raise InputError(
                f"the model's similarity is {self._similarity!r}; MTEB has only "
                f"{', '.join(_SIMILARITIES)}"
            )
        self.mteb_model_meta = _describe(
            self.embedder,
            embed_dim=self.embedder.width,
            similarity_fn_name=ScoringFunction.from_str(self._similarity),
        )

    def encode(
        self,
        inputs: Batches,
        *,
        task_metadata: Any,
        prompt_type: Any = None,
        show_progress_bar: bool = False,
        **_: Any,
    ) -> np.ndarray:
        """The vectors of the texts in batches, float32 (n, d). `batch_size` has no effect."""
        embedder, texts = self.embedder, _texts(inputs)
        role = None if prompt_type is None else prompt_type.value
        own = {"query": embedder.query_prompt, "document": embedder.document_prompt}.get(role or "")
        name = get_prompt_name(embedder.encoder.spec.prompts, task_metadata, prompt_type)
        if own is not None or name is None:
            return embedder.encode(texts, role, progress=show_progress_bar)
        return embedder.encode(texts, None, prompt_name=name, progress=show_progress_bar)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The similarity of each vector to each other, (n, m)."""
        return _SIMILARITIES[self._similarity][0](embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The similarity of each vector to the one at the same index, (n,)."""
        return _SIMILARITIES[self._similarity][1](embeddings1, embeddings2)


class BothwaysCrossEncoder:
    """A cross-encoder of MTEB, from a model of `bothways.load` with a head for scores.

    model: a source of `bothways.load`, or a loaded `Encoder`. options: those of `EmbedderOptions`;
    `document_prompt` and `dimensions` have no effect.
    """

    def __init__(self, model: ModelSource, **options: Unpack[EmbedderOptions]) -> None:
        self.embedder = RoleEmbedder(model, **options)
        self._head = scoring_head(self.embedder.encoder.session)
        self.mteb_model_meta = _describe(self.embedder, model_type=["cross-encoder"])

    def predict(
        self, inputs1: Batches, inputs2: Batches, *, show_progress_bar: bool = False, **_: Any
    ) -> np.ndarray:
        """The score of each query with the document at the same index, float32 (n,)."""
        session, prompt = self.embedder.encoder.session, self.embedder.query_prompt
        options = RunOptions(
            self.embedder.on_overflow,
            prompt=query_prompt(session) if prompt is None else prompt,
            progress=show_progress_bar,
        )
        pairs = list(zip(_texts(inputs1), _texts(inputs2), strict=True))
        run = HeadRun.start(session, (self._head.task,), pairs, options, purpose="predict")
        return ranking(run, run.sequence_outputs()).scores


def _texts(batches: Batches) -> list[str]:
    return [text for batch in batches for text in batch["text"]]


def _describe(embedder: RoleEmbedder, **fields: Any) -> ModelMeta:
    """What MTEB keeps with results: results of other options have another experiment."""
    options = embedder.options()
    source, revision = options.pop("model"), options.pop("fingerprint")
    is_hub_id = source.count("/") == 1 and not Path(source).exists()
    for name in ("backend", "threads", "device"):  # which change no vector
        options.pop(name, None)
    described: ModelMeta = ModelMeta.create_empty(
        {
            "name": source if is_hub_id else f"bothways/{Path(source).name}",
            "revision": revision,
            "max_tokens": embedder.encoder.max_length,
            "experiment_kwargs": options or None,
            **fields,
        }
    )
    return described
