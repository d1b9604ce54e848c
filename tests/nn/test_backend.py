import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bothways.errors import BackendError, CheckpointError, InputError
from bothways.model.config import EncoderConfig, PoolingMode
from bothways.model.costs import bytes_per_token
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.nn import TorchBackend

NEIGHBOR_TOLERANCE = 1e-6
"""Of unit scale: a matrix product may sum in another order when the batch has another size."""

CONFIG = EncoderConfig(
    num_layers=2, num_heads=2, d_model=16, d_ff=32, vocab_size=30, max_length=8192
)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture
def backend(make_weights: Callable[..., dict[str, np.ndarray]]) -> TorchBackend:
    return TorchBackend(CONFIG, make_weights(CONFIG), device="cpu")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_on_a_cpu_is_refused_with_the_reason(precision: str) -> None:
    with pytest.raises(BackendError, match=r"needs a GPU.*choose 'fp32'"):
        TorchBackend(CONFIG, initialize(CONFIG), device="cpu", precision=precision)


def test_int8_is_refused_with_the_backend_that_has_it() -> None:
    with pytest.raises(BackendError, match="'int8' is the native backend's"):
        TorchBackend(CONFIG, initialize(CONFIG), device="cpu", precision="int8")


def test_an_unknown_precision_is_refused_with_the_list_of_precisions() -> None:
    with pytest.raises(BackendError, match="'fp8': expected fp32, bf16, fp16"):
        TorchBackend(CONFIG, initialize(CONFIG), precision="fp8")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:", "", "cuda:-1", "mps:0x"])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(BackendError, match=r"expected 'cpu', 'cuda', 'cuda:N' or 'mps'"):
        TorchBackend(CONFIG, initialize(CONFIG), device=device)


