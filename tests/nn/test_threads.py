import os
import subprocess
import sys

import pytest
import torch

from bothways.nn import threads
from bothways.nn.threads import torch_threads


def test_the_number_of_threads_is_restored_even_after_an_error() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(KeyError), torch_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_by_default_torch_keeps_within_the_cpu_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        monkeypatch.setattr(threads, "available_cpus", lambda: 2)
        with torch_threads(None):
            assert torch.get_num_threads() == 2
        monkeypatch.setattr(threads, "available_cpus", lambda: 64)
        with torch_threads(None):
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_can_encode_with_torch_after_its_parent_has() -> None:
    program = """
import os
import numpy as np
import torch
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.nn import TorchBackend

config = EncoderConfig(num_layers=2, num_heads=2, d_model=64, d_ff=256, vocab_size=9)
backend = TorchBackend(config, initialize(config), device="cpu", threads=2)
batch = PackedBatch.of([np.arange(100) % 9] * 40)
before = backend.pool(batch, ["mean"])
child = os.fork()
if child == 0:
    os._exit(0 if np.allclose(backend.pool(batch, ["mean"]), before, atol=1e-6) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    subprocess.run(command, check=True, timeout=100)
