import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bothways.lab.comparisons.distance.experiment import DistanceSettings
from bothways.lab.models.associative_recall import (
    Recaller,
    answer_loss,
    gradient_size,
    pack,
    path_length,
    share_right,
)
from bothways.lab.tasks.associative_recall import Recall
from bothways.model.baselines import BASELINES, BaselineConfig, EncoderName
from bothways.nn.baselines import make_encoder
from bothways.training.model import Batch

SETTINGS = DistanceSettings(length=18, num_layers=1)
TASK = SETTINGS.task


def sample(distance: int, n: int = 12) -> Batch:
    return pack(TASK.sample([distance] * n, seed=0, step=0))


class Table(Recaller):
    """Answers what it is told to."""

    def __init__(self, answers: list[int]) -> None:
        super().__init__(make_encoder(SETTINGS.encoder("bag"), seed=0), TASK.num_values)
        self.answers = torch.tensor(answers)

    def forward(self, batch: Batch) -> Tensor:
        return nn.functional.one_hot(self.answers, TASK.num_values).float()


def test_the_share_of_right_answers_is_counted() -> None:
    batch = sample(3, n=4)
    answers = batch.targets["answers"].tolist()
    assert share_right(Table(answers), batch) == 1
    wrong = [(answers[0] + 1) % TASK.num_values, *answers[1:]]
    assert share_right(Table(wrong), batch) == 0.75


def test_the_loss_is_the_cross_entropy_of_the_last_position() -> None:
    model, batch = SETTINGS.build("lstm", 0), sample(3)
    with torch.no_grad():
        (x_TD,) = model.encoder(batch.values, batch.lengths)
        scores = model.classifier(x_TD[17::18])
        chosen = torch.log_softmax(scores, 1).gather(1, batch.targets["answers"][:, None])
        loss = answer_loss(model, batch)
    assert float(loss) == pytest.approx(-float(chosen.mean()))


def test_the_gradients_size_is_what_a_small_change_there_makes() -> None:
    model, batch, distance = SETTINGS.build("gru", 0), sample(5, n=1), 5
    exact = copy.deepcopy(model).double()
    place, answer = 17 - distance, int(batch.targets["answers"])
    values = batch.values.double()
    step, found = 1e-6, []
    for channel in range(TASK.num_channels):
        scores = []
        for change in (-step, step):
            changed = values.clone()
            changed[place, channel] += change
            scores.append(exact(Batch(changed, batch.lengths, None, {}))[0, answer])
        found.append(float((scores[1] - scores[0]).detach()) / (2 * step))
    # Central differences are off by the square of the step, and by rounding: 1e-16 / 1e-6.
    assert gradient_size(model, batch, distance) == pytest.approx(np.linalg.norm(found), rel=1e-6)


def test_measuring_gradients_leaves_the_model_alone() -> None:
    model = SETTINGS.build("transformer", 0)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    gradient_size(model, sample(2), 2)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_through_fresh_recurrent_encoders_gradients_fall_with_distance(name: EncoderName) -> None:
    model = SETTINGS.build(name, 0)
    sizes = [gradient_size(model, sample(distance), distance) for distance in (2, 4, 8, 16)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[-1]


def test_through_a_fresh_transformer_gradients_do_not_fall_with_distance() -> None:
    model = SETTINGS.build("transformer", 0)
    sizes = [gradient_size(model, sample(distance), distance) for distance in (2, 4, 16)]
    assert max(sizes) < 1.2 * min(sizes)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_convolution_sees_a_distance_from_the_layer_on_that_its_path_says(layers: int) -> None:
    config = BaselineConfig(
        kind="convolution", num_layers=layers, width=8, embedding_width=8, input="vectors",
        num_channels=TASK.num_channels, max_length=18, dropout=0.0,
    )  # fmt: skip
    model = Recaller(make_encoder(config, seed=0), TASK.num_values)
    for distance in (2, 3, 4, 7, 8):
        seen = gradient_size(model, sample(distance), distance) > 0
        length = path_length("convolution", distance)
        assert length is not None
        assert seen == (length <= layers), distance


def test_paths_are_as_long_as_the_table_says() -> None:
    recurrent = [name for name in BASELINES if name not in ("convolution", "bag")]
    for distance in (1, 5, 128):
        assert path_length("transformer", distance) == 1
        assert {path_length(name, distance) for name in recurrent} == {distance}
        assert path_length("bag", distance) is None
    assert [path_length("convolution", distance) for distance in (1, 2, 3, 4, 128)] == [
        1, 2, 2, 3, 8,
    ]  # fmt: skip


def test_a_bag_feels_nothing_of_another_position() -> None:
    assert gradient_size(SETTINGS.build("bag", 0), sample(3), 3) == 0
    assert Recall(length=18) == TASK