@pytest.mark.parametrize(
    ("device", "count", "seen"),
    [
        ("cuda", 0, "no GPU on this machine; choose another device"),
        ("cuda:0", 0, "no GPU on this machine"),
        ("cuda:2", 2, "only cuda:0 to cuda:1 on this machine"),
        ("mps", 0, "no Apple GPU on this machine"),
    ],
)
def test_a_gpu_that_torch_does_not_see_is_refused(
    device: str, count: int, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(BackendError, match=f"device='{device}': torch .* sees {seen}") as failure:
        TorchBackend(CONFIG, initialize(CONFIG), device=device)
    assert "process" not in str(failure.value)


def test_a_device_is_chosen_where_none_is_named() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert TorchBackend(CONFIG, initialize(CONFIG)).device == expected


def test_weights_are_checked() -> None:
    weights = initialize(CONFIG)
    weights["embedding.norm.bias"][3] = np.nan
    with pytest.raises(CheckpointError, match="NaN"):
        TorchBackend(CONFIG, weights)


def test_threads_are_as_before_after_a_call(make_weights: Callable[..., Any]) -> None:
    seen = []

    class Spy(torch.nn.Identity):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return x

    before = torch.get_num_threads()
    backend = TorchBackend(CONFIG, make_weights(CONFIG), device="cpu", threads=before + 1)
    backend._encoder.final_norm = Spy()
    batch = PackedBatch.of([np.arange(4)])
    backend.pool(batch, ["mean"])
    with pytest.raises(InputError):
        backend.pool(PackedBatch.of([np.arange(40)]), ["mean"])
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_threads_than_one_are_refused(threads: int) -> None:
    with pytest.raises(BackendError, match="expected at least 1"):
        TorchBackend(CONFIG, initialize(CONFIG), threads=threads)


def test_nothing_global_is_changed_by_importing() -> None:
    """Compared in a fresh process: threads, default dtype and device, precision, grad mode."""
    program = """
import torch
def state():
    return (torch.get_num_threads(), torch.get_default_dtype(), torch.get_default_device(),
            torch.is_grad_enabled(), torch.get_float32_matmul_precision(),
            torch.are_deterministic_algorithms_enabled(), torch.initial_seed(),
            torch.backends.cuda.matmul.allow_tf32, torch.backends.mkldnn.enabled)
before = state()
import bothways.nn
assert state() == before, (before, state())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_encoding_draws_no_random_numbers(backend: TorchBackend) -> None:
    before = torch.get_rng_state()
    backend.pool(PackedBatch.of([np.arange(5)]), ["mean"])
    assert torch.equal(torch.get_rng_state(), before)


def test_extreme_neighbors_change_nothing(make_weights: Callable[..., Any]) -> None:
    """Vectors of 10,000 beside vectors of 1, lengths of 512 beside 1, in any place."""
    config = EncoderConfig(
        num_layers=2,
        num_heads=2,
        d_model=16,
        d_ff=32,
        max_length=512,
        input="vectors",
        num_channels=3,
        position_embedding="sinusoidal",
        windows=(None, 20),
    )
    backend = TorchBackend(config, make_weights(config), device="cpu")
    rng = np.random.default_rng(0)
    ordinary = [rng.standard_normal((n, 3)) for n in (512, 64, 64, 1)]
    extreme = [1e4 * rng.standard_normal((n, 3)) for n in (512, 64, 1)]
    e512, e64, e1 = extreme
    o512, o64, p64, o1 = ordinary
    arranged = [e512, o512, o64, e64, p64, e1, o1, e1]
    modes: list[PoolingMode] = ["mean", "max", "cls", "last"]
    together = backend.pool(PackedBatch.of(arranged), modes)
    for place in (1, 2, 4, 6):
        alone = backend.pool(PackedBatch.of([arranged[place]]), modes)[0]
        assert np.abs(alone).max() > 0.5
        scale = max(float(np.abs(alone).max()), 1.0)
        assert np.abs(together[place] - alone).max() < NEIGHBOR_TOLERANCE * scale


def test_not_a_number_is_refused_at_the_edge(make_weights: Callable[..., Any]) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=4, d_ff=4, input="vectors", num_channels=2
    )
    backend = TorchBackend(config, make_weights(config), device="cpu")
    bad = np.zeros((3, 2))
    bad[1, 0] = np.inf
    with pytest.raises(InputError, match="sequence 1, position 1: NaN or infinity"):
        backend.pool(PackedBatch.of([np.zeros((2, 2)), bad]), ["mean"])


def test_ids_beyond_the_vocabulary_are_refused_at_the_edge(backend: TorchBackend) -> None:
    batch = PackedBatch.of([np.array([3, 30])])
    calls: list[Callable[[], object]] = [
        lambda: backend.pool(batch, ["mean"]),
        lambda: backend.hidden_states(batch, [1]),
        lambda: backend.attention(batch, [0]),
    ]
    for call in calls:
        with pytest.raises(InputError, match="position 1: id 30"):
            call()


def test_leaving_out_a_whole_sequence_is_refused(backend: TorchBackend) -> None:
    batch = PackedBatch.of([np.arange(5), np.arange(2)])
    with pytest.raises(InputError, match=r"sequence 1 .* 2 positions"):
        backend.pool(batch, ["mean"], skip=2)


def test_attention_is_recomputed_for_the_layers_asked_for(backend: TorchBackend) -> None:
    batch = PackedBatch.of([np.arange(6)])
    both = backend.attention(batch, [0, 1])
    assert both.shape == (2, 2, 6, 6)
    assert (backend.attention(batch, [1])[0] == both[1]).all()


SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "gated": {"gated": True, "norm_placement": "pre"},
    "rotary": {"position_embedding": "none", "attention_positions": "rotary"},
    "relative": {"position_embedding": "none", "attention_positions": "relative"},
    "narrow feed-forward": {"d_ff": 64},
    "windows": {"windows": (16, 16)},
}


@pytest.mark.current_versions
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("length", [20, 512, 8192])
def test_the_memory_planned_for_a_token_is_enough_and_not_twice_too_much(
    shape: str, length: int, peak_bytes: Callable[[Callable[[], object]], int]
) -> None:
    sizes = {"num_layers": 2, "num_heads": 2, "d_model": 64, "d_ff": 256, "vocab_size": 30}
    sizes["max_length"] = 8192
    config = EncoderConfig(**sizes | SHAPES[shape])
    backend = TorchBackend(config, initialize(config), device="cpu")
    batch = PackedBatch.of([np.zeros(length, np.int64)] * (8192 // length))
    peak = peak_bytes(lambda: backend.pool(batch, ["mean"])) / batch.num_tokens
    assert 0.5 * bytes_per_token(config) < peak < bytes_per_token(config)


@needs_gpu
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.05), ("fp16", 0.01)]
)
def test_a_gpu_gives_the_same_within_its_precision(
    precision: str, tolerance: float, backend: TorchBackend, make_weights: Callable[..., Any]
) -> None:
    on_gpu = TorchBackend(CONFIG, make_weights(CONFIG), device="cuda", precision=precision)
    batch = PackedBatch.of([np.arange(n) % 30 for n in (512, 40, 40, 3, 1)])
    expected = backend.hidden_states(batch, [0, 1, 2])
    found = on_gpu.hidden_states(batch, [0, 1, 2])
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()
