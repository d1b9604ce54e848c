"""A run that is cut and resumed ends with the bits of one that was not, wherever it was cut."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from bothways.errors import CheckpointError
from bothways.training import StepEvent, TrainingInterrupted, ValidationEvent
from bothways.training.objectives.objective import Monitor

MakeRun = Callable[..., Any]
Everything = Callable[[Path], dict[str, Any]]


class Killed(BaseException):
    """Stands for kill -9: nothing of the run is done after it."""


class Death:
    """Kills a run at a certain touch of its folder, and lets it clean up nothing afterwards."""

    def __init__(self, folder: Path, at: int) -> None:
        self.touches = 0
        self._folder, self._at = folder, at

    @property
    def has_come(self) -> bool:
        return self.touches >= self._at

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(os, "fsync", lambda _: None)
        for name in ("rename", "replace", "mkdir"):
            patch.setattr(os, name, self._deadly(getattr(os, name)))
        patch.setattr(
            safetensors.numpy, "save_file", self._half_written(safetensors.numpy.save_file)
        )
        for module, name in ((shutil, "rmtree"), (os, "unlink")):
            patch.setattr(module, name, self._not_by_the_dead(getattr(module, name)))

    def _deadly(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def touch(*args: Any, **kwargs: Any) -> Any:
            self.touches += Path(args[0]).is_relative_to(self._folder)
            if self.has_come:
                raise Killed
            return work(*args, **kwargs)

        return touch

    def _half_written(self, save: Callable[..., None]) -> Callable[..., None]:
        def touch(arrays: Any, path: Path, metadata: Any) -> None:
            self.touches += 1
            if self.has_come:
                path.write_bytes(b"half a file")
                raise Killed
            save(arrays, path, metadata=metadata)

        return touch

    def _not_by_the_dead(self, work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: None if self.has_come else work(*args, **kwargs)


def small(run: Any) -> Any:
    """Five steps, validated and saved after 2, 4 and 5."""
    return run.with_settings(max_steps=5, validate_every=2, checkpoint_every=2, keep_checkpoints=1)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What runs write that were never cut, by name; filled by the first test that needs one."""
    return {}


def everything_uncut(
    name: str, whole: dict[str, dict[str, Any]], run: Any, everything_in: Everything
) -> dict[str, Any]:
    if name not in whole:
        run.start()
        whole[name] = everything_in(run.out)
    return whole[name]


DEATHS = 12


