import numpy as np
import pytest
import torch

from bothways.errors import BackendError, ConfigError
from bothways.model.config import EncoderConfig
from bothways.training.distributed.processes import Workers
from bothways.training.engine import run_settings
from bothways.training.engine.run_settings import choose_threads, resolve_run_settings
from bothways.training.settings import TrainingSettings

CPU = Workers(0, 1, torch.device("cpu"))
SMALL = EncoderConfig(num_layers=2, num_heads=2, d_model=128, d_ff=352, vocab_size=9)
LENGTHS = np.full(64, 32)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(run_settings, "available_cpus", lambda: 6)


def test_small_steps_get_one_thread_and_large_ones_every_core() -> None:
    """A token takes about 330,000 multiply-adds here."""
    assert choose_threads(SMALL, tokens=512, length=32) == 1
    assert choose_threads(SMALL, tokens=4096, length=32) == 3
    assert choose_threads(SMALL, tokens=100_000, length=32) == 6


def test_threads_depend_on_the_tokens_that_are_computed_at_a_time() -> None:
    def threads(**settings: int) -> int | None:
        chosen = TrainingSettings(**settings)  # type: ignore[arg-type]
        return resolve_run_settings(chosen, LENGTHS, SMALL, from_scratch=True, workers=CPU).threads

    assert threads() == 1
    assert threads(batch_tokens=4096) == 3
    assert threads(batch_tokens=4096, micro_tokens=128) == 1
    assert threads(threads=5) == 5


def test_settings_that_the_machine_does_not_support_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs several processes"):
        resolve_run_settings(
            TrainingSettings(sharding="sharded"), LENGTHS, SMALL, from_scratch=True, workers=CPU
        )
    with pytest.raises(BackendError, match="precision='bf16' needs a GPU"):
        resolve_run_settings(
            TrainingSettings(precision="bf16"), LENGTHS, SMALL, from_scratch=True, workers=CPU
        )
