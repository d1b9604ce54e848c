"""The engine's threads and locks in forked processes, and where the system starts no threads."""

import os
import subprocess
import sys

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

SETUP = """
import os, threading
import numpy as np
from bothways.errors import BackendError
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend

config = EncoderConfig(num_layers=2, num_heads=2, d_model=32, d_ff=64, vocab_size=9)
backend = NativeBackend(config, initialize(config), threads=2)
batch = PackedBatch.of([np.arange(40) % 9] * 40)

def encode():
    return backend.pool(batch, ["mean"])

def succeeds_in_a_child():
    child = os.fork()
    if child == 0:
        os._exit(0 if (encode() == before).all() and (encode() == before).all() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def run(program: str) -> None:
    """Run a program after `SETUP` in a process of its own, which fails if it hangs."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SETUP + program]
    subprocess.run(command, check=True, timeout=60)


@needs_fork
def test_a_forked_process_can_encode() -> None:
    run("""
before = encode()
assert succeeds_in_a_child()
assert (encode() == before).all()
""")


@needs_fork
def test_a_process_that_is_forked_while_another_thread_encodes_can_encode() -> None:
    run("""
before = encode()
stop = threading.Event()

def encode_until_stopped():
    while not stop.is_set():
        encode()

thread = threading.Thread(target=encode_until_stopped)
thread.start()
assert all([succeeds_in_a_child() for _ in range(30)])
stop.set()
thread.join()
""")


@needs_fork
def test_several_threads_of_a_forked_process_can_encode_at_once() -> None:
    run("""
before = encode()
child = os.fork()
if child == 0:
    same = []
    threads = [
        threading.Thread(target=lambda: same.append((encode() == before).all())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0 if same == [True] * 8 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""")


@needs_fork
def test_a_forked_process_and_its_own_child_can_encode_and_end_as_usual() -> None:
    run("""
import multiprocessing

before = encode()

def check(depth):
    assert (encode() == before).all()
    if depth:
        child = multiprocessing.get_context("fork").Process(target=check, args=(depth - 1,))
        child.start()
        child.join(30)
        assert child.exitcode == 0

check(2)
""")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_a_thread_that_cannot_be_started_is_an_error_of_this_call_alone() -> None:
    run("""
import resource

def error_of_a_call():
    try:
        encode()
    except BackendError as error:
        return str(error)

size = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (size + 2**22, before[1]))  # no room for a thread's stack
errors = [error_of_a_call(), error_of_a_call()]
resource.setrlimit(resource.RLIMIT_AS, before)
assert errors[0] == errors[1]
assert "cannot start thread 2 of 2" in errors[0] and "use fewer threads" in errors[0], errors
assert np.isfinite(encode()).all()
""")
