import dataclasses
import json

import pytest

from bothways.errors import ConfigError
from bothways.lab.comparisons.bottleneck.experiment import (
    SYSTEMS,
    BottleneckResult,
    BottleneckSettings,
    run_bottleneck,
    training_batch,
)
from bothways.lab.comparisons.bottleneck.report import COMPARISON, bottleneck_sections
from bothways.model.baselines import matched_config
from bothways.nn.baselines import count_parameters

QUICK = COMPARISON.settings["quick"]


@pytest.fixture(scope="module")
def result() -> BottleneckResult:
    return run_bottleneck(QUICK, lambda told, share: None)


@pytest.mark.parametrize("scale", ["default", "full"])
def test_systems_have_as_many_weights_within_five_percent(scale: str) -> None:
    settings = COMPARISON.settings["default" if scale == "default" else "full"]
    counts = [count_parameters(settings.build(system, 0)) for system in SYSTEMS.values()]
    assert max(counts) / min(counts) < 1.05


def test_all_systems_have_the_same_decoder_but_for_the_view() -> None:
    """Its matrices are as wide on the encoder's side as the encoder's states."""
    settings = COMPARISON.settings["default"]
    names = [
        {name for name, _ in settings.build(system, 0).decoder.named_parameters()}
        for system in SYSTEMS.values()
    ]
    rest = [{name for name in found if not name.startswith("view.")} for found in names]
    assert rest[0] == rest[1] == rest[2]
    assert names[1] == names[2]


def test_every_system_reads_as_many_symbols(result: BottleneckResult) -> None:
    for seed in QUICK.seeds:
        assert len({found.tokens[seed] for found in result.found.values()}) == 1


def test_each_step_has_sequences_of_each_quarter_of_the_lengths() -> None:
    settings = BottleneckSettings(shortest=5, judged=40, longest=40, batch_symbols=800)
    seen = set()
    for step in range(60):
        lengths = sorted(set(training_batch(settings, 0, step).lengths.each))
        assert [(length - 5) // 9 for length in lengths] == [0, 1, 2, 3]
        seen.update(lengths)
    assert len(seen) > 30  # of 36


def test_results_hold_each_seed_and_length_and_are_json(result: BottleneckResult) -> None:
    assert list(result.found) == list(SYSTEMS)
    for found in result.found.values():
        assert list(found.accuracies) == list(QUICK.seeds)
        assert len(found.exact(2)) == len(found.symbols(6)) == len(QUICK.seeds)
        assert all(0 <= share <= 1 for length in QUICK.lengths for share in found.symbols(length))
        assert all(len(losses) == QUICK.steps for losses in found.losses.values())
    told = json.loads(json.dumps(result.to_dict()))
    assert told["found"]["LSTM, one vector"]["accuracies"]["1"]["4"].keys() == {"exact", "symbols"}


def test_the_same_settings_give_the_same_numbers(result: BottleneckResult) -> None:
    again = run_bottleneck(QUICK, lambda told, share: None)
    for name, found in result.found.items():
        same = dataclasses.replace(again.found[name], seconds=found.seconds)
        assert same == found


def test_progress_rises_to_the_end() -> None:
    shares: list[float] = []
    run_bottleneck(QUICK, lambda told, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_the_sections_say_every_system_and_length(result: BottleneckResult) -> None:
    sections = bottleneck_sections(result)
    exact = sections[0].tables[0]
    assert exact.columns == ("system", "2", "4", "6")
    assert [row[0] for row in exact.rows] == list(SYSTEMS)
    assert all(name in sections[0].paragraphs[0] for name in SYSTEMS)


def test_the_encoders_are_the_transformer_and_what_matches_it() -> None:
    settings = COMPARISON.settings["default"]
    transformer = settings.encoder(SYSTEMS["Transformer, attention"])
    assert transformer == settings.transformer
    assert settings.encoder(SYSTEMS["LSTM, attention"]) == matched_config("lstm", transformer)


@pytest.mark.parametrize(
    "wrong",
    [{"shortest": 50}, {"judged": 46}, {"seeds": ()}, {"task": "tag"}, {"steps": 0}, {"rates": ()}],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BottleneckSettings(**wrong)  # type: ignore[arg-type]


def test_dates_are_compared_at_the_lengths_that_they_have() -> None:
    settings = dataclasses.replace(QUICK, task="dates", longest=12, judged=12)
    assert settings.lengths == (8, 10, 12)
    assert set(training_batch(settings, 0, 0).lengths.each) <= set(range(8, 13))
    result = run_bottleneck(settings, lambda told, share: None)
    first = bottleneck_sections(result)[0]
    assert "ISO 8601" in first.paragraphs[1]
    assert first.tables[0].columns == ("system", "8", "10", "12")