@pytest.mark.parametrize("death_number", range(1, DEATHS + 1))
def test_a_run_killed_during_a_write_resumes_without_a_trace(
    tiny_run: MakeRun,
    tmp_path: Path,
    whole: Any,
    everything_in: Everything,
    death_number: int,
) -> None:
    """Deaths are spread evenly over all touches of the disk: each kind meets one or another."""
    never = Death(tmp_path, at=10**9)
    with pytest.MonkeyPatch.context() as patch:
        never.watch(patch)
        uncut = everything_uncut("small", whole, small(tiny_run("whole")), everything_in)
    touches = whole.setdefault("touches of small", never.touches)
    run = small(tiny_run())
    death = Death(tmp_path, touches * death_number // DEATHS)
    with pytest.MonkeyPatch.context() as patch:
        death.watch(patch)
        with pytest.raises(Killed):
            run.start()
    run.start(resume=run.out.exists())
    assert everything_in(run.out) == uncut


def cut_at(kind: Any, step: int) -> Callable[[Any], None]:
    def progress(event: Any) -> None:
        if type(event) is kind and event.step == step:
            raise Killed

    return progress


@pytest.mark.parametrize(
    ("kind", "step"),
    [(StepEvent, 1), (StepEvent, 3), (StepEvent, 4), (ValidationEvent, 4), (StepEvent, 8),
     (ValidationEvent, 8), (StepEvent, 11), (StepEvent, 12), (ValidationEvent, 12)],
)  # fmt: skip
def test_a_run_killed_between_two_checkpoints_makes_the_same_steps_again(
    tiny_run: MakeRun, whole: Any, everything_in: Everything, kind: Any, step: int
) -> None:
    """Step 3 is saved, and 6, 9 and 12; 4, 8 and 12 are validated; an epoch ends with 5 and 10."""
    run = tiny_run()
    with pytest.raises(Killed):
        run.start(progress=cut_at(kind, step))
    result = run.start(resume=True)
    assert result.steps == 12
    uncut = everything_uncut("tiny", whole, tiny_run("whole"), everything_in)
    assert everything_in(run.out) == uncut


def stop_at(number: int, kind: Any, *steps: int) -> Callable[[Any], None]:
    def progress(event: Any) -> None:
        if type(event) is kind and event.step in steps:
            signal.raise_signal(number)

    return progress


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("kind", "step"), [(StepEvent, 2), (StepEvent, 4), (ValidationEvent, 4)])
def test_a_stopped_run_saves_its_step_and_resumes_from_it(
    tiny_run: MakeRun, whole: Any, everything_in: Everything, number: int, kind: Any, step: int
) -> None:
    run = tiny_run()
    with pytest.raises(TrainingInterrupted, match="resume with resume=True") as raised:
        run.start(progress=stop_at(number, kind, step))
    assert raised.value.number == number
    last_step = step if kind is StepEvent else step + 1
    assert raised.value.checkpoint.name == f"step-{last_step:08d}"
    resumed_at: list[Any] = []
    run.start(resume=True, progress=resumed_at.append)
    # What was not validated for haste is validated first of all.
    assert type(resumed_at[0]) is (ValidationEvent if (kind, step) == (StepEvent, 4) else StepEvent)
    uncut = everything_uncut("tiny", whole, tiny_run("whole"), everything_in)
    assert everything_in(run.out) == uncut


def without_older_checkpoints(everything: dict[str, Any]) -> dict[str, Any]:
    """Where a run was stopped, it was saved there too; the last of all is the same."""
    older = [name for name in everything if "step-" in name and "step-00000012" not in name]
    return {name: content for name, content in everything.items() if name not in older}


def test_a_run_stopped_at_every_step_is_still_the_same(
    tiny_run: MakeRun, whole: Any, everything_in: Everything
) -> None:
    run = tiny_run()
    parts = 0
    while True:
        try:
            stop = stop_at(signal.SIGTERM, StepEvent, *range(12))
            run.start(resume=parts > 0, progress=stop)
            break
        except TrainingInterrupted:
            parts += 1
    assert parts == 11
    uncut = everything_uncut("tiny", whole, tiny_run("whole"), everything_in)
    assert without_older_checkpoints(everything_in(run.out)) == without_older_checkpoints(uncut)


def test_patience_and_the_best_validation_survive_an_interruption(
    tiny_run: MakeRun, everything_in: Everything
) -> None:
    """The loss falls: the highest is the first, and two validations after it end the run."""

    def make(name: str) -> Any:
        run = tiny_run(name).with_settings(patience=2, max_steps=40, learning_rate=1e-2)
        run.objective.monitor = Monitor("loss", "higher")
        run.validation = run.train
        return run

    uncut = make("whole")
    result = uncut.start()
    assert result.ending == "early stopping"
    for step in (5, 7, result.steps):
        run = make(f"cut-{step}")
        with pytest.raises(Killed):
            run.start(progress=cut_at(StepEvent, step))
        assert run.start(resume=True).best_step == result.best_step
        assert everything_in(run.out) == everything_in(uncut.out)


def test_a_checkpoint_by_the_clock_changes_nothing(
    tiny_run: MakeRun, whole: Any, everything_in: Everything
) -> None:
    run = tiny_run().with_settings(checkpoint_minutes=1e-9, keep_checkpoints=99)
    run.start()
    assert len(list(run.out.glob("checkpoints/step-*"))) == 12
    uncut = everything_uncut("tiny", whole, tiny_run("whole"), everything_in)
    found = without_older_checkpoints(everything_in(run.out))
    assert found.pop("training.json") != uncut["training.json"]
    assert all(uncut[name] == content for name, content in found.items())


