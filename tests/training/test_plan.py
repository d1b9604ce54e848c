"""Everything that a run can be told, from tables."""

import dataclasses
from typing import Any

import pytest

from bothways.errors import ConfigError
from bothways.training.data.columns import ColumnNames
from bothways.training.plan import (
    DataOptions,
    NewModelOptions,
    ObjectiveOptions,
    TrainingPlan,
)
from bothways.training.settings import TrainingSettings


def plan(tables: dict[str, dict[str, Any]], task: Any = "classify") -> TrainingPlan:
    return TrainingPlan.of(task, ["x.csv"], "out", tables)


def test_nothing_said_means_the_defaults() -> None:
    found = plan({})
    assert found.data == DataOptions()
    assert found.fresh == NewModelOptions()
    assert found.objective == ObjectiveOptions()
    assert found.settings == TrainingSettings()
    assert found.source is None


def test_each_table_reaches_its_options() -> None:
    found = plan(
        {
            "data": {"labels": ["y"], "columns": "text", "split_by": "doc", "held_out": 0},
            "model": {"size": "tiny", "vocabulary": "bpe"},
            "encoder": {"d_model": 64},
            "objective": {"class_weights": "balanced"},
            "training": {"epochs": 3},
        }
    )
    assert found.data.names == ColumnNames(inputs=("text",), labels=("y",), group="doc")
    assert found.data.held_out == 0
    assert (found.fresh.size, found.fresh.vocabulary) == ("tiny", "bpe")
    assert found.fresh.fields == {"d_model": 64}
    assert found.objective.class_weights == "balanced"
    assert found.settings.epochs == 3


def test_a_model_to_start_from() -> None:
    found = plan({"model": {"from": "minilm", "max_length": 64}, "encoder": {"dropout": 0.2}})
    assert (found.source, found.fresh.max_length) == ("minilm", 64)
    for name, value in {"size": "tiny", "alphabet": "dna", "lowercase": True}.items():
        with pytest.raises(ConfigError, match=rf"\[model\] {name}: is for a fresh model, and 'min"):
            plan({"model": {"from": "minilm", name: value}})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"data": {"column": "x"}}, r"\[data\] has no 'column'; there are columns, labels"),
        ({"data": {"held_out": "half"}}, r"\[data\] held_out='half': expected a number or nothing"),
        (
            {"data": {"held_out": 1}},
            r"\[data\] held_out=1: expected a share, at least 0 and below 1",
        ),
        ({"data": {"columns": [3]}}, r"\[data\] columns=3: expected text"),
        ({"data": {"columns": ["a", 3]}}, r"\[data\] columns\[1\]=3: expected text"),
        ({"data": {"held_out": 0.5, "validation": ["v"]}}, "leave one out"),
        ({"data": {"label_separator": ""}}, "expected what parts labels"),
        ({"model": {"size": "huge"}}, r"\[model\] size='huge': expected tiny, small, base"),
        ({"model": {"fields": {}}}, r"\[model\] has no 'fields'"),
        ({"objective": {"temperature": 0.1}}, "temperature is for contrast, not for classify"),
        ({"objective": {"dimensions": [64]}}, "dimensions is for contrast, not for classify"),
        ({"objective": {"masks": 1}}, r"\[objective\] has no 'masks'"),
        ({"training": {"epoch": 1}}, r"\[training\]: no setting 'epoch'"),
    ],
)
def test_what_is_wrong_is_named_with_its_table(
    tables: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(tables)


def test_every_option_of_an_objective_is_of_some_task() -> None:
    values: dict[str, Any] = {field.name: "given" for field in dataclasses.fields(ObjectiveOptions)}
    for name, value in values.items():
        options = ObjectiveOptions(**{name: value})
        refused = 0
        for task in ("mlm", "classify", "tag", "regress", "contrast"):
            try:
                options.check(task)
            except ConfigError:
                refused += 1
        assert 0 < refused < 5, name


def test_given_options_get_the_names_of_their_constructor() -> None:
    options = ObjectiveOptions(mask_rate=0.3, span=None)
    assert options.given("span", "masked", rate="mask_rate") == {"rate": 0.3}


def test_a_run_needs_data() -> None:
    with pytest.raises(ConfigError, match="no data: expected at least one file"):
        TrainingPlan.of("mlm", [], "out")
