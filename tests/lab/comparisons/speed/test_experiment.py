import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from bothways.errors import ConfigError
from bothways.lab.comparisons.speed.experiment import (
    ENCODERS,
    WINDOWED,
    Case,
    Load,
    Pass,
    SpeedResult,
    SpeedSettings,
    run_speed,
    sequences,
)
from bothways.lab.comparisons.speed.report import COMPARISON, speed_sections
from bothways.lab.registry import Scale
from bothways.lab.report.writer import Report, write_report
from bothways.model.baselines import BASELINES
from bothways.model.baselines.any_encoder import layout
from bothways.model.config import EncoderConfig

KINDS: tuple[tuple[Pass, Load], ...] = (
    ("forward", "batch"),
    ("training", "batch"),
    ("forward", "single"),
)
FEW = ("transformer", WINDOWED, "lstm", "convolution")


@pytest.fixture(scope="module")
def result() -> SpeedResult:
    settings = dataclasses.replace(COMPARISON.settings["quick"], encoders=FEW)
    return run_speed(settings, lambda doing, share: None)


def test_every_encoder_is_timed_at_every_length(result: SpeedResult) -> None:
    settings = result.settings
    assert set(result.seconds) == {
        Case(name, length, count, work, threads)
        for name in FEW
        for length in settings.lengths
        for work, load in KINDS
        for count in (sequences(load, length, settings),)
        for threads in settings.usable_threads
    }
    assert all(len(times) == settings.repeats for times in result.seconds.values())
    assert all(seconds > 0 for times in result.seconds.values() for seconds in times)


def test_times_are_of_one_sequence(result: SpeedResult) -> None:
    first = result.settings.lengths[0]
    count = sequences("batch", first, result.settings)
    together = result.seconds[Case("lstm", first, count, "training", 1)]
    assert count > 1
    assert result.times("lstm", "batch", "training", 1)[0][0] == together[0] / count


@pytest.mark.parametrize("scale", ["default", "full"])
def test_weights_are_as_many_as_the_transformer_s_within_5_percent(scale: Scale) -> None:
    settings = COMPARISON.settings[scale]
    counts = {
        name: sum(math.prod(shape) for shape in layout(settings.config(name)).values())
        for name in ENCODERS
    }
    for count in counts.values():
        assert count == pytest.approx(counts["transformer"], rel=0.05)


def test_the_windowed_transformer_has_the_same_weights(result: SpeedResult) -> None:
    assert result.parameters[WINDOWED] == result.parameters["transformer"]
    windowed = result.settings.config(WINDOWED)
    assert isinstance(windowed, EncoderConfig)
    assert set(windowed.windows) == {result.settings.window}


def test_threads_without_cores_are_left_out_and_torch_keeps_its_own() -> None:
    before = torch.get_num_threads()
    settings = dataclasses.replace(
        COMPARISON.settings["quick"], encoders=("bag",), lengths=(8,), threads=(1, 4096)
    )
    assert {case.threads for case in run_speed(settings, lambda *_: None).seconds} == {1}
    assert torch.get_num_threads() == before


def test_the_report_names_the_crossings_and_what_theory_says(
    result: SpeedResult, tmp_path: Path
) -> None:
    sections = speed_sections(result)
    assert "lstm: " in sections[0].paragraphs[0]
    (races,) = sections[0].tables
    assert [row[0] for row in races.rows] == [WINDOWED, "lstm", "convolution"]
    (theory,) = sections[2].tables
    assert [row[:2] for row in theory.rows][:3] == [
        ("transformer", "n² · d"),
        (WINDOWED, "r · n · d"),
        ("lstm", "n · d²"),
    ]
    report = Report("Speed", "bothways compare speed", {}, tuple(sections), result.to_dict())
    write_report(tmp_path, report)
    raw = json.loads((tmp_path / "raw.json").read_text())["results"]
    assert {row["encoder"] for row in raw["times"]} == set(FEW)
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_a_report_without_the_transformer_has_no_crossing() -> None:
    settings = dataclasses.replace(
        COMPARISON.settings["quick"], encoders=("bag",), lengths=(8,), batch_tokens=8
    )
    sections = speed_sections(run_speed(settings, lambda *_: None))
    assert "nothing to hold together" in sections[0].paragraphs[0]
    assert sections[0].tables[0].rows == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"encoders": ("transformer", "perceptron")}, "'perceptron': expected one of transformer"),
        ({"lengths": (64, 16)}, "lengths=.*rising"),
        ({"threads": ()}, "threads"),
        ({"batch_tokens": 100}, "batch_tokens=100: expected at least the longest"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SpeedSettings(), **wrong)  # type: ignore[arg-type]


def test_all_baselines_are_compared() -> None:
    assert set(BASELINES) < set(ENCODERS)
