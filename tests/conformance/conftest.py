"""Every backend that this machine has, each instruction set of the engine being one."""

import functools
from collections.abc import Callable

import pytest

from bothways.inference.backends import Backend
from bothways.model.config import EncoderConfig
from bothways.model.weights import Weights
from bothways.native import NativeBackend, available_isas
from bothways.nn.backend import TorchBackend
from bothways.reference.backend import ReferenceBackend

BACKENDS: dict[str, Callable[[EncoderConfig, Weights], Backend]] = {
    "reference": ReferenceBackend,
    "torch": functools.partial(TorchBackend, device="cpu"),
}
for isa in available_isas():
    BACKENDS[f"native {isa}"] = functools.partial(NativeBackend, isa=isa)


@pytest.fixture(params=BACKENDS)
def make_backend(request: pytest.FixtureRequest) -> Callable[[EncoderConfig, Weights], Backend]:
    """A backend, of a config and weights; a test that asks for it runs once for each."""
    return BACKENDS[request.param]
