"""`CrossEncoder` of sentence-transformers: scores of pairs of texts.

n pairs; k labels.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bothways.drop_in.activations import activate_scores, default_activation, softmax
from bothways.drop_in.model import DropInModel, Pool, show_bar
from bothways.drop_in.renamed import once_positional, renamed
from bothways.drop_in.tensors import as_tensor, import_torch
from bothways.errors import InputError
from bothways.inference.options import RunOptions, check_count
from bothways.inference.predict.head_run import HeadRun
from bothways.model.heads import HeadTask

__all__ = ["CrossEncoder"]

_TASKS: tuple[HeadTask, ...] = ("values", "classes", "multilabel")

_WITHOUT_EFFECT = ("num_workers",)
"""Arguments of earlier releases that have no effect in sentence-transformers 6 either."""


class CrossEncoder(DropInModel):
    """`sentence_transformers.CrossEncoder` (6.2), run by bothways.

    The arguments are those of `SentenceTransformer`, and:

    num_labels: must be the model's number of outputs, if it is given.
    max_length: the longest pair, in tokens; None for the model's own.
    activation_fn: applied to the outputs of the head; called with a tensor, which needs torch. None
        for the one that the model folder names, or else the sigmoid if there is one output.

    Raises:
        InputError: naming an argument that bothways cannot give the same meaning, and why; if the
            model has no head that scores sequences.
        SourceError, CheckpointError, BackendError, MissingExtra: as `bothways.load`.
    """

    default_huggingface_organization = "cross-encoder"

    @renamed(
        model_name="model_name_or_path",
        automodel_args="model_kwargs",
        tokenizer_args="processor_kwargs",
        tokenizer_kwargs="processor_kwargs",
        config_args="config_kwargs",
        cache_dir="cache_folder",
        default_activation_function="activation_fn",
    )
    @once_positional("num_labels", "max_length", "activation_fn", "device")
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
        num_labels: int | None = None,
        max_length: int | None = None,
        activation_fn: Callable[..., Any] | None = None,
        keep_in_fp32_modules: list[str] | None = None,
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
            keep_in_fp32_modules=keep_in_fp32_modules,
        )
        self._head = self.encoder.session.heads.find(*_TASKS, purpose="CrossEncoder")
        if num_labels not in (None, self.num_labels):
            raise InputError(
                f"num_labels={num_labels}: the model's head has {self.num_labels} outputs, and "
                "bothways adds no untrained head"
            )
        if max_length is not None:
            self.max_seq_length = max_length
        self.activation_fn = activation_fn or default_activation(self.encoder.path, self.num_labels)

    @property
    def num_labels(self) -> int:
        """The number of outputs k of the model's head."""
        return self._head.num_outputs

    @property
    def max_length(self) -> int:
        """`max_seq_length`, under the name of earlier releases."""
        return self.max_seq_length

    @max_length.setter
    def max_length(self, value: int | None) -> None:
        self.max_seq_length = value

    @renamed(sentences="inputs", activation_fct="activation_fn")
    def predict(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[..., Any] | None = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        pool: Pool | None = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """The scores of each pair, float32 (n,), or (n, k) of k labels; without n for one pair.

        inputs: a list of pairs of texts, or one pair.
        prompt_name, prompt: the prompt to prepend to the first text of a pair.
        activation_fn: None for the attribute of the model.
        apply_softmax: turn k outputs into probabilities.
        convert_to_tensor: return a tensor. convert_to_numpy: if False too, a list of tensors.
        device: move the model to it first; of several, to the first one.
        batch_size, chunk_size, pool: have no effect.

        Raises:
            InputError: naming the pair or argument that is invalid.
            MissingExtra: if tensors are requested, and torch is not installed.
        """
        further = {k: v for k, v in kwargs.items() if k not in _WITHOUT_EFFECT}
        self._start_call(batch_size, device, further)
        batch, single = _batch(inputs)
        rows, _ = self._rows(batch, pairs=True)
        options = RunOptions(
            prompt=self._prompt_text(prompt, prompt_name),
            max_length=self._max_seq_length,
            progress=show_bar(show_progress_bar),
        )
        scores = self._scores(rows, options, activation_fn or self.activation_fn)
        if apply_softmax and scores.ndim > 1:
            scores = softmax(scores)
        if convert_to_tensor:
            result = self._as_tensor(scores, "convert_to_tensor=True")
        elif convert_to_numpy:
            result = scores if rows else np.array([])
        else:
            result = list(self._as_tensor(scores, "convert_to_numpy=False"))
        return result[0] if single else result

    @renamed(activation_fct="activation_fn")
    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[..., Any] | None = None,
        device: Any = None,
        pool: Pool | None = None,
        chunk_size: int | None = None,
    ) -> list[dict[str, Any]]:
        """Documents by their score with the query, the best first.

        One dict for each: `corpus_id`, its index; `score`; and `text`, with `return_documents`.

        Raises:
            InputError: as `predict`, and if the model has several outputs.
        """
        if self.num_labels != 1:
            raise InputError(
                f"rank needs a model with one output, and this one has {self.num_labels}; use "
                "`predict` with pairs"
            )
        check_count("top_k", top_k)
        documents = list(documents)
        scores = self.predict(
            [(query, document) for document in documents],
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            activation_fn=activation_fn,
            device=device,
        )
        order = np.argsort(-scores, kind="stable")[:top_k].tolist()
        ranked = [{"corpus_id": index, "score": float(scores[index])} for index in order]
        if return_documents:
            for result in ranked:
                result["text"] = documents[result["corpus_id"]]
        return ranked

    def _scores(
        self, rows: list[Any], options: RunOptions, activation: Callable[..., Any]
    ) -> np.ndarray:
        """Activated outputs of the head, float32 (n,) or (n, k)."""
        run = HeadRun.start(self.encoder.session, (self._head.task,), rows, options,
                            purpose="predict")  # fmt: skip
        scores = activate_scores(run.sequence_outputs(), activation)
        return scores[:, 0] if scores.ndim > 1 and self.num_labels == 1 else scores

    def _as_tensor(self, scores: np.ndarray, purpose: str) -> Any:
        if not len(scores):
            return import_torch(purpose).tensor([], device=self.device)
        return as_tensor(scores, self.device, purpose)


def _batch(inputs: Any) -> tuple[Any, bool]:
    """The inputs as a batch, and whether they are one pair, or one text.

    As in sentence-transformers, a list whose first element is no list is one pair.
    """
    if isinstance(inputs, np.ndarray):
        inputs = inputs.tolist()
    if isinstance(inputs, str):
        return [inputs], True
    if isinstance(inputs, list | tuple) and inputs and not isinstance(inputs[0], list | tuple):
        return [tuple(inputs)], True
    return inputs, False
