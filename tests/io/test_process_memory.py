import os

import pytest

from bothways.io.process_memory import keep_few_kernels

CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def test_few_kernels_are_kept_where_the_user_has_said_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in CAPACITIES:
        monkeypatch.setenv(name, "")  # so that what is set below is taken back after the test
        monkeypatch.delenv(name)
    keep_few_kernels()
    assert all(0 < int(os.environ[name]) < 1024 for name in CAPACITIES)


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CAPACITIES:
        monkeypatch.setenv(name, "512")
    keep_few_kernels()
    assert [os.environ[name] for name in CAPACITIES] == ["512", "512"]
