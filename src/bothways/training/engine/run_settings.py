"""The settings of a run on its device: open values resolved for the data, model and machine."""

import dataclasses

import numpy as np
import torch

from bothways.errors import BackendError, ConfigError
from bothways.io.cpus import available_cpus, threads_for
from bothways.model.baselines import AnyConfig
from bothways.model.costs import operations
from bothways.training.distributed.processes import Workers
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings
from bothways.training.settings import TrainingSettings

__all__ = ["choose_threads", "resolve_run_settings"]

_MAX_EPOCHS, _MAX_EPOCHS_OF_TINY = 40.0, 100.0
"""Most epochs by default on few rows. A tiny model costs a sixth of a small one, and its 100 epochs
less than 20 of a small one."""


def resolve_run_settings(
    settings: TrainingSettings,
    lengths: np.ndarray,
    config: AnyConfig,
    *,
    from_scratch: bool,
    workers: Workers,
) -> ResolvedSettings:
    """Resolve the open settings for training examples of these lengths, on the run's device.

    lengths: tokens of each example, int64 (n,). config: of the encoder.

    Raises:
        ConfigError: if the settings need several processes, and there is one.
        BackendError: if the device does not support the precision.
    """
    if settings.sharding == "sharded" and workers.size == 1:
        raise ConfigError(
            "sharding='sharded' needs several processes, and there is one: start more with "
            "torchrun --nproc-per-node, or choose 'replicated'"
        )
    if settings.sharding == "sharded" and settings.frozen:
        raise ConfigError("frozen: a head alone is not sharded; choose sharding='replicated'")
    gpu = workers.device.type == "cuda"
    bf16 = gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    if settings.precision == "bf16" and not bf16:
        raise BackendError(
            "precision='bf16' needs a GPU that supports it, and emulation on a CPU is slow; "
            "choose 'fp32'"
        )
    is_tiny = config.num_layers * config.d_model**2 <= 2 * 128**2
    resolved = resolve_settings(
        settings,
        lengths,
        from_scratch=from_scratch,
        gpu=gpu,
        bf16=bf16,
        max_epochs=_MAX_EPOCHS_OF_TINY if is_tiny else _MAX_EPOCHS,
    )
    if resolved.threads is not None or gpu:
        return resolved
    if settings.frozen:
        return dataclasses.replace(resolved, threads=1)
    tokens = min(resolved.batch_tokens, resolved.micro_tokens)
    threads = choose_threads(config, tokens=tokens, length=round(float(lengths.mean())))
    return dataclasses.replace(resolved, threads=threads)


def choose_threads(config: AnyConfig, *, tokens: int, length: int) -> int:
    """The number of CPU threads for batches of `tokens` tokens in sequences of about `length`.

    At most torch's setting and the CPUs that this process may use, and fewer for small batches.
    """
    available = min(torch.get_num_threads(), available_cpus())
    return threads_for(operations(config).at(length) * tokens, available)
