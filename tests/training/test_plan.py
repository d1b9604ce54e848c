import dataclasses
from typing import Any

import pytest

import bothways.training
from bothways.errors import ConfigError
from bothways.io.options import options_of
from bothways.training.options.data import ColumnNames, DataOptions
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import ObjectiveOptions
from bothways.training.plan import TrainingPlan
from bothways.training.settings import TrainingSettings


def make_plan(tables: dict[str, dict[str, Any]], task: Any = "classify") -> TrainingPlan:
    return TrainingPlan.from_tables(task, ["x.csv"], "out", tables)


def test_empty_tables_give_the_defaults() -> None:
    plan = make_plan({})
    assert plan.data == DataOptions()
    assert plan.new_model == NewModelOptions()
    assert plan.objective == ObjectiveOptions()
    assert plan.settings == TrainingSettings()
    assert plan.source is None


def test_each_table_sets_its_options() -> None:
    plan = make_plan(
        {
            "data": {"labels": ["y"], "columns": "text", "split_by": "doc", "held_out": 0},
            "model": {"size": "tiny", "vocabulary": "bpe"},
            "encoder": {"d_model": 64},
            "objective": {"class_weights": "balanced"},
            "training": {"epochs": 3},
        }
    )
    assert plan.data.names == ColumnNames(inputs=("text",), labels=("y",), group="doc")
    assert plan.data.held_out == 0
    assert (plan.new_model.size, plan.new_model.vocabulary) == ("tiny", "bpe")
    assert plan.new_model.fields == {"d_model": 64}
    assert plan.objective.class_weights == "balanced"
    assert plan.settings.epochs == 3


def test_options_of_a_new_model_are_refused_when_fine_tuning() -> None:
    plan = make_plan({"model": {"from": "minilm", "max_length": 64}, "encoder": {"dropout": 0.2}})
    assert (plan.source, plan.new_model.max_length) == ("minilm", 64)
    for name, value in {"size": "tiny", "alphabet": "dna", "lowercase": True}.items():
        with pytest.raises(
            ConfigError, match=rf"\[model\] {name}: applies only to a new model; 'minilm'"
        ):
            make_plan({"model": {"from": "minilm", name: value}})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"data": {"column": "x"}}, r"\[data\] unknown option 'column'; available: columns, lab"),
        ({"data": {"held_out": "half"}}, r"\[data\] held_out='half': expected a number or None"),
        ({"data": {"held_out": 1}}, r"\[data\] held_out=1: expected at least 0 and below 1"),
        ({"data": {"columns": [3]}}, r"\[data\] columns=3: expected a string"),
        ({"data": {"columns": ["a", 3]}}, r"\[data\] columns\[1\]=3: expected a string"),
        (
            {"data": {"held_out": 0.5, "validation": ["v"]}},
            "held_out does not apply with validation files; remove one",
        ),
        ({"data": {"label_separator": ""}}, "expected a separator"),
        ({"model": {"size": "huge"}}, r"\[model\] size='huge': expected tiny, small, base"),
        ({"model": {"fields": {}}}, r"\[model\] unknown option 'fields'"),
        ({"model": {"encoder_layers": 2}}, r"\[model\] encoder_layers is for baseline encoders"),
        ({"objective": {"temperature": 0.1}}, "temperature is for contrast, not for classify"),
        ({"objective": {"dimensions": [64]}}, "dimensions is for contrast, not for classify"),
        ({"objective": {"mask_rate": 0}}, r"\[objective\] mask_rate=0: expected more than 0 and"),
        ({"objective": {"masks": 1}}, r"\[objective\] unknown option 'masks'"),
        ({"training": {"epoch": 1}}, r"\[training\] unknown option 'epoch'; available: .*epochs"),
    ],
)
def test_errors_name_the_table_and_the_option(
    tables: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(tables)


def test_every_option_of_an_objective_applies_to_some_tasks_and_not_to_all() -> None:
    for field in options_of(ObjectiveOptions):
        options = ObjectiveOptions()
        object.__setattr__(options, field.name, "given")
        refused = 0
        for task in ("mlm", "classify", "tag", "regress", "contrast"):
            try:
                options.check(task)
            except ConfigError:
                refused += 1
        assert 0 < refused < 5, field.name


@pytest.mark.parametrize(
    "options", [DataOptions, NewModelOptions, ObjectiveOptions, TrainingSettings]
)
def test_every_field_has_a_help_of_one_sentence_and_a_group(options: Any) -> None:
    fields = {field.name: field.option for field in options_of(options)}
    expected = {field.name for field in dataclasses.fields(options)} - {"fields"}
    assert fields.keys() == expected
    for name, option in fields.items():
        assert option.help.endswith("."), name
        assert ". " not in option.help, name
        assert option.group, name


def test_help_states_the_learning_rates_that_the_code_uses() -> None:
    help_of = {field.name: field.option.help for field in options_of(TrainingSettings)}
    assert "default 1e-3; fine-tuning 5e-5, a head alone 3e-3" in help_of["learning_rate"]


def test_objective_options_are_renamed_to_keyword_arguments() -> None:
    options = ObjectiveOptions(mask_rate=0.3, span=None)
    assert options.given("span", "masked", rate="mask_rate") == {"rate": 0.3}


def test_a_run_needs_data() -> None:
    with pytest.raises(ConfigError, match="no data: expected at least one file"):
        TrainingPlan.from_tables("mlm", [], "out")


def test_every_public_name_of_the_package_can_be_imported() -> None:
    for name in bothways.training.__all__:
        assert getattr(bothways.training, name).__name__


def test_a_frozen_encoder_needs_a_model_and_a_head() -> None:
    frozen = {"training": {"frozen": True}}
    with pytest.raises(ConfigError, match="frozen trains only a head, and the encoder of a new"):
        TrainingPlan.from_tables("classify", ["x.csv"], "out", frozen)
    tables = frozen | {"model": {"from": "minilm"}}
    with pytest.raises(ConfigError, match="frozen is for classify, tag and regress, not for mlm"):
        TrainingPlan.from_tables("mlm", ["x.csv"], "out", tables)
    assert TrainingPlan.from_tables("tag", ["x.csv"], "out", tables).settings.frozen
