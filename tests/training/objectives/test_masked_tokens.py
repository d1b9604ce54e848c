from collections.abc import Callable

import numpy as np
import pytest
import torch

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.training.data.dataset import Example, InputSequence
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.masked_tokens import MaskedTokens, MaskingRecipe

MASK = 3
SPECIAL = frozenset({0, 1, 2})
SAMPLING = 0.02
"""Of a share of some 4,000 chosen tokens: more than 3 standard deviations."""

Objectives = Callable[..., MaskedTokens]


@pytest.fixture
def make_objective(make_config: Callable[..., EncoderConfig]) -> Objectives:
    head = head_for("masked_tokens", make_config())

    def make(**fields: object) -> MaskedTokens:
        known = {"vocab_size": 24, "mask_token": MASK, "special_tokens": SPECIAL}
        return MaskedTokens(head=head, **(known | fields))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def long_examples() -> list[Example]:
    """30,000 tokens in sequences of 100."""
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 24, (300, 100))
    ids[:, 0], ids[:, -1], ids[:, 50] = 0, 1, 2  # a special token also in the midst
    return [Example((InputSequence(row, None, slice(1, -1)),), None, "row") for row in ids]


@pytest.mark.parametrize(
    "recipe",
    [
        MaskingRecipe(),
        MaskingRecipe(rate=0.3, masked=1.0, random=0.0),
        MaskingRecipe(rate=0.2, masked=0.0, random=1.0),
        MaskingRecipe(rate=0.5, masked=0.2, random=0.3),
    ],
)
def test_masks_follow_the_recipe(
    recipe: MaskingRecipe, make_objective: Objectives, long_examples: list[Example]
) -> None:
    prepared = make_objective(recipe=recipe).prepare(long_examples, np.random.default_rng(1))
    before = np.concatenate([example.sequences[0].values for example in long_examples])
    after, chosen = prepared.packed.values, prepared.targets["positions"]
    ordinary = ~np.isin(before, [0, 1, 2])
    assert len(chosen) / ordinary.sum() == pytest.approx(recipe.rate, abs=SAMPLING)
    assert prepared.weight == len(chosen)
    assert np.array_equal(prepared.targets["tokens"], before[chosen])
    untouched = np.ones(len(before), bool)
    untouched[chosen] = False
    assert np.array_equal(before[untouched], after[untouched])
    masked = (after[chosen] == MASK).mean()
    kept = (after[chosen] == before[chosen]).mean()
    by_chance = recipe.random / 20  # a random token may happen to be the one that was there
    assert masked == pytest.approx(recipe.masked, abs=SAMPLING)
    assert kept == pytest.approx(1 - recipe.masked - recipe.random + by_chance, abs=SAMPLING)


def test_special_tokens_are_neither_selected_nor_used_as_random_tokens(
    make_objective: Objectives, long_examples: list[Example]
) -> None:
    recipe = MaskingRecipe(rate=1.0, masked=0.0, random=1.0)
    prepared = make_objective(recipe=recipe).prepare(long_examples, np.random.default_rng(1))
    before = np.concatenate([example.sequences[0].values for example in long_examples])
    is_special = np.isin(before, [0, 1, 2])
    assert np.array_equal(prepared.targets["positions"], np.flatnonzero(~is_special))
    assert set(prepared.packed.values[~is_special]) == set(range(4, 24))  # the mask neither


def test_other_seeds_give_other_masks(
    make_objective: Objectives, long_examples: list[Example]
) -> None:
    first, other = (
        make_objective().prepare(long_examples, np.random.default_rng(seed)) for seed in (1, 2)
    )
    assert not np.array_equal(first.packed.values, other.packed.values)


def test_whole_words_are_masked_together(
    make_objective: Objectives, long_examples: list[Example]
) -> None:
    continues = np.arange(24) >= 12
    objective = make_objective(continues=continues)
    prepared = objective.prepare(long_examples, np.random.default_rng(1))
    before = np.concatenate([example.sequences[0].values for example in long_examples])
    ordinary = ~np.isin(before, [0, 1, 2])
    chosen = np.zeros(len(before), bool)
    chosen[prepared.targets["positions"]] = True
    joined = continues[before] & ordinary & np.roll(ordinary, 1)  # to the token before
    places = np.flatnonzero(joined)
    assert np.array_equal(chosen[places], chosen[places - 1])
    assert chosen.sum() / ordinary.sum() == pytest.approx(0.15, abs=SAMPLING)


def test_a_batch_without_content_has_no_loss(
    make_objective: Objectives,
    make_batch: Callable[..., Batch],
    build_model: Callable[..., TrainedModel],
) -> None:
    objective = make_objective()
    empty = Example((InputSequence(np.array([0, 1]), None, slice(1, 1)),), None, "row 1")
    prepared = objective.prepare([empty], np.random.default_rng(0))
    assert prepared.weight == 0
    loss = objective.loss(build_model(objective.head), make_batch(prepared))
    torch.autograd.backward(loss)
    assert float(loss.detach()) == 0


def test_perplexity_is_the_exponential_of_the_loss(make_objective: Objectives) -> None:
    evaluated = {"loss": np.log(np.array([2.0, 8.0])), "correct": np.array([True, False])}
    found = make_objective().metrics(evaluated)
    assert found["perplexity"] == pytest.approx(4.0)
    assert found["accuracy"] == 0.5
    hopeless = {"loss": np.array([1e6]), "correct": np.array([False])}
    assert np.isfinite(make_objective().metrics(hopeless)["perplexity"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 0.0}, "rate=0.0: expected more than 0"),
        ({"rate": 1.5}, "rate=1.5"),
        ({"masked": -0.1}, "masked=-0.1: expected 0 to 1"),
        ({"masked": 0.8, "random": 0.3}, "exceeds 1"),
    ],
)
def test_invalid_recipes_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MaskingRecipe(**fields)


def test_a_vocabulary_without_a_mask_token_needs_a_recipe_without_masks(
    make_objective: Objectives,
) -> None:
    with pytest.raises(ConfigError, match="no mask token"):
        make_objective(mask_token=None)
    make_objective(mask_token=None, recipe=MaskingRecipe(masked=0.0, random=0.9))


def test_a_vocabulary_of_special_tokens_alone_is_refused(make_objective: Objectives) -> None:
    with pytest.raises(ConfigError, match="every token"):
        make_objective(special_tokens=frozenset(range(24)))
