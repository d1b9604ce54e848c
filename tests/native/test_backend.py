import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bothways.errors import BackendError, CheckpointError, InputError
from bothways.model.config import EncoderConfig
from bothways.model.packing import PackedBatch
from bothways.model.weights import Weights
from bothways.native import NativeBackend, available_isas
from bothways.native import backend as backend_module
from bothways.native.positions import engine_positions

CONFIG = EncoderConfig(
    num_layers=2, num_heads=3, d_model=48, d_ff=150, max_length=600, vocab_size=50, num_segments=2
)
MakeWeights = Callable[[EncoderConfig], Weights]


@pytest.fixture
def weights(make_weights: MakeWeights) -> Weights:
    return make_weights(CONFIG)


def batch_of(*lengths: int, seed: int = 0) -> PackedBatch:
    rng = np.random.default_rng(seed)
    return PackedBatch.of([rng.integers(0, CONFIG.vocab_size, length) for length in lengths])


@pytest.mark.parametrize("threads", [0, -1, 2000])
def test_rejects_an_invalid_number_of_threads(weights: Weights, threads: int) -> None:
    with pytest.raises(BackendError, match=f"threads={threads}: expected 1 to 1024"):
        NativeBackend(CONFIG, weights, threads=threads)


def test_environment_variables_set_threads_and_instruction_set(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTHWAYS_THREADS", "3")
    monkeypatch.setenv("BOTHWAYS_ISA", "plain")
    backend = NativeBackend(CONFIG, weights)
    assert (backend.threads, backend.isa) == (3, "plain")


def test_the_number_of_threads_is_that_of_the_available_cpus_by_default(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOTHWAYS_THREADS", raising=False)
    monkeypatch.setattr(backend_module, "available_cpus", lambda: 3)
    assert NativeBackend(CONFIG, weights).threads == 3


def test_rejects_invalid_environment_variables(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTHWAYS_THREADS", "many")
    with pytest.raises(BackendError, match="BOTHWAYS_THREADS=many"):
        NativeBackend(CONFIG, weights)
    monkeypatch.setenv("BOTHWAYS_THREADS", "1")
    monkeypatch.setenv("BOTHWAYS_ISA", "abacus")
    with pytest.raises(BackendError, match=r"'abacus' is not available on this machine; .*plain"):
        NativeBackend(CONFIG, weights)


def test_rejects_a_precision_of_gpus(weights: Weights) -> None:
    with pytest.raises(
        BackendError, match="precision='fp16': the native engine supports fp32 and int8"
    ):
        NativeBackend(CONFIG, weights, precision="fp16")


def test_rejects_weights_that_do_not_fit_the_config(weights: Weights) -> None:
    with pytest.raises(CheckpointError, match="missing"):
        NativeBackend(CONFIG, {n: a for n, a in weights.items() if "up" not in n})


@pytest.mark.parametrize("ids", [[-1], [50], [2**40]])
def test_rejects_ids_outside_the_vocabulary(weights: Weights, ids: list[int]) -> None:
    with pytest.raises(InputError, match="expected at least 0 and below vocab_size=50"):
        NativeBackend(CONFIG, weights).pool(PackedBatch.of([np.array(ids)]), ["mean"])


def test_the_engine_itself_rejects_what_would_leave_its_arrays(weights: Weights) -> None:
    engine = NativeBackend(CONFIG, weights)._engine
    ids, out = np.zeros(4, np.int64), np.empty((1, 48), np.float32)

    def pool(
        ids: np.ndarray = ids,
        lengths: tuple[int, ...] = (4,),
        segments: np.ndarray | None = None,
        content: np.ndarray | None = None,
        skip: int = 0,
        out: np.ndarray = out,
    ) -> None:
        engine.pool(ids, np.array(lengths), segments, content, ["mean"], skip, out)

    pool()
    for lengths in ((5,), (3,), (2, 2, 1), (4, 0), (-1, 5), (), (2**62, 2**62)):
        with pytest.raises(ValueError, match=r"length|sequence|output"):
            pool(lengths=lengths)
    for ids in (np.array([0, 1, 2, 50]), np.array([0, 1, -1, 2])):
        with pytest.raises(ValueError, match="expected at least 0 and below 50"):
            pool(ids=ids)
    for segments in (np.zeros(3, np.int64), np.array([0, 0, 0, 2])):
        with pytest.raises(ValueError, match="segment"):
            pool(segments=segments)
    with pytest.raises(ValueError, match="one flag per token"):
        pool(content=np.ones(3, np.uint8))
    with pytest.raises(ValueError, match="skip"):
        pool(skip=4)
    with pytest.raises(ValueError, match="output"):
        pool(out=np.empty((1, 47), np.float32))
    for layers in ([3], [-1]):
        with pytest.raises(ValueError, match="expected 0 to 2"):
            engine.hidden_states(
                ids * 0, np.array([4]), None, layers, np.empty((1, 4, 48), np.float32)
            )


def test_the_engine_rejects_invalid_config_fields(weights: Weights) -> None:
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}
    fields = backend_module._engine_config(CONFIG) | engine_positions(CONFIG).fields
    encoder = type(NativeBackend(CONFIG, weights)._engine)

    def make(fields: dict[str, Any]) -> None:
        encoder(fields, arrays, int8=False, threads=1, isa="")

    make(fields)
    for name in fields:
        with pytest.raises(ValueError, match=f"config field '{name}' is missing"):
            make({n: value for n, value in fields.items() if n != name})
    with pytest.raises(ValueError, match="config field 'color' is unknown"):
        make(fields | {"color": 1})
    with pytest.raises(ValueError, match="norm='batch' is not supported"):
        make(fields | {"norm": "batch"})
    for broken in ({"num_heads": 5}, {"block": [0, 2]}, {"window": [-1]}, {"max_length": 0}):
        with pytest.raises(ValueError, match="inconsistent config"):
            make(fields | broken)


def test_layers_may_repeat_and_count_from_the_end(weights: Weights) -> None:
    backend = NativeBackend(CONFIG, weights)
    batch = batch_of(9)
    first, again, last = backend.attention(batch, [0, 0, -1])
    np.testing.assert_array_equal(first, again)
    assert (first != last).any()
    hidden = backend.hidden_states(batch, [2, -1, 2])
    np.testing.assert_array_equal(hidden[0], hidden[1])


def test_computing_attention_changes_no_vector(weights: Weights) -> None:
    backend = NativeBackend(CONFIG, weights)
    batch = batch_of(33)
    before = backend.hidden_states(batch, [2])
    backend.attention(batch, [0, 1])
    np.testing.assert_array_equal(backend.hidden_states(batch, [2]), before)


def test_threads_may_share_a_backend(weights: Weights) -> None:
    backend = NativeBackend(CONFIG, weights, threads=2)
    batches = [batch_of(*range(1, 40), seed=seed) for seed in range(8)]
    expected = [backend.pool(batch, ["mean"]) for batch in batches]
    results: list[np.ndarray | None] = [None] * len(batches)

    def encode(index: int) -> None:
        results[index] = backend.pool(batches[index], ["mean"])

    threads = [threading.Thread(target=encode, args=(i,)) for i in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(results, expected, strict=True):
        assert a is not None
        np.testing.assert_array_equal(a, b)


def test_portable_code_is_the_last_instruction_set(weights: Weights) -> None:
    assert available_isas()[-1] == "plain"
    assert NativeBackend(CONFIG, weights, isa=None if "BOTHWAYS_ISA" in os.environ else "").isa


def test_more_threads_and_longer_sequences_need_more_memory(weights: Weights) -> None:
    one, two = (NativeBackend(CONFIG, weights, threads=threads) for threads in (1, 2))
    assert 2 * one.workspace_bytes(4096) == two.workspace_bytes(4096)
    assert one.workspace_bytes(1) < one.workspace_bytes(600) < one.workspace_bytes(4096)


FAR = 2**24 - 1
"""The largest max_length: a table for all its positions would have gigabytes."""


@pytest.mark.parametrize("positions", ["rotary", "relative", "alibi"])
def test_tables_of_positions_grow_with_the_inputs_and_change_no_bit(
    positions: Any, make_weights: MakeWeights
) -> None:
    def config(max_length: int) -> EncoderConfig:
        return EncoderConfig(
            num_layers=1, num_heads=2, d_model=16, d_ff=24, vocab_size=50, max_length=max_length,
            position_embedding="none", attention_positions=positions,
        )  # fmt: skip

    weights = make_weights(config(FAR))
    far, near = (NativeBackend(config(n), weights, threads=1) for n in (FAR, 70))
    before = far.packed_bytes
    for length in (3, 70, 20):
        batch = batch_of(length)
        assert (far.pool(batch, ["mean"]) == near.pool(batch, ["mean"])).all()
    assert far.packed_bytes - before < 10_000