def test_a_finished_run_makes_no_more_steps(tiny_run: MakeRun, everything_in: Everything) -> None:
    run = tiny_run()
    first = run.start()
    before = everything_in(run.out)
    told: list[Any] = []
    again = run.start(resume=True, progress=told.append)
    assert told == []
    assert (again.steps, again.best_value) == (first.steps, first.best_value)
    assert everything_in(run.out) == before


def test_partially_written_files_are_removed(tiny_run: MakeRun) -> None:
    run = tiny_run().with_settings(max_steps=3)
    run.start()
    (run.out / "checkpoints/.step-00000006.12345678.partial").mkdir()
    (run.out / ".model.12345678.partial").mkdir()
    run.start(resume=True)
    assert not [path for path in run.out.rglob("*") if path.name.endswith("partial")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", 0.5), ("seed", 9), ("batch_tokens", 70), ("max_steps", 1), ("patience", 3)],
)
def test_another_setting_is_refused_by_name(tiny_run: MakeRun, name: str, value: Any) -> None:
    run = tiny_run().with_settings(max_steps=2)
    run.start()
    was = getattr(run.settings, name)
    message = rf"training\.json: settings\.{name} was {was} and is now {value}"
    with pytest.raises(CheckpointError, match=message):
        run.with_settings(**{name: value}).start(resume=True)


def test_other_data_objectives_and_circumstances_are_refused_by_name(tiny_run: MakeRun) -> None:
    run = tiny_run().with_settings(max_steps=2)
    run.provenance = {"data": {"train.csv": "abc"}}
    run.start()
    train, validation = run.train, run.validation

    run.provenance = {"data": {"train.csv": "abd"}}
    with pytest.raises(CheckpointError, match=r"about\.data\.train\.csv was 'abc' and is now 'abd"):
        run.start(resume=True)
    run.provenance = {"data": {"train.csv": "abc"}}

    values = np.array(train.examples[0].sequences[0].values)
    values[0] += 1
    piece = train.examples[0].sequences[0]._replace(values=values)
    changed = [train.examples[0]._replace(sequences=(piece,)), *train.examples[1:]]
    run.train = type(train)(changed, train.lengths)
    with pytest.raises(CheckpointError, match=r"training_data\.hash was '\w+' and is now"):
        run.start(resume=True)
    run.train = train

    run.validation = None
    with pytest.raises(CheckpointError, match=r"validation_data was .* and is now None"):
        run.start(resume=True)
    run.validation = validation

    run.objective.name = "tag"
    with pytest.raises(CheckpointError, match="objective was 'classify' and is now 'tag'"):
        run.start(resume=True)
    run.objective.name = "classify"
    run.start(resume=True)


def test_settings_that_affect_no_weight_may_change(tiny_run: MakeRun) -> None:
    run = tiny_run()
    with pytest.raises(Killed):
        run.start(progress=cut_at(StepEvent, 5))
    changed = run.with_settings(log_every=2, checkpoint_every=5, keep_checkpoints=9)
    assert changed.start(resume=True).steps == 12


def test_a_folder_without_a_run_cannot_be_resumed(tiny_run: MakeRun) -> None:
    run = tiny_run()
    for files in ((), ("notes.txt",)):
        for name in files:
            run.out.mkdir()
            (run.out / name).touch()
        with pytest.raises(CheckpointError, match=r"no run to resume: training\.json"):
            run.start(resume=True)


def test_a_run_killed_before_it_wrote_its_description_starts_on_resume(tiny_run: MakeRun) -> None:
    run = tiny_run().with_settings(max_steps=1)
    (run.out / "checkpoints").mkdir(parents=True)
    for name in ("tokenizer.json", ".training.json.12345678.partial"):
        (run.out / name).touch()
    assert run.start(resume=True).steps == 1


