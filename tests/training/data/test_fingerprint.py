import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from bothways.training.data.dataset import Dataset, Example, InputSequence
from bothways.training.data.fingerprint import fingerprint

MakeRun = Callable[..., Any]


def test_equal_data_has_an_equal_fingerprint(tiny_run: MakeRun) -> None:
    one, other = tiny_run().train, tiny_run().train
    assert one is not other
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one)["examples"] == 36
    assert fingerprint(one)["tokens"] == int(one.lengths.sum())


def test_another_order_value_or_target_changes_the_fingerprint(tiny_run: MakeRun) -> None:
    data: Dataset = tiny_run().train
    examples = list(data.examples)
    turned = Dataset(examples[::-1], data.lengths[::-1])
    relabeled = [examples[0]._replace(target=np.array(7)), *examples[1:]]
    piece = examples[1].sequences[0]
    changed = [
        examples[0],
        examples[1]._replace(sequences=(piece._replace(values=piece.values + 1),)),
    ]
    found = {
        fingerprint(other)["hash"]
        for other in (
            data,
            turned,
            dataclasses.replace(data, examples=relabeled),
            dataclasses.replace(data, examples=changed + examples[2:]),
        )
    }
    assert len(found) == 4


def test_of_much_data_few_examples_are_made() -> None:
    class Counting(list[Any]):
        made = 0

        def __getitem__(self, index: Any) -> Any:
            Counting.made += 1
            return super().__getitem__(index % 1)

    only = Example((InputSequence(np.arange(3), None, slice(0, 3)),), None, "row 1")
    fingerprint(Dataset(Counting([only]), np.full(100_000, 3)))
    assert Counting.made == 256
