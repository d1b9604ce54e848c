"""From the arguments of sentence-transformers' constructors to an `Encoder`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from bothways.checkpoints.sources import ALIASES, resolve
from bothways.encoder import Encoder, load
from bothways.errors import InputError
from bothways.inference.backends import BackendName, Precision

__all__ = ["open_encoder", "source_of"]

_SAME_FILES = {"sentence-transformers/all-MiniLM-L6-v2": "minilm"}
"""Models of the hub and the aliases for the same weights, which need no hub."""

_PRECISIONS: dict[str, Precision] = {
    "auto": "fp32",
    "float32": "fp32",
    "bfloat16": "bf16",
    "float16": "fp16",
}
"""Names of torch's data types, and the precision of bothways that computes in them."""

_SAME_RESULTS = ("attn_implementation", "low_cpu_mem_usage", "use_safetensors")
"""Arguments of a transformers model that choose how it is run, and not what it computes."""


def open_encoder(
    name: str | os.PathLike[str] | None,
    organization: str | None,
    *,
    backend: str,
    device: Any,
    revision: str | None,
    local_files_only: bool,
    max_length: int | None,
    model_kwargs: Mapping[str, Any] | None,
    refused: Mapping[str, Any],
) -> Encoder:
    """Load the model that the arguments of a constructor describe.

    name: as for sentence-transformers: a folder, `org/name`, or a name of `organization`; or any
        source of `bothways.load`.
    backend: `auto`, `native`, `torch` or `reference`.
    model_kwargs: `dtype` (or `torch_dtype`) gives the precision.
    refused: arguments without a meaning for bothways, by name, None if they were not given.

    Raises:
        InputError: naming an argument that bothways cannot give the same meaning.
        SourceError, CheckpointError, BackendError, MissingExtra: as `bothways.load`.
    """
    for argument, value in refused.items():
        if value and value is not True:  # token=True is the login that is stored
            raise InputError(f"{argument}={value!r}: {_REASONS[argument]}")
    if name is None:
        raise InputError("model_name_or_path: expected the name or folder of a model")
    if backend in ("onnx", "openvino"):
        raise InputError(
            f"backend={backend!r}: bothways computes from the model's weights, with its own "
            "engine; leave `backend` out, or choose native, torch or reference"
        )
    source = source_of(name, organization, revision)
    return load(
        resolve(source, offline=True) if local_files_only else source,
        backend=cast(BackendName, backend),  # `load` checks it
        precision=_precision(model_kwargs or {}),
        device=None if device is None else str(device),
        max_length=max_length,
    )


def source_of(
    name: str | os.PathLike[str], organization: str | None, revision: str | None
) -> str | os.PathLike[str]:
    """The source of `bothways.load` for a model name of sentence-transformers.

    revision: a branch, tag or commit of the hub; ignored for a folder, as there.
    """
    if not isinstance(name, str) or name in ALIASES or name.startswith(("pypi:", "hf:")):
        return name
    if Path(name).exists() or name.startswith((".", "~", os.sep)):
        return name
    if "/" not in name and organization is not None:
        name = f"{organization}/{name}"
    if revision is None:
        return _SAME_FILES.get(name, name)
    return f"hf:{name}@{revision}"


def _precision(model_kwargs: Mapping[str, Any]) -> Precision:
    precision: Precision = "fp32"
    for name, value in model_kwargs.items():
        if name in _SAME_RESULTS:
            continue
        if name not in ("dtype", "torch_dtype"):
            raise InputError(
                f"model_kwargs[{name!r}]: transformers does not load this model; expected dtype"
            )
        dtype = str(value).removeprefix("torch.")
        if dtype not in _PRECISIONS:
            raise InputError(
                f"model_kwargs[{name!r}]={value!r}: expected one of {', '.join(_PRECISIONS)}"
            )
        precision = _PRECISIONS[dtype]
    return precision


_REASONS = {
    "modules": "bothways runs the modules that a model folder names, and no objects of torch",
    "cache_folder": "set the environment variable HF_HUB_CACHE, or BOTHWAYS_CACHE for aliases",
    "token": "log in with `hf auth login`, or set the environment variable HF_TOKEN",
    "use_auth_token": "log in with `hf auth login`, or set the environment variable HF_TOKEN",
    "processor_kwargs": "bothways reads the tokenizer as the model folder describes it",
    "config_kwargs": "bothways reads the config as the model folder has it; export a changed copy",
    "keep_in_fp32_modules": "bothways computes in one precision; leave `dtype` out for fp32",
}
"""Why an argument is refused, and what to do."""
