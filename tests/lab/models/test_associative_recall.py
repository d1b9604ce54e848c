import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bothways.lab.comparisons.distance.experiment import build_model
from bothways.lab.comparisons.distance.settings import DistanceSettings
from bothways.lab.models.associative_recall import (
    AssociativeRecallModel,
    input_gradient_norm,
    pack_examples,
    path_length,
    recall_accuracy,
    recall_loss,
)
from bothways.lab.tasks.associative_recall import AssociativeRecallTask
from bothways.model.baselines import BASELINES, BaselineConfig, EncoderName
from bothways.nn.baselines import make_encoder
from bothways.training.model import Batch

SETTINGS = DistanceSettings(length=18, num_layers=1)
TASK = SETTINGS.task


def sample(distance: int, n: int = 12) -> Batch:
    return pack_examples(TASK.sample([distance] * n, seed=0, step=0))


class FixedAnswers(AssociativeRecallModel):
    """Gives predetermined answers."""

    def __init__(self, answers: list[int]) -> None:
        super().__init__(make_encoder(SETTINGS.encoder_config("bag"), seed=0), TASK.num_values)
        self.answers = torch.tensor(answers)

    def forward(self, batch: Batch) -> Tensor:
        return nn.functional.one_hot(self.answers, TASK.num_values).float()


def test_accuracy_is_the_fraction_of_right_answers() -> None:
    batch = sample(3, n=4)
    answers = batch.targets["answers"].tolist()
    assert recall_accuracy(FixedAnswers(answers), batch) == 1
    wrong = [(answers[0] + 1) % TASK.num_values, *answers[1:]]
    assert recall_accuracy(FixedAnswers(wrong), batch) == 0.75


def test_the_loss_is_the_cross_entropy_at_the_last_position() -> None:
    model, batch = build_model(SETTINGS, "lstm", 0), sample(3)
    with torch.no_grad():
        (x_TD,) = model.encoder(batch.values, batch.lengths)
        logits = model.classifier(x_TD[17::18])
        log_probabilities = torch.log_softmax(logits, 1).gather(
            1, batch.targets["answers"][:, None]
        )
        loss = recall_loss(model, batch)
    assert float(loss) == pytest.approx(-float(log_probabilities.mean()))


def test_the_gradient_norm_agrees_with_finite_differences() -> None:
    model, batch, distance = build_model(SETTINGS, "gru", 0), sample(5, n=1), 5
    exact = copy.deepcopy(model).double()
    place, answer = 17 - distance, int(batch.targets["answers"])
    values = batch.values.double()
    step, gradient = 1e-6, []
    for channel in range(TASK.num_channels):
        logits = []
        for change in (-step, step):
            changed = values.clone()
            changed[place, channel] += change
            logits.append(exact(Batch(changed, batch.lengths, None, {}))[0, answer])
        gradient.append(float((logits[1] - logits[0]).detach()) / (2 * step))
    # Errors of central differences: the square of the step, and rounding, 1e-16 / 1e-6.
    assert input_gradient_norm(model, batch, distance) == pytest.approx(
        np.linalg.norm(gradient), rel=1e-6
    )


def test_measuring_gradients_does_not_change_the_model() -> None:
    model = build_model(SETTINGS, "transformer", 0)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    input_gradient_norm(model, sample(2), 2)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_gradients_of_untrained_recurrent_encoders_fall_with_distance(name: EncoderName) -> None:
    model = build_model(SETTINGS, name, 0)
    norms = [input_gradient_norm(model, sample(distance), distance) for distance in (2, 4, 8, 16)]
    assert norms == sorted(norms, reverse=True)
    assert norms[0] > 2 * norms[-1]


def test_gradients_of_an_untrained_transformer_do_not_fall_with_distance() -> None:
    model = build_model(SETTINGS, "transformer", 0)
    norms = [input_gradient_norm(model, sample(distance), distance) for distance in (2, 4, 16)]
    assert max(norms) < 1.2 * min(norms)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_convolution_reaches_a_distance_if_it_has_as_many_layers_as_the_path(layers: int) -> None:
    config = BaselineConfig(
        kind="convolution", num_layers=layers, width=8, embedding_width=8, input="vectors",
        num_channels=TASK.num_channels, max_length=18, dropout=0.0,
    )  # fmt: skip
    model = AssociativeRecallModel(make_encoder(config, seed=0), TASK.num_values)
    for distance in (2, 3, 4, 7, 8):
        is_reached = input_gradient_norm(model, sample(distance), distance) > 0
        length = path_length("convolution", distance)
        assert length is not None
        assert is_reached == (length <= layers), distance


def test_path_lengths_are_those_of_the_table() -> None:
    recurrent = [name for name in BASELINES if name not in ("convolution", "bag")]
    for distance in (1, 5, 128):
        assert path_length("transformer", distance) == 1
        assert {path_length(name, distance) for name in recurrent} == {distance}
        assert path_length("bag", distance) is None
    assert [path_length("convolution", distance) for distance in (1, 2, 3, 4, 128)] == [
        1, 2, 2, 3, 8,
    ]  # fmt: skip


def test_a_bag_has_no_gradient_from_other_positions() -> None:
    assert input_gradient_norm(build_model(SETTINGS, "bag", 0), sample(3), 3) == 0
    assert AssociativeRecallTask(length=18) == TASK
