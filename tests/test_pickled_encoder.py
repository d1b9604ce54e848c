"""Encoders in pickles, copies and other processes."""

import copy
import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.errors import CheckpointError, InputError
from bothways.inference.session import Session
from bothways.sequences import SymbolReader


def make_folder(folder: Path, seed: int = 1) -> Path:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=16, d_ff=32, max_length=12, vocab_size=len(alphabet)
    )
    return bothways.create(folder, config, SymbolReader(alphabet), seed=seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "protein")


def unpickle(data: bytes) -> Encoder:
    encoder = pickle.loads(data)  # noqa: S301
    assert isinstance(encoder, Encoder)
    return encoder


def encode(encoder: Encoder) -> np.ndarray:
    return encoder.encode(["MKV", "GAVLIM"])


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_unpickled_encoder_has_the_settings_and_vectors_of_the_first(
    folder: Path, protocol: int
) -> None:
    encoder = bothways.load(folder, precision="int8", threads=2, backend="native")
    data = pickle.dumps(encoder, protocol)
    assert len(data) < 1000  # no weights
    again = unpickle(data)
    assert (again.backend.name, again.backend.precision) == ("native", "int8")
    np.testing.assert_array_equal(encode(again), encode(encoder))


def test_a_process_loads_equal_pickles_once(folder: Path) -> None:
    data = pickle.dumps(bothways.load(folder))
    assert unpickle(data).session is unpickle(data).session


def test_a_relative_folder_is_found_from_another_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    data = pickle.dumps(bothways.load(folder.name))
    monkeypatch.chdir("/")
    assert encode(unpickle(data)).shape == (2, 16)


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_encoder_itself(folder: Path, make_copy: Callable[[Encoder], object]) -> None:
    encoder = bothways.load(folder)
    assert make_copy(encoder) is encoder


def test_a_model_that_has_changed_is_an_error_where_it_arrives(folder: Path) -> None:
    data = pickle.dumps(bothways.load(folder))
    shutil.rmtree(folder)
    make_folder(folder, seed=2)
    with pytest.raises(CheckpointError, match="not the model that was pickled"):
        unpickle(data)


def test_an_encoder_that_was_not_loaded_refuses_to_be_pickled(folder: Path) -> None:
    session = bothways.load(folder).session
    model = bothways.checkpoints.read_folder(folder)
    encoder = Encoder(Session(model, session.reader, session.backend))
    with pytest.raises(InputError, match=r"cannot be pickled.*load it with bothways\.load"):
        pickle.dumps(encoder)


# Other tests import JAX, which warns of any fork, and so does Python 3.12 of one beside threads.
@pytest.mark.filterwarnings("ignore:.*fork.*:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    "method",
    [method for method in multiprocessing.get_all_start_methods() if method != "forkserver"],
)
def test_processes_encode_with_an_encoder_that_is_sent_to_them(folder: Path, method: str) -> None:
    encoder = bothways.load(folder, threads=2)
    before = encode(encoder)
    with multiprocessing.get_context(method).Pool(2) as pool:
        for vectors in pool.map_async(encode, [encoder] * 4).get(timeout=100):
            np.testing.assert_array_equal(vectors, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_joblib_runs_an_encoder_in_other_processes(folder: Path) -> None:
    joblib = pytest.importorskip("joblib")
    encoder = bothways.load(folder, threads=1)
    results = joblib.Parallel(n_jobs=2)(joblib.delayed(encode)(encoder) for _ in range(3))
    for vectors in results:
        np.testing.assert_array_equal(vectors, encode(encoder))
