from typing import Any

from bothways.training.objectives.objective import Monitor
from bothways.training.report.learning_curve import learning_curve

ACCURACY = Monitor("accuracy", "higher")


def _step(step: int, loss: float | None) -> dict[str, Any]:
    return {"kind": "step", "step": step, "epoch": step / 10, "loss": loss, "learning_rate": 1e-4}


def _validation(step: int, *, best: bool, **metrics: float | None) -> dict[str, Any]:
    return {
        "kind": "validation", "step": step, "epoch": step / 10, "best": best, "metrics": metrics
    }  # fmt: skip


def test_the_first_best_and_last_validations_are_listed() -> None:
    events = [
        _validation(10, best=True, accuracy=0.5, loss=1.0),
        _validation(20, best=True, accuracy=0.75, loss=0.5),
        _validation(30, best=False, accuracy=0.625, loss=0.25),
    ]
    assert learning_curve(events, ACCURACY).text.split("\n")[2:] == [
        "| first | 10 | 1.0 | 0.5 | 1 |",
        "| best | 20 | 2.0 | 0.75 | 0.5 |",
        "| last | 30 | 3.0 | 0.625 | 0.25 |",
    ]


def test_the_best_validation_may_be_the_first_or_the_last() -> None:
    first = _validation(10, best=True, accuracy=0.5, loss=1.0)
    last = _validation(20, best=False, accuracy=0.25, loss=None)
    told = learning_curve([first, last], ACCURACY).text.split("\n")[2:]
    assert told == ["| best | 10 | 1.0 | 0.5 | 1 |", "| last | 20 | 2.0 | 0.25 |  |"]
    (only,) = learning_curve([first], ACCURACY).text.split("\n")[2:]
    assert only.startswith("| best |")


def test_a_loss_that_is_also_the_monitored_metric_is_listed_once() -> None:
    events = [_validation(10, best=True, loss=1.0)]
    header = learning_curve(events, Monitor("loss", "lower")).text.split("\n")[0]
    assert header == "| validation | step | epoch | loss |"


def test_steps_without_a_finite_loss_are_left_out_of_the_figure() -> None:
    section = learning_curve([_step(1, 2.0), _step(2, None), _step(3, 1.0)], ACCURACY)
    (figure,) = section.figures
    assert figure.draw.keywords["loss"].steps.tolist() == [1, 3]  # type: ignore[attr-defined]
    assert section.text == "There was no validation."


def test_without_steps_there_is_nothing_to_draw() -> None:
    assert learning_curve([_validation(1, best=True, accuracy=1.0)], ACCURACY).figures == ()
