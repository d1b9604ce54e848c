"""A head alone, on vectors that were computed once, learns what it learns on a fixed encoder."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints import read_folder
from bothways.errors import ConfigError
from bothways.training import StepEvent
from bothways.training.data.dataset import IGNORED, Dataset, Example
from bothways.training.engine import frozen
from bothways.training.model import TrainedModel
from bothways.training.objectives.classify import Classify
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.tag import Tag

MakeRun = Callable[..., Any]
Everything = Callable[[Path], dict[str, Any]]

TOLERANCE = 2e-6
"""Vectors differ in the last bits with the batch that they were computed in."""


class Killed(BaseException):
    """Stands for kill -9."""


def tags_of(data: Dataset) -> Dataset:
    """The same sequences, tagged with whether a token is even; every third has no tag."""
    examples = []
    for example in data.examples:
        tokens = example.sequences[0].values
        target = np.where(np.arange(len(tokens)) % 3 == 1, IGNORED, tokens % 2)
        examples.append(Example(example.sequences, target, example.place))
    return Dataset(examples, data.lengths)


@pytest.fixture
def probe(tiny_run: MakeRun) -> MakeRun:
    """A run of 12 steps of a head without dropout, for classes or tags."""

    def make(name: str, task: str = "classes", *, is_frozen: bool = True) -> Any:
        run = tiny_run(name).with_settings(frozen=is_frozen)
        config = dataclasses.replace(run.make_template().config, dropout=0.0, attention_dropout=0.0)
        head = head_for(task, config, ("no", "yes"))  # type: ignore[arg-type]
        if task == "tags":
            run.objective = Tag(head=head)
            run.train, run.validation = tags_of(run.train), tags_of(run.validation)
        else:
            run.objective = Classify(head=head)
        template = run.make_template()
        template = dataclasses.replace(
            template, spec=dataclasses.replace(template.spec, config=config)
        )
        run.make_template = lambda: template

        def build_model() -> TrainedModel:
            model = TrainedModel.build(config, template.weights, head, seed=4)
            model.encoder.requires_grad_(False)
            return model

        run.build_model = build_model
        return run

    return make


@pytest.mark.parametrize("task", ["classes", "tags"])
def test_a_frozen_run_ends_like_one_whose_encoder_gets_no_gradient(
    probe: MakeRun, task: str
) -> None:
    run, fixed = probe("frozen", task), probe("fixed", task, is_frozen=False)
    result, expected = run.start(), fixed.start()
    assert (result.steps, result.tokens) == (expected.steps, expected.tokens)
    assert result.best_value == pytest.approx(expected.best_value, abs=1e-5)
    weights, others = read_folder(run.out), read_folder(fixed.out)
    assert weights.head_weights.keys() == others.head_weights.keys()
    for name, array in weights.head_weights.items():
        np.testing.assert_allclose(array, others.head_weights[name], atol=TOLERANCE, rtol=0)
    for name, array in run.make_template().weights.items():
        assert np.array_equal(weights.weights[name], array)


@pytest.mark.parametrize("task", ["classes", "tags"])
def test_vectors_on_disk_give_the_same_bits(
    probe: MakeRun, everything_in: Everything, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    in_memory = probe("memory", task)
    in_memory.start()
    monkeypatch.setattr(frozen, "MAX_BYTES_IN_MEMORY", 0)
    on_disk = probe("disk", task)
    on_disk.start()
    assert everything_in(on_disk.out) == everything_in(in_memory.out)


def test_a_frozen_run_resumes_with_the_same_bits(probe: MakeRun, everything_in: Everything) -> None:
    uncut, run = probe("uncut"), probe("cut")
    uncut.start()

    def kill(event: Any) -> None:
        if isinstance(event, StepEvent) and event.step == 8:
            raise Killed

    with pytest.raises(Killed):
        run.start(progress=kill)
    run.start(resume=True)
    assert everything_in(run.out) == everything_in(uncut.out)


def test_vectors_are_computed_once_and_not_for_a_finished_run(probe: MakeRun) -> None:
    run = probe("run")
    told: list[tuple[str, float | None]] = []

    def stage(name: str) -> AbstractContextManager[Callable[[float | None], None]]:
        return nullcontext(lambda share: told.append((name, share)))

    run.start(stage=stage)
    assert {name for name, _ in told} == {"computing vectors"}
    shares = [share for _, share in told]
    assert shares == sorted(shares)  # type: ignore[type-var]
    assert shares[-1] == 1
    told.clear()
    run.start(resume=True, stage=stage)
    assert told == []


def test_only_heads_with_labels_are_trained_alone(pairs_run: MakeRun) -> None:
    run = pairs_run().with_settings(frozen=True)
    with pytest.raises(ConfigError, match="frozen: only heads of classes, tags and values"):
        run.start()
    assert not run.out.exists()
