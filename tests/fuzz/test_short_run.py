"""A few mutations of the files of each reader, the same in every run."""

import pytest
from scripts.fuzz.harness import find_faults
from scripts.fuzz.targets import TARGETS

MUTATIONS = 12
"""Of each target; `python -m scripts.fuzz` tries more."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_mutated_file_is_an_error_or_is_read(name: str) -> None:
    assert list(find_faults(TARGETS[name], range(MUTATIONS), "short run")) == []
