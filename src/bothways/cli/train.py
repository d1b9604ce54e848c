"""`bothways train`: train a model on files of data and report how good it is."""

import dataclasses
import json
import os
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.console import note
from bothways.cli.generated_options import GivenOptions
from bothways.cli.progress import stage_progress, training_progress
from bothways.cli.signals import SIGNAL_BASE
from bothways.errors import ConfigError, MissingExtra
from bothways.io.options import Option, options_of
from bothways.io.printable import printable
from bothways.model.read_options import ReadOptions
from bothways.training.options.data import DataOptions
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import ObjectiveOptions
from bothways.training.plan import TABLES, TrainingPlan
from bothways.training.settings import TrainingSettings

if TYPE_CHECKING:
    from bothways.training.pipeline import FinishedRun

__all__ = ["COMMAND", "train"]

Values = dict[str, Any]
Tables = dict[str, Values]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfigOptions:
    """Where options come from other than their flags."""

    resume: Annotated[
        bool, Option("Continue a run that was stopped, or lengthen it by more --epochs or --steps.")
    ] = False
    overwrite: Annotated[bool, Option("Replace the run in the folder.", advanced=True)] = False
    config: Annotated[
        str | None,
        Option(
            "TOML file of options in tables [data], [model], [encoder], [objective] and "
            "[training]; flags override it.",
            unit="FILE",
        ),
    ] = None
    assignments: Annotated[
        tuple[str, ...],
        Option(
            "Option, as training.weight_decay=0.1, or encoder field, as num_layers=8; repeatable.",
            unit="NAME=VALUE",
            flags=("--set",),
        ),
    ] = ()


def train(
    plan: Annotated[Values, GivenOptions(TrainingPlan, table="plan")],
    model: Annotated[Values, GivenOptions(NewModelOptions, table="model")],
    data: Annotated[Values, GivenOptions(DataOptions, table="data")],
    objective: Annotated[Values, GivenOptions(ObjectiveOptions, table="objective")],
    training: Annotated[Values, GivenOptions(TrainingSettings, table="training")],
    config: ConfigOptions,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Train an encoder on files of data: a new model, or a pretrained one.

    The data is checked first, and part of it is held out. The run's folder is a model folder with
    the best weights, for `bothways encode`, `predict` and `export`; its report.md evaluates them.

    \b
        bothways train mlm      corpus.txt          --out runs/base  --size small
        bothways train classify train.csv --label y --out runs/topic --from minilm
    """
    if find_spec("torch") is None:
        raise MissingExtra("torch", "training")
    source = {"from": plan["source"]} if "source" in plan else {}
    source |= {f.name: plan[f.name] for f in options_of(ReadOptions) if f.name in plan}
    given = {"data": data, "model": source | model, "objective": objective, "training": training}
    tables = _merge_tables(config, given)
    parsed = TrainingPlan.from_tables(plan["task"], plan["files"], plan["out"], tables)
    _run(parsed, config, as_json=as_json, quiet=quiet)


def _run(plan: TrainingPlan, config: ConfigOptions, *, as_json: bool, quiet: bool) -> None:
    from bothways.training.pipeline import train as run_training
    from bothways.training.runs.signals import TrainingInterrupted

    is_main_process = os.environ.get("RANK", "0") == "0"  # torchrun sets RANK
    quiet = quiet or not is_main_process
    if plan.source is not None:
        models.fetch(plan.source, quiet=quiet)
    try:
        with training_progress(quiet=quiet) as progress:
            run = run_training(
                plan,
                resume=config.resume,
                overwrite=config.overwrite,
                how_to_resume="the same command and --resume",
                progress=progress,
                tell=None if quiet else note,
                stage=partial(stage_progress, quiet=quiet),
            )
    except TrainingInterrupted as stop:
        note(str(stop))
        raise typer.Exit(SIGNAL_BASE + stop.number) from None
    if is_main_process:
        _print(run, as_json=as_json, quiet=quiet)


def _merge_tables(config: ConfigOptions, given: Tables) -> Tables:
    """The tables of the TOML file, overridden by flags, and both overridden by `--set`."""
    from bothways.io.options import read_toml

    tables: Tables = {name: {} for name in TABLES}
    if config.config is not None:
        tables = read_toml(Path(config.config), TABLES)
    for name, values in given.items():
        tables[name] |= values
    for assignment in config.assignments:
        name, equals, text = assignment.partition("=")
        table, _, field = name.rpartition(".")
        table = table or "encoder"
        if not (equals and field and table in tables):
            raise ConfigError(
                f"--set {assignment}: expected NAME=VALUE, with a field of the encoder or "
                f"TABLE.NAME; tables are {', '.join(tables)}"
            )
        tables[table][field] = _parse_value(text)
    return tables


def _parse_value(text: str) -> Any:
    """Read a value as JSON, such as 8, 0.1, true, [1, 2] or null; other text is a string."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _print(run: "FinishedRun", *, as_json: bool, quiet: bool) -> None:
    metrics: Mapping[str, float] = run.metrics or {}
    comparison = run.comparison
    if as_json:
        facts: Values = {"folder": str(run.folder), "report": str(run.report)}
        facts |= {"steps": run.result.steps, "metrics": dict(metrics)}
        compared = {} if comparison is None else {"comparison": comparison.to_dict()}
        print(json.dumps(facts | compared))
        return
    for name, value in metrics.items():
        print(f"{printable(name)}\t{value:.4g}")
    if comparison is not None and not quiet:
        for line in (comparison.headline, comparison.verdict, comparison.missing):
            if line:
                note(line)
    print(f"report\t{run.report}")


COMMAND = command(train)
