"""What `auto` takes, and what it says where nothing is installed that it could take."""

import importlib.util
import re
from collections.abc import Callable
from importlib.machinery import ModuleSpec

import numpy as np
import pytest

from bothways.errors import BackendError
from bothways.inference.backends import BackendName, Precision, create_backend
from bothways.installation import install_command
from bothways.model.config import EncoderConfig
from bothways.model.packing import PackedBatch
from bothways.model.weights import Weights

CONFIG = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, max_length=9, vocab_size=9)
MakeWeights = Callable[[EncoderConfig], Weights]


@pytest.fixture
def weights(make_weights: MakeWeights) -> Weights:
    return make_weights(CONFIG)


@pytest.fixture
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As bothways is where it was installed without a compiler."""
    missing = ModuleNotFoundError("No module named 'bothways.native._engine'")
    monkeypatch.setattr("bothways.native.backend._IMPORT_ERROR", missing)


@pytest.fixture
def _no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without_torch(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "torch" else find(name, package)

    monkeypatch.setattr("importlib.util.find_spec", without_torch)


@pytest.mark.usefixtures("_no_engine")
def test_without_the_engine_torch_takes_its_place(weights: Weights) -> None:
    assert create_backend("auto", CONFIG, weights).name == "torch"


@pytest.mark.usefixtures("_no_engine", "_no_torch")
def test_without_either_it_is_said_what_to_install(weights: Weights) -> None:
    with pytest.raises(
        BackendError, match=re.escape(install_command("torch")) + ", or .* compiler"
    ):
        create_backend("auto", CONFIG, weights)


@pytest.mark.usefixtures("_no_engine", "_no_torch")
def test_the_reference_needs_neither(weights: Weights) -> None:
    pooled = create_backend("reference", CONFIG, weights).pool(
        PackedBatch.of([np.arange(9)]), ["mean"]
    )
    assert pooled.shape == (1, CONFIG.d_model)


@pytest.mark.usefixtures("_no_engine")
@pytest.mark.parametrize(("backend", "precision"), [("native", "fp32"), ("auto", "int8")])
def test_what_the_engine_alone_does_asks_for_a_compiler(
    weights: Weights, backend: BackendName, precision: Precision
) -> None:
    expected = r"engine is not installed \(No module .*_engine'\); install a C\+\+ compiler"
    with pytest.raises(BackendError, match=expected):
        create_backend(backend, CONFIG, weights, precision=precision)


@pytest.mark.parametrize("name", ["native", "reference"])
def test_a_backend_for_the_cpu_refuses_a_gpu(weights: Weights, name: BackendName) -> None:
    with pytest.raises(BackendError, match=rf"'cuda:1': the {name} .* CPU; choose backend='torch'"):
        create_backend(name, CONFIG, weights, device="cuda:1")
    assert create_backend(name, CONFIG, weights, device="cpu").device == "cpu"


def test_auto_takes_torch_for_a_gpu_and_the_engine_for_the_cpu(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.inference.backends._has_gpu", lambda: True)
    assert create_backend("auto", CONFIG, weights, device="cpu").name == "native"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(BackendError, match=r"device='cuda': torch .* sees no GPU"):
        create_backend("auto", CONFIG, weights, device="cuda")
