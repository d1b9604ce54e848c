"""The help of every command: its length, its examples, and defaults that are true."""

import dataclasses
import re
import subprocess
import sys
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

import bothways
from bothways.checkpoints import export
from bothways.cli import encode, options, predict, search
from bothways.cli import export as export_command
from bothways.cli.app import app
from bothways.cli.command import GroupedCommand, LazyGroup
from bothways.cli.compare import ReportOptions, ThreadOptions
from bothways.cli.generated_options import help_text
from bothways.cli.reference import commands
from bothways.cli.train import ConfigOptions
from bothways.io.options import OptionField, options_of
from bothways.lab.registry import ComparisonName, load_presets
from bothways.sequences import OnOverflow
from bothways.training.options.data import DataOptions
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import ObjectiveOptions
from bothways.training.plan import EvaluationPlan, TrainingPlan
from bothways.training.settings import TrainingSettings

SCREEN_LINES, SCREEN_COLUMNS = 47, 100
COMMANDS = dict(commands())
DATACLASSES: tuple[type[Any], ...] = (
    *(options.InputOptions, options.PoolingOptions, options.OverflowOptions),
    *(options.BackendOptions, encode.EncodeOptions, search.SearchOptions, predict.PredictOptions),
    *(export_command.ExportOptions, ConfigOptions, ReportOptions, ThreadOptions, TrainingPlan),
    *(DataOptions, NewModelOptions, ObjectiveOptions, TrainingSettings, EvaluationPlan),
    *(type(load_presets(name)["default"]) for name in get_args(ComparisonName)),
)
FIELDS = [
    pytest.param(field, id=f"{owner.__name__}.{field.name}")
    for owner in DATACLASSES
    for field in options_of(owner)
]


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), terminal_width=SCREEN_COLUMNS)
    assert done.exit_code == 0, done.output
    return done.stdout


def choices(dataclass: type[Any], name: str) -> tuple[str, ...]:
    return next(field for field in options_of(dataclass) if field.name == name).choices


def test_the_choices_are_those_of_the_library() -> None:
    assert choices(options.OverflowOptions, "on_overflow") == get_args(OnOverflow)
    form = export.__annotations__["to"]
    assert set(choices(export_command.ExportOptions, "to")) == set(get_args(form))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_screen(name: str) -> None:
    lines = run(*name.split()[1:], "--help").splitlines()
    assert len(lines) <= SCREEN_LINES
    assert max(map(len, lines)) <= SCREEN_COLUMNS


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_at_least_two_examples(name: str) -> None:
    text = run(*name.split()[1:], "--help")
    assert len(re.findall(rf"^ +{name}\b", text, re.MULTILINE)) >= 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_a_valid_command(name: str) -> None:
    import shlex

    command = COMMANDS[name]
    for line in re.findall(r"^ +bothways (.*)$", command.help, re.MULTILINE):
        words, target = shlex.split(line), COMMANDS["bothways"]
        while isinstance(target, LazyGroup):
            target = target.get_command(None, words.pop(0))
        target.make_context("bothways", words)  # raises an error for an invalid command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_a_group(name: str) -> None:
    command = COMMANDS[name]
    if not isinstance(command, GroupedCommand):
        return
    context = command.make_context(name, [], resilient_parsing=True)
    groups = command.help_records(context, show_all=True)
    assert all(text for records in groups.values() for _, text in records)
    listed = sum(len(records) for records in groups.values())
    assert listed == len(command.get_params(context)) + len(command.settings)


@pytest.mark.parametrize("field", FIELDS)
def test_a_default_that_help_states_is_the_default_of_the_field(field: OptionField) -> None:
    stated = re.search(r"\(default ([^)]*)\)", field.option.help)
    if field.default in (None, (), dataclasses.MISSING):
        return  # the code computes it, or there is none
    assert stated is None, "the default is added to the help: do not write it twice"
    if field.default not in (False, ""):
        assert re.search(r"\(default [^)]*\)\.$", help_text(field))


def test_help_all_lists_every_training_option() -> None:
    common, everything = run("train", "--help"), run("train", "--help-all")
    for owner in (TrainingPlan, DataOptions, NewModelOptions, ObjectiveOptions, TrainingSettings):
        for field in options_of(owner):
            name = f"--{field.name.replace('_', '-')}"
            flag = field.option.flags[0].partition("/")[0] if field.option.flags else name
            if field.option.command_line and owner is not TrainingPlan:
                assert flag in everything
                assert (flag in common) != field.option.advanced
            elif not field.option.command_line:
                assert f".{field.name}=" in everything


def test_version_prints_the_version_of_the_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bothways", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"bothways {bothways.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["encode"], ["train"], ["compare", "speed"]])
def test_help_does_not_import_heavy_packages(arguments: list[str]) -> None:
    code = (
        "import sys; from bothways.cli.app import app\n"
        f"try: app([*{arguments!r}, '--help'])\n"
        "finally: print(sorted({'torch', 'tokenizers', 'pyarrow', 'matplotlib'} "
        "& set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_completion_suggests_commands_and_choices() -> None:
    environment = {"_BOTHWAYS_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    done = CliRunner().invoke(
        app, prog_name="bothways", env=environment | {"COMP_WORDS": "bothways enc"}
    )
    assert done.output.split() == ["encode"]
    done = CliRunner().invoke(
        app,
        prog_name="bothways",
        env=environment | {"COMP_WORDS": "bothways encode --backend na", "COMP_CWORD": "3"},
    )
    assert done.output.split() == ["native"]
