import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from bothways.errors import ConfigError
from bothways.lab.comparisons.speed.experiment import (
    TIMED_WORK,
    SpeedResult,
    TimingCase,
    num_sequences,
    run_speed,
)
from bothways.lab.comparisons.speed.report import speed_sections
from bothways.lab.comparisons.speed.settings import (
    PRESETS,
    SPEED_ENCODERS,
    WINDOWED,
    SpeedEncoderName,
    SpeedSettings,
)
from bothways.lab.report.content import ComparisonReport
from bothways.lab.report.writer import write_report
from bothways.lab.settings import Scale
from bothways.model.baselines import BASELINES
from bothways.model.baselines.any_encoder import layout
from bothways.model.config import EncoderConfig

FEW: tuple[SpeedEncoderName, ...] = ("transformer", WINDOWED, "lstm", "convolution")


@pytest.fixture(scope="module")
def result() -> SpeedResult:
    settings = dataclasses.replace(PRESETS["quick"], encoders=FEW)
    return run_speed(settings, lambda activity, fraction: None)


def test_every_encoder_is_timed_at_every_length(result: SpeedResult) -> None:
    settings = result.settings
    assert set(result.seconds) == {
        TimingCase(name, length, count, work, threads)
        for name in FEW
        for length in settings.lengths
        for work, mode in TIMED_WORK
        for count in (num_sequences(mode, length, settings),)
        for threads in settings.usable_threads
    }
    assert all(len(times) == settings.repeats for times in result.seconds.values())
    assert all(seconds > 0 for times in result.seconds.values() for seconds in times)


def test_times_are_per_sequence(result: SpeedResult) -> None:
    first = result.settings.lengths[0]
    count = num_sequences("batch", first, result.settings)
    seconds = result.seconds[TimingCase("lstm", first, count, "training", 1)]
    assert count > 1
    assert result.times("lstm", "batch", "training", 1)[0][0] == seconds[0] / count


@pytest.mark.parametrize("scale", ["default", "full"])
def test_encoders_have_equally_many_parameters_within_five_percent(scale: Scale) -> None:
    settings = PRESETS[scale]
    counts = {
        name: sum(math.prod(shape) for shape in layout(settings.encoder_config(name)).values())
        for name in SPEED_ENCODERS
    }
    for count in counts.values():
        assert count == pytest.approx(counts["transformer"], rel=0.05)


def test_the_windowed_transformer_has_equally_many_parameters(result: SpeedResult) -> None:
    assert result.encoder_parameters[WINDOWED] == result.encoder_parameters["transformer"]
    windowed = result.settings.encoder_config(WINDOWED)
    assert isinstance(windowed, EncoderConfig)
    assert set(windowed.windows) == {result.settings.window}


def test_thread_counts_above_the_cores_are_skipped_and_torch_keeps_its_own() -> None:
    before = torch.get_num_threads()
    settings = dataclasses.replace(
        PRESETS["quick"], encoders=("bag",), lengths=(8,), threads=(1, 4096)
    )
    assert {case.threads for case in run_speed(settings, lambda *_: None).seconds} == {1}
    assert torch.get_num_threads() == before


def test_the_report_shows_crossovers_and_complexities(result: SpeedResult, tmp_path: Path) -> None:
    sections = speed_sections(result)
    assert "lstm: " in sections[0].paragraphs[0]
    (crossovers,) = sections[0].tables
    assert [row[0] for row in crossovers.rows] == [WINDOWED, "lstm", "convolution"]
    (operations,) = sections[2].tables
    assert [row[:2] for row in operations.rows][:3] == [
        ("transformer", "n² · d"),
        (WINDOWED, "r · n · d"),
        ("lstm", "n · d²"),
    ]
    report = ComparisonReport(
        "Speed", "bothways compare speed", {}, tuple(sections), result.to_dict()
    )
    write_report(tmp_path, report)
    raw = json.loads((tmp_path / "raw.json").read_text())["results"]
    assert {row["encoder"] for row in raw["times"]} == set(FEW)
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_a_report_without_the_transformer_has_no_crossovers() -> None:
    settings = dataclasses.replace(
        PRESETS["quick"], encoders=("bag",), lengths=(8,), batch_tokens=8
    )
    sections = speed_sections(run_speed(settings, lambda *_: None))
    assert "need the Transformer" in sections[0].paragraphs[0]
    assert sections[0].tables[0].rows == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoders": ("transformer", "perceptron")}, "'perceptron': expected transformer"),
        ({"lengths": (64, 16)}, "lengths=.*ascending"),
        ({"threads": ()}, "threads"),
        ({"batch_tokens": 100}, "batch_tokens=100: expected at least the longest"),
    ],
)
def test_invalid_settings_raise(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SpeedSettings(), **changes)  # type: ignore[arg-type]


def test_all_baselines_are_compared() -> None:
    assert set(BASELINES) < set(SPEED_ENCODERS)
