from collections.abc import Callable

import numpy as np
import pytest

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.training.data.dataset import Example, InputSequence
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.masked_values import MaskedValues

SAMPLING = 0.02
"""Of a share of 20,000 positions in spans: more than 3 standard deviations."""


@pytest.fixture
def make_objective(make_config: Callable[..., EncoderConfig]) -> Callable[..., MaskedValues]:
    config = make_config(input="vectors", num_channels=2, vocab_size=0)
    return lambda **fields: MaskedValues(head=head_for("masked_values", config), **fields)


@pytest.fixture(scope="module")
def series() -> list[Example]:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((200, 100, 2)).astype(np.float32)
    return [Example((InputSequence(value, None, slice(None)),), None, "row") for value in values]


@pytest.mark.parametrize("rate", [0.15, 0.5])
@pytest.mark.parametrize("span", [1, 3, 10])
def test_a_fraction_of_positions_is_masked_in_spans(
    rate: float, span: int, make_objective: Callable[..., MaskedValues], series: list[Example]
) -> None:
    prepared = make_objective(rate=rate, span=span).prepare(series, np.random.default_rng(0))
    before = np.concatenate([example.sequences[0].values for example in series])
    hidden = np.zeros(len(before), bool)
    hidden[prepared.targets["positions"]] = True
    assert hidden.mean() == pytest.approx(rate, abs=SAMPLING)
    assert (prepared.packed.values[hidden] == 0).all()
    assert np.array_equal(prepared.packed.values[~hidden], before[~hidden])
    assert np.array_equal(prepared.targets["values"], before[hidden])
    assert prepared.weight == 2 * hidden.sum()
    # Away from the ends of a series, what is hidden comes in whole spans.
    starts = np.diff(hidden.reshape(200, 100).astype(int), axis=1) == 1
    followed = hidden.reshape(200, 100)
    for row, place in np.argwhere(starts[:, : 99 - span]):
        assert followed[row, place + 1 : place + 1 + span].all()


def test_spans_begin_anywhere(
    make_objective: Callable[..., MaskedValues], series: list[Example]
) -> None:
    prepared = make_objective(span=4).prepare(series, np.random.default_rng(0))
    hidden = np.zeros((200, 100), bool)
    hidden.flat[prepared.targets["positions"]] = True
    starts = np.argwhere(np.diff(hidden.astype(int), axis=1) == 1)[:, 1]
    assert np.bincount(starts % 4, minlength=4).min() > 0.1 * len(starts)


@pytest.mark.parametrize("fields", [{"rate": 0.0}, {"rate": 2.0}, {"span": 0}])
def test_invalid_values_are_refused(
    fields: dict[str, float], make_objective: Callable[..., MaskedValues]
) -> None:
    (name,) = fields
    with pytest.raises(ConfigError, match=f"{name}="):
        make_objective(**fields)
