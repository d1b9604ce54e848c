import subprocess
import sys

import pytest
import torch

from bothways.errors import BackendError
from bothways.training.distributed.sharding import shard, to_full_array, to_full_tensor


def test_fsdp_is_imported_only_to_shard() -> None:
    code = (
        "import sys, bothways.training.engine.run; "
        "print('torch' in sys.modules, 'torch.distributed.fsdp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_a_tensor_that_is_not_sharded_is_returned_unchanged() -> None:
    total = torch.tensor([2.0, 3.0], requires_grad=True)
    assert to_full_tensor(total) is total
    assert to_full_array(total).tolist() == [2.0, 3.0]


def test_a_torch_that_cannot_sum_gradients_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.fsdp import FSDPModule

    monkeypatch.delattr(FSDPModule, "set_force_sum_reduction_for_comms", raising=False)
    with pytest.raises(BackendError, match="update torch, or train with --sharding replicated"):
        shard(None)  # type: ignore[arg-type]
