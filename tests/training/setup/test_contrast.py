"""Which loss contrast takes, by the column and the options."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints import ModelBundle
from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.spec import ModelSpec
from bothways.sequences import Alphabet, SymbolReader
from bothways.training.data.survey import Survey
from bothways.training.options.objective import ObjectiveOptions, PairLoss
from bothways.training.setup.base_model import BaseModel
from bothways.training.setup.contrast import build_contrast, choose_pair_loss


def survey_of(column: str, low: float, high: float, *, whole: bool) -> Survey:
    return Survey(
        labels=(column,), counts=np.zeros(1), multilabel=False, classes=None,
        keys=np.zeros((4, 2), np.uint64), longest=3, channels=0,
        ranges=((low, high),), whole_numbers=whole,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("survey", "chosen", "loss"),
    [
        (survey_of("label", 0, 1, whole=True), None, "contrastive"),
        (survey_of("score", 0, 1, whole=True), None, "contrastive"),
        (survey_of("score", 0, 1, whole=False), None, "cosine"),
        (survey_of("score", 0, 5, whole=True), None, "cosine"),
        (survey_of("label", 0, 5, whole=False), None, "cosine"),
        (survey_of("label", 0, 2, whole=True), "cosine", "cosine"),
        (survey_of("label", 0, 1, whole=True), "cosine", "cosine"),
    ],
)
def test_the_values_choose_the_loss(
    survey: Survey, chosen: PairLoss | None, loss: PairLoss
) -> None:
    assert choose_pair_loss(chosen, survey) == loss


def test_integer_labels_that_may_be_classes_are_an_error() -> None:
    with pytest.raises(ConfigError, match="column 'label' has integers from 0 to 2: classes, or"):
        choose_pair_loss(None, survey_of("label", 0, 2, whole=True))


def test_a_contrastive_loss_needs_labels_0_and_1() -> None:
    with pytest.raises(ConfigError, match=r"needs labels 0 and 1; column 'score' has 0 to 5"):
        choose_pair_loss("contrastive", survey_of("score", 0, 5, whole=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.1}, "temperature is for loss='in-batch', and this run has 'cosine'"),
        ({"margin": 0.1}, "margin is for loss='contrastive'"),
        ({"score_range": (0, 4)}, "column 'score' has 0 to 5"),
    ],
)
def test_an_option_that_does_not_fit_the_loss_is_an_error(
    options: dict[str, Any], message: str
) -> None:
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=40)
    spec = ModelSpec(config=config, max_length=config.max_length)
    bundle = ModelBundle.of(spec, initialize(config), path=Path())
    start = BaseModel(bundle, SymbolReader(Alphabet.protein()), from_scratch=True)
    with pytest.raises(ConfigError, match=message):
        build_contrast(ObjectiveOptions(**options), start, survey_of("score", 0, 5, whole=False))


def test_a_range_of_scores_has_two_numbers() -> None:
    with pytest.raises(ConfigError, match="expected two numbers, the lower one first"):
        ObjectiveOptions(score_range=(5, 0))
