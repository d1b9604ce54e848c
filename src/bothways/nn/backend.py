"""torch as a backend of `Encoder`: for GPUs, and for CPUs without the native engine."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bothways.errors import BackendError, InputError, UnsupportedModel
from bothways.io.process_memory import limit_primitive_caches
from bothways.model.baselines import AnyConfig
from bothways.model.baselines.any_encoder import layout
from bothways.model.config import PoolingMode
from bothways.model.packing import PackedBatch, check_all_keys, check_batch, check_skip
from bothways.model.weights import CheckedWeights, Weights
from bothways.nn.baselines.build import build_encoder
from bothways.nn.devices import resolve_device
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.layers import can_pack
from bothways.nn.lengths import Lengths
from bothways.nn.pooling import pool
from bothways.nn.threads import is_forked, torch_threads

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """Encodes packed batches with torch, for inference only.

    device: torch's name of it ("cpu", "cuda", "cuda:1", "mps"); None for a GPU if there is one.
    precision: `fp32`; on a GPU also `bf16` or `fp16`.
    threads: number of CPU threads during each call; None for torch's current setting, within
        the CPU quota of the process. In a forked process it is 1, whatever is given: torch's
        threads do not survive a fork.

    The weights are copied; on a CPU, into the layout of its matrix kernels.

    Raises:
        BackendError: if the device or precision is not available, or not in this combination, or if
            the device is a GPU and the process has been forked, here and in each call.
        CheckpointError: if the weights do not fit the config.
    """

    name = "torch"

    def __init__(
        self,
        config: AnyConfig,
        weights: Weights,
        *,
        device: str | None = None,
        precision: str = "fp32",
        threads: int | None = None,
    ) -> None:
        limit_primitive_caches()
        self._device = resolve_device(device)
        _check_not_forked(self._device)
        dtype = _resolve_precision(precision, self._device)
        if threads is not None and threads < 1:
            raise BackendError(
                f"threads={threads}: expected at least 1, or None for torch's setting"
            )
        self.config = config
        self.device = str(self._device)
        self.precision = precision
        self.threads = threads
        with torch.device("meta"):
            encoder = build_encoder(config)
        weights = CheckedWeights.of(layout(config), weights, "weights")
        if can_pack(self._device, dtype):
            encoder.pack(weights)
        self._encoder = encoder.to(dtype).to_empty(device=self._device).eval()
        self._encoder.fill(weights)

    def pool(
        self, batch: PackedBatch, modes: Sequence[PoolingMode], *, skip: int = 0
    ) -> Float[np.ndarray, "B D"]:
        """One vector per sequence: the pooled vectors of `modes`, concatenated.

        Raises:
            InputError: if the batch does not fit the encoder, or `skip` leaves a sequence empty.
        """
        check_skip(batch, skip)
        with self._inference(batch) as (values, lengths, segments_T):
            (x_TD,) = self._encoder(values, lengths, segments_T)
            pooled = [pool(x_TD, lengths, mode, skip=skip) for mode in modes]
            return _to_numpy(torch.cat(pooled, 1))

    def hidden_states(
        self, batch: PackedBatch, layers: Sequence[int]
    ) -> Float[np.ndarray, "layers T D"]:
        """Hidden states of `layers` (0 the embeddings), for every token of the batch.

        Raises:
            InputError: if the batch does not fit the encoder, or the layers differ in width.
        """
        with self._inference(batch) as (values, lengths, segments_T):
            states = self._encoder(values, lengths, segments_T, layers)
            if len({x_TD.shape[1] for x_TD in states}) > 1:  # the embeddings of some baselines
                raise InputError("layer 0 has another width than the others; request it alone")
            return _to_numpy(torch.stack(states))

    def attention(
        self, batch: PackedBatch, layers: Sequence[int]
    ) -> Float[np.ndarray, "layers H L L"]:
        """Attention probabilities of `layers` (0 the first block's) for a batch of one sequence.

        Raises:
            InputError: if the batch does not fit the encoder.
            UnsupportedModel: if the encoder is a baseline.
        """
        if not isinstance(self._encoder, TransformerEncoder):
            raise UnsupportedModel("only Transformers have attention probabilities")
        check_all_keys(batch)
        with self._inference(batch) as (values, _, segments_T):
            probabilities = self._encoder.attention_probabilities(values, segments_T, layers)
            return _to_numpy(torch.stack(probabilities))

    @contextmanager
    def _inference(self, batch: PackedBatch) -> Iterator[tuple[Tensor, Lengths, Tensor | None]]:
        """Check the batch, copy it to the device, and enter inference mode with `threads`."""
        _check_not_forked(self._device)
        check_batch(batch, self.config)
        if not isinstance(self._encoder, TransformerEncoder):
            check_all_keys(batch)
        lengths = Lengths(batch.lengths, self._device, batch.content, batch.num_keys)
        values = torch.as_tensor(batch.values, device=self._device)
        if values.is_floating_point():
            values = values.to(_DTYPES[self.precision])
        segments_T = None
        if batch.segments is not None:
            segments_T = torch.as_tensor(batch.segments, device=self._device)
        with torch_threads(self.threads), torch.inference_mode():
            yield values, lengths, segments_T


def _check_not_forked(device: torch.device) -> None:
    if device.type == "cuda" and is_forked():
        raise BackendError(
            "a GPU cannot be used in a process that was forked after torch was imported; start "
            "processes with multiprocessing's 'spawn' or 'forkserver', or load with "
            "backend='native'"
        )


def _resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    if precision == "int8":
        raise BackendError(
            "precision='int8' is the native backend's; the torch backend has fp32, bf16 and fp16"
        )
    if precision not in _DTYPES:
        raise BackendError(f"precision={precision!r}: expected {', '.join(_DTYPES)}")
    if precision != "fp32" and device.type == "cpu":
        raise BackendError(
            f"precision={precision!r} needs a GPU; a CPU would emulate it slowly; choose 'fp32'"
        )
    if (
        device.type == "cuda"
        and precision == "bf16"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise BackendError("precision='bf16': this GPU would emulate it slowly; choose 'fp16'")
    return _DTYPES[precision]


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.to("cpu", torch.float32).numpy()
