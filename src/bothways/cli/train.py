"""`bothways train`: from data files to a trained model, and a report on how good it is."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli import train_options as t
from bothways.cli.console import SIGNAL_BASE, note
from bothways.cli.progress import stage_progress, training_progress
from bothways.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from bothways.training.options.objective import TrainingTask
    from bothways.training.pipeline import FinishedRun

__all__ = ["train"]

Tables = dict[str, dict[str, Any]]


def train(
    task: t.TaskArgument,
    data: t.Files,
    out: t.Out,
    resume: t.Resume = False,
    overwrite: o.Overwrite = False,
    config: t.ConfigFile = None,
    assignments: t.Assignments = None,
    column: t.Columns = None,
    label: t.Labels = None,
    label_separator: t.LabelSeparator = None,
    validation: t.Validation = None,
    held_out: t.HeldOut = None,
    split_by: t.SplitBy = None,
    input_format: t.InputFormat = None,
    source: t.Source = None,
    size: t.SizeOption = None,
    architecture: t.ArchitectureOption = None,
    encoder: t.EncoderOption = None,
    alphabet: t.AlphabetOption = None,
    vocabulary: t.VocabularyOption = None,
    vocab_size: t.VocabSize = None,
    lowercase: t.Lowercase = None,
    max_length: t.MaxLength = None,
    head_pooling: t.HeadPooling = None,
    balanced: t.ClassWeights = None,
    label_smoothing: t.LabelSmoothing = None,
    mask_rate: t.MaskRate = None,
    whole_words: t.WholeWords = None,
    loss: t.Loss = None,
    temperature: t.Temperature = None,
    dimensions: t.MatryoshkaDimensions = None,
    epochs: t.Epochs = None,
    steps: t.Steps = None,
    patience: t.Patience = None,
    batch_tokens: t.BatchTokens = None,
    micro_tokens: t.MicroTokens = None,
    learning_rate: t.LearningRate = None,
    seed: t.Seed = None,
    validate_every: t.ValidateEvery = None,
    checkpoint_every: t.CheckpointEvery = None,
    device: t.Device = None,
    precision: t.PrecisionOption = None,
    threads: t.Threads = None,
    sharding: t.ShardingOption = None,
    tensorboard: t.TensorBoard = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Train an encoder on files: a fresh one, or one that is there.

    The data is read and checked first; what is wrong with it is told with file, row and column. A
    part of it is held out. The run's folder is an ordinary model folder with the best weights,
    which `bothways encode`, `predict` and `export` take, and has a report.md on the part held out.

    \b
        bothways train mlm      corpus.txt           --out runs/base  --size small
        bothways train classify train.csv --label y  --out runs/topic --from minilm
        bothways train tag      train.jsonl          --out runs/pos
        bothways train regress  data.csv --target y  --out runs/boil  --alphabet smiles
        bothways train contrast pairs.jsonl          --out runs/pairs --from minilm

    Ctrl-C finishes the step and saves; the same command with --resume goes on. On several
    processes: torchrun --nproc-per-node 2 -m bothways train ...
    """
    if find_spec("torch") is None:
        raise MissingExtra("torch", "training")
    given: Tables = {
        "data": {
            "columns": column,
            "labels": label,
            "label_separator": label_separator,
            "validation": validation,
            "held_out": held_out,
            "split_by": split_by,
            "input_format": input_format,
        },
        "model": {
            "from": source,
            "size": size,
            "architecture": architecture,
            "encoder": encoder,
            "alphabet": alphabet,
            "vocabulary": vocabulary,
            "vocab_size": vocab_size,
            "lowercase": lowercase,
            "max_length": max_length,
        },
        "objective": {
            "head_pooling": head_pooling,
            "class_weights": "balanced" if balanced else None,
            "label_smoothing": label_smoothing,
            "mask_rate": mask_rate,
            "whole_words": whole_words,
            "loss": loss,
            "temperature": temperature,
            "dimensions": dimensions,
        },
        "training": {
            "epochs": epochs,
            "max_steps": steps,
            "patience": patience,
            "batch_tokens": batch_tokens,
            "micro_tokens": micro_tokens,
            "learning_rate": learning_rate,
            "seed": seed,
            "validate_every": validate_every,
            "checkpoint_every": checkpoint_every,
            "device": device,
            "precision": precision,
            "threads": threads,
            "sharding": sharding,
            "tensorboard": tensorboard,
        },
    }
    tables = _together(config, given, assignments or ())
    _run(task, data, out, tables, resume=resume, overwrite=overwrite, as_json=as_json, quiet=quiet)


def _run(
    task: "TrainingTask",
    data: Sequence[str],
    out: str,
    tables: Tables,
    *,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    from bothways.training.pipeline import train as make_run
    from bothways.training.plan import TrainingPlan
    from bothways.training.runs.signals import TrainingInterrupted

    quiet = quiet or os.environ.get("RANK", "0") != "0"  # of torchrun's processes one speaks
    plan = TrainingPlan.from_tables(task, data, out, tables)
    if plan.source is not None:
        models.fetch(plan.source, quiet=quiet)
    try:
        with training_progress(quiet=quiet) as progress:
            trained = make_run(
                plan,
                resume=resume,
                overwrite=overwrite,
                how_to_resume="the same command and --resume",
                progress=progress,
                tell=None if quiet else note,
                stage=partial(stage_progress, quiet=quiet),
            )
    except TrainingInterrupted as stop:
        note(str(stop))
        raise typer.Exit(SIGNAL_BASE + stop.number) from None
    if os.environ.get("RANK", "0") == "0":
        _print(trained, as_json=as_json)


def _together(config: Path | None, given: Tables, assignments: Sequence[str]) -> Tables:
    """The tables of the TOML file, over them what was given, and over that what was set."""
    from bothways.io.options import read_toml
    from bothways.training.plan import TABLES

    tables: Tables = {name: {} for name in TABLES} if config is None else read_toml(config, TABLES)
    for name, values in given.items():
        # An option that may be repeated is an empty list when it is not given.
        tables[name] |= {key: value for key, value in values.items() if value not in (None, [])}
    for assignment in assignments:
        name, is_one, text = assignment.partition("=")
        table, _, field = name.rpartition(".")
        table = table or "encoder"
        if not (is_one and field and table in tables):
            raise ConfigError(
                f"--set {assignment}: expected NAME=VALUE, with a field of the encoder or "
                f"TABLE.NAME; tables are {', '.join(tables)}"
            )
        tables[table][field] = _value(text)
    return tables


def _value(text: str) -> Any:
    """A value as JSON or TOML would have it: 8, 0.1, true, [1, 2], null; else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print(trained: "FinishedRun", *, as_json: bool) -> None:
    metrics: Mapping[str, float] = trained.metrics or {}
    if as_json:
        facts = {"folder": str(trained.folder), "report": str(trained.report)}
        print(json.dumps({**facts, "steps": trained.result.steps, "metrics": dict(metrics)}))
        return
    for name, value in metrics.items():
        print(f"{name}\t{value:.4g}")
    print(f"report\t{trained.report}")