def test_seconds_before_and_after_a_resume_are_added(tiny_run: MakeRun) -> None:
    run = tiny_run()
    with pytest.raises(Killed):
        run.start(progress=cut_at(StepEvent, 7))
    state = json.loads((run.out / "checkpoints/step-00000006/state.json").read_text())
    assert run.start(resume=True).seconds > state["seconds"] > 0


def rates_of(run: Any) -> list[float]:
    events = [json.loads(line) for line in (run.out / "metrics.jsonl").read_text().splitlines()]
    return [event["learning_rate"] for event in events if event["kind"] == "step"]


def test_a_finished_run_is_lengthened_with_the_schedule_of_its_new_length(
    tiny_run: MakeRun, everything_in: Everything
) -> None:
    short, planned = tiny_run().with_settings(max_steps=6), tiny_run("planned")
    short.start()
    assert rates_of(short)[5] < rates_of(short)[4]
    longer = short.with_settings(max_steps=12)
    assert longer.start(resume=True).steps == 12
    planned.start()
    assert rates_of(longer)[6:] == rates_of(planned)[6:]
    assert json.loads((longer.out / "training.json").read_text())["lengthened_at"] == [6]
    before = everything_in(longer.out)
    assert longer.start(resume=True).steps == 12
    assert everything_in(longer.out) == before
    with pytest.raises(CheckpointError, match=r"was 12 and is now 6.*cannot be shortened"):
        short.start(resume=True)


def test_a_lengthened_run_can_be_interrupted_and_lengthened_again(
    tiny_run: MakeRun, everything_in: Everything
) -> None:
    def lengthened(name: str, *kills: int) -> Any:
        run = tiny_run(name).with_settings(max_steps=4)
        run.start()
        for steps in (8, 12):
            run = run.with_settings(max_steps=steps)
            for kill in kills:
                with pytest.raises(Killed):
                    run.start(resume=True, progress=cut_at(StepEvent, steps - 4 + kill))
            run.start(resume=True)
        return run

    uncut, cut = lengthened("uncut"), lengthened("cut", 1, 3)
    assert everything_in(cut.out) == everything_in(uncut.out)
    assert json.loads((cut.out / "training.json").read_text())["lengthened_at"] == [4, 8]


def test_an_interrupted_run_without_a_checkpoint_is_lengthened_as_if_planned(
    tiny_run: MakeRun, whole: Any, everything_in: Everything
) -> None:
    run = tiny_run().with_settings(max_steps=6)
    with pytest.raises(Killed):
        run.start(progress=cut_at(StepEvent, 1))
    run.with_settings(max_steps=12).start(resume=True)
    found = everything_in(run.out)
    uncut = everything_uncut("tiny", whole, tiny_run("whole"), everything_in)
    assert found.pop("training.json") != uncut["training.json"]
    assert all(uncut[name] == content for name, content in found.items())


def test_a_run_that_stopped_early_gets_its_patience_again(tiny_run: MakeRun) -> None:
    run = tiny_run().with_settings(patience=2, max_steps=40, learning_rate=1e-2)
    run.objective.monitor = Monitor("loss", "higher")
    run.validation = run.train
    first = run.start()
    assert (first.ending, first.steps) == ("early stopping", 12)
    assert run.with_settings(max_steps=80).start(resume=True).steps == 20


def test_a_lengthened_run_keeps_its_other_settings(tiny_run: MakeRun) -> None:
    run = tiny_run().with_settings(max_steps=2)
    run.start()
    changed = run.with_settings(max_steps=6, learning_rate=0.5)
    with pytest.raises(CheckpointError, match=r"settings\.learning_rate was 0\.003 and is now"):
        changed.start(resume=True)
    by_epochs = run.with_settings(max_steps=None, epochs=2, validate_every=3)
    assert by_epochs.start(resume=True).steps == 10
