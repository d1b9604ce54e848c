"""Limits on the memory that libraries keep."""

import os

import pytest

from bothways.io.process_memory import limit_primitive_caches

CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def test_primitive_caches_are_limited_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in CAPACITIES:
        monkeypatch.setenv(name, "")  # so that monkeypatch restores it after the test
        monkeypatch.delenv(name)
    limit_primitive_caches()
    assert all(0 < int(os.environ[name]) < 1024 for name in CAPACITIES)


def test_limits_in_the_environment_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CAPACITIES:
        monkeypatch.setenv(name, "512")
    limit_primitive_caches()
    assert [os.environ[name] for name in CAPACITIES] == ["512", "512"]
