import dataclasses
import json

import pytest

from bothways.errors import ConfigError
from bothways.lab.comparisons.bottleneck.experiment import (
    BottleneckResult,
    build_system,
    run_bottleneck,
    training_batch,
)
from bothways.lab.comparisons.bottleneck.report import bottleneck_sections
from bothways.lab.comparisons.bottleneck.settings import PRESETS, SYSTEMS, BottleneckSettings
from bothways.lab.parameter_counts import ParameterCounts
from bothways.lab.settings import Scale
from bothways.model.baselines import matched_config

QUICK = PRESETS["quick"]


@pytest.fixture(scope="module")
def result() -> BottleneckResult:
    return run_bottleneck(QUICK, lambda activity, fraction: None)


@pytest.mark.parametrize("scale", ["default", "full"])
def test_systems_have_equally_many_parameters_within_five_percent(scale: Scale) -> None:
    settings = PRESETS[scale]
    counts = [ParameterCounts.of(build_system(settings, system, 0)) for system in SYSTEMS.values()]
    for numbers in (
        [count.encoder for count in counts],
        [count.encoder + count.head for count in counts],
    ):
        assert max(numbers) / min(numbers) < 1.05


def test_all_systems_have_the_same_decoder_except_for_the_context() -> None:
    settings = PRESETS["default"]
    names = [
        {name for name, _ in build_system(settings, system, 0).decoder.named_parameters()}
        for system in SYSTEMS.values()
    ]
    rest = [{name for name in group if not name.startswith("context.")} for group in names]
    assert rest[0] == rest[1] == rest[2]
    assert names[1] == names[2]


def test_every_system_reads_equally_many_symbols(result: BottleneckResult) -> None:
    for seed in QUICK.seeds:
        assert len({system.tokens[seed] for system in result.systems.values()}) == 1


def test_each_step_has_sequences_from_each_quarter_of_the_lengths() -> None:
    settings = BottleneckSettings(
        min_length=5, max_eval_length=40, max_length=40, batch_symbols=800
    )
    seen = set()
    for step in range(60):
        lengths = sorted(set(training_batch(settings, 0, step).lengths.each))
        assert [(length - 5) // 9 for length in lengths] == [0, 1, 2, 3]
        seen.update(lengths)
    assert len(seen) > 30  # of 36


def test_results_have_each_seed_and_length_and_are_json(result: BottleneckResult) -> None:
    assert list(result.systems) == list(SYSTEMS)
    lengths = QUICK.evaluated_lengths
    for system in result.systems.values():
        assert list(system.accuracies) == list(QUICK.seeds)
        assert len(system.exact_match(2)) == len(system.symbol_accuracy(6)) == len(QUICK.seeds)
        assert all(0 <= x <= 1 for length in lengths for x in system.symbol_accuracy(length))
        assert all(len(losses) == QUICK.steps for losses in system.losses.values())
    raw = json.loads(json.dumps(result.to_dict()))
    accuracy = raw["systems"]["LSTM, one vector"]["accuracies"]["1"]["4"]
    assert accuracy.keys() == {"exact_match", "symbol_accuracy"}


def test_the_same_settings_give_the_same_numbers(result: BottleneckResult) -> None:
    again = run_bottleneck(QUICK, lambda activity, fraction: None)
    for name, system in result.systems.items():
        assert dataclasses.replace(again.systems[name], seconds=system.seconds) == system


def test_progress_rises_to_the_end() -> None:
    fractions: list[float] = []
    run_bottleneck(QUICK, lambda activity, fraction: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)


def test_the_report_shows_every_system_and_length(result: BottleneckResult) -> None:
    accuracy, method = bottleneck_sections(result)
    exact_match = accuracy.tables[0]
    assert exact_match.columns == ("system", "2", "4", "6")
    assert [row[0] for row in exact_match.rows] == list(SYSTEMS)
    assert all(name in accuracy.paragraphs[0] for name in SYSTEMS)
    counts = {row[0]: row[1:3] for row in method.tables[0].rows}
    for name, system in result.systems.items():
        assert counts[name] == (system.parameters.encoder, system.parameters.head)


def test_the_encoders_are_the_transformer_and_a_matching_lstm() -> None:
    settings = PRESETS["default"]
    transformer = settings.encoder_config(SYSTEMS["Transformer, attention"])
    assert transformer == settings.transformer
    lstm = settings.encoder_config(SYSTEMS["LSTM, attention"])
    assert lstm == matched_config("lstm", settings.transformer)


@pytest.mark.parametrize(
    "changes",
    [
        {"min_length": 50},
        {"max_eval_length": 46},
        {"seeds": ()},
        {"task": "tag"},
        {"steps": 0},
        {"learning_rates": ()},
    ],
)
def test_invalid_settings_raise(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        BottleneckSettings(**changes)  # type: ignore[arg-type]


def test_dates_are_compared_at_lengths_that_dates_have() -> None:
    settings = dataclasses.replace(QUICK, task="dates", max_length=12, max_eval_length=12)
    assert settings.evaluated_lengths == (8, 10, 12)
    assert set(training_batch(settings, 0, 0).lengths.each) <= set(range(8, 13))
    result = run_bottleneck(settings, lambda activity, fraction: None)
    accuracy = bottleneck_sections(result)[0]
    assert "ISO 8601" in accuracy.paragraphs[1]
    assert accuracy.tables[0].columns == ("system", "8", "10", "12")
