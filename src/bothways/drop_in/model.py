"""`DropInModel`: what the classes of sentence-transformers share."""

import logging
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from bothways.drop_in.loading import open_encoder
from bothways.encoder import Encoder
from bothways.errors import InputError
from bothways.inference.inputs import SequenceInputs, as_inputs, lists_as_pairs
from bothways.inference.options import RunOptions
from bothways.inference.session import open_session

__all__ = ["DropInModel"]

_logger = logging.getLogger(__name__)

_NO_POOL = "bothways needs no pool of processes: this one uses all threads, or one GPU"

Pool = dict[str, Any]
"""What `start_multi_process_pool` returns, with sentence-transformers' keys."""


class DropInModel:
    """A model of sentence-transformers' interface; its `encoder` is the bothways `Encoder`.

    encoder: the loaded model. prompts: texts to prepend to inputs, by name. default_prompt_name:
    the name of the one that is used by default.
    """

    default_huggingface_organization: str | None = None
    """The organization of the hub whose models have names without one."""

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None,
        *,
        device: Any,
        prompts: Mapping[str, str] | None,
        default_prompt_name: str | None,
        backend: str,
        revision: str | None,
        local_files_only: bool,
        model_kwargs: Mapping[str, Any] | None,
        max_length: int | None = None,
        **refused: Any,
    ) -> None:
        self.encoder: Encoder = open_encoder(
            model_name_or_path,
            self.default_huggingface_organization,
            backend=backend,
            device=device,
            revision=revision,
            local_files_only=local_files_only,
            max_length=max_length,
            model_kwargs=model_kwargs,
            refused=refused,
        )
        spec = self.encoder.spec
        # Every model has these two names, so that a query without a prompt gets no default prompt.
        self.prompts = {"query": "", "document": "", **spec.prompts, **(prompts or {})}
        self.default_prompt_name = default_prompt_name or spec.default_prompt
        self._max_seq_length: int | None = None
        if self.default_prompt_name is not None:
            self._prompt_named(self.default_prompt_name, "default_prompt_name")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.encoder!r})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("encoder", "prompts"):
            raise AttributeError(name)
        raise AttributeError(
            f"{type(self).__name__} of bothways.drop_in has no {name!r}: it only runs models, and "
            "is no torch module. `bothways train` trains, `bothways export` saves, and "
            "sentence_transformers reads the same model folders"
        )

    @property
    def device(self) -> str:
        """The device that computes, as torch names it."""
        return self.encoder.backend.device

    def to(self, device: Any) -> Self:
        """Move the model to a device, by loading it there; the object itself.

        device: as torch names it, or its index among the GPUs.

        Raises:
            BackendError: if the device is not available, or the backend does not run on it.
        """
        name = f"cuda:{device}" if isinstance(device, int) else str(device)
        if _with_index(name) != _with_index(self.device):
            arguments = self.encoder.session.load_arguments
            if arguments is None:
                raise InputError(f"device={name!r}: the model was not loaded from a source")
            self.encoder = Encoder(open_session(arguments._replace(device=name)))
        return self

    def eval(self) -> Self:
        """The object itself: it is never in training mode."""
        return self

    @property
    def max_seq_length(self) -> int:
        """The longest input, in tokens, special tokens included; longer ones are truncated.

        It can be set, up to the positions of the model; None restores the model's own. Of a model
        of several routes, it is the longest of all of them.
        """
        session = self.encoder.session
        longest = [session.of_route(name).max_length for name in self.encoder.routes]
        return self._max_seq_length or max(longest, default=self.encoder.max_length)

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        self.encoder.session.max_length_of(RunOptions(max_length=value))
        self._max_seq_length = value

    def get_max_seq_length(self) -> int:
        """`max_seq_length`."""
        return self.max_seq_length

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers for the model's folder, which needs that library.

        bothways itself reads texts with `encoder.reader`.

        Raises:
            ImportError: if transformers is not installed.
        """
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise ImportError(
                "`tokenizer` is a tokenizer of transformers: pip install transformers, or use "
                "`encoder.reader`"
            ) from error
        return AutoTokenizer.from_pretrained(self.encoder.path, local_files_only=True)

    @property
    def modalities(self) -> list[str]:
        """The kinds of input that the model reads."""
        return ["text"]

    def supports(self, modality: Any) -> bool:
        """Whether the model reads a kind of input."""
        return modality in self.modalities

    def get_model_kwargs(self) -> list[str]:
        """Names of further arguments that the model takes: none."""
        return []

    def get_backend(self) -> str:
        """The name of the backend that computes."""
        return self.encoder.backend.name

    # Pools of processes.

    def start_multi_process_pool(self, target_devices: list[Any] | None = None) -> Pool:
        """A pool without processes, for scripts that make one.

        One process uses all CPU threads or the GPU, so that a pool makes nothing faster.
        """
        _logger.warning(_NO_POOL)
        return {"input": None, "output": None, "processes": []}

    @staticmethod
    def stop_multi_process_pool(pool: Pool) -> None:
        """Nothing: the pool has no processes."""

    # Steps of a call.

    def _start_call(
        self,
        batch_size: int,
        device: Any,
        further: Mapping[str, Any],
    ) -> None:
        """Check the arguments that all calls have, and move the model to `device`.

        batch_size: has no effect, as batches are planned by their number of tokens.

        Raises:
            InputError: naming the argument that is invalid.
        """
        if batch_size <= 0:
            raise InputError(f"batch_size={batch_size}: expected at least 1")
        for name, value in further.items():
            if name == "processing_kwargs" and value:
                raise InputError(
                    "processing_kwargs: no tokenizer of transformers is called; set max_seq_length"
                )
            if name not in ("task", "processing_kwargs"):
                raise InputError(f"{name}={value!r}: the model takes no such argument")
        if isinstance(device, list | tuple):
            if len(device) > 1:
                _logger.warning(_NO_POOL)
            device = device[0] if device else None
        if device is not None:
            self.to(device)

    def _encoder_for(self, task: Any) -> Encoder:
        """The encoder of a call: that of the route for its task, if the model has routes.

        Raises:
            InputError: if no route is for the task.
        """
        session = self.encoder.session.for_task(task)
        return self.encoder if session is self.encoder.session else Encoder(session)

    def _rows(self, inputs: Any, *, pairs: bool = False) -> SequenceInputs:
        """The inputs as a list, and whether they are a single one."""
        reader = self.encoder.reader
        batch = list(inputs) if isinstance(inputs, tuple) else inputs
        rows, single = as_inputs(batch, reader, pairs=pairs)
        return SequenceInputs(lists_as_pairs(rows, reader), single)

    def _prompt_text(self, prompt: str | None, prompt_name: str | None) -> str:
        """The prompt of a call, "" for none; `prompt` takes precedence over `prompt_name`."""
        if prompt is not None:
            return prompt
        name = self.default_prompt_name if prompt_name is None else prompt_name
        return "" if name is None else self._prompt_named(name, "prompt_name")

    def _prompt_named(self, name: str, argument: str) -> str:
        if name not in self.prompts:
            known = ", ".join(map(repr, self.prompts))
            raise InputError(f"{argument}={name!r}: expected one of {known}")
        return self.prompts[name]


def show_bar(show_progress_bar: bool | None) -> bool:
    """Whether to show a progress bar: None for yes if messages of level INFO are logged."""
    if show_progress_bar is None:
        return _logger.getEffectiveLevel() in (logging.INFO, logging.DEBUG)
    return show_progress_bar


def _with_index(device: str) -> str:
    return "cuda:0" if device == "cuda" else device
