"""Columns of `datasets` in the place of a list."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.errors import InputError

pytest.importorskip(
    "datasets", reason="datasets is not installed; make test-integrations installs it"
)

from datasets import Dataset

TEXTS = ["a river", "the bank"]
FORMATS = [None, "numpy", "pandas", "polars", "arrow", "torch"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_column_of_any_format_holds_its_texts(folder: Path, name: str | None) -> None:
    encoder = bothways.load(folder)
    column = Dataset.from_dict({"text": TEXTS}).with_format(name)["text"]
    np.testing.assert_array_equal(encoder.encode(column), encoder.encode(TEXTS))
    missing = Dataset.from_dict({"text": ["a river", None]}).with_format(name)["text"]
    with pytest.raises(InputError, match=r"sequence 1: got (None|nan), a missing value"):
        encoder.encode(missing)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_dataset_of_one_column_holds_its_texts(folder: Path, streamed: bool) -> None:
    encoder = bothways.load(folder)
    dataset: Any = Dataset.from_dict({"text": TEXTS, "label": [0, 1]})
    dataset = dataset.to_iterable_dataset() if streamed else dataset
    one = dataset.select_columns("text")
    np.testing.assert_array_equal(encoder.encode(one), encoder.encode(TEXTS))
    with pytest.raises(InputError, match="got a table of 2 columns"):
        encoder.encode(dataset)
