"""A part that was held out, with whatever was evaluated."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bothways.training.data.dataset import Dataset, Example, InputSequence
from bothways.training.report.held_out import HeldOutResults

Hold = Callable[..., HeldOutResults]


@pytest.fixture
def hold() -> Hold:
    """Hold out sequences called `a.csv, row 1`, ...; `evaluated` has them in reverse."""

    def make(
        evaluated: dict[str, np.ndarray],
        texts: Sequence[str],
        targets: Sequence[np.ndarray] | None = None,
        metrics: dict[str, float] | None = None,
    ) -> HeldOutResults:
        piece = InputSequence(np.zeros(3, np.int64), None, slice(0, 3))
        examples = [
            Example((piece,), targets[i] if targets else None, f"a.csv, row {i + 1}")
            for i in range(len(texts))
        ]
        return HeldOutResults(
            name="a.csv",
            chose_weights=True,
            evaluated=evaluated,
            metrics=metrics or {},
            dataset=Dataset(examples, np.full(len(texts), 3)),
            order=np.arange(len(texts))[::-1],
            text_of=texts.__getitem__,
        )

    return make
