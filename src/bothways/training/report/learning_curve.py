"""The learning curve of a run, from its events."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bothways.training.objectives.objective import Monitor
from bothways.training.report.held_out import MarkdownFigure, MarkdownSection
from bothways.training.report.markdown import number, plain, table
from bothways.training.report.plots import Curve, draw_learning_curve

__all__ = ["learning_curve"]


def learning_curve(events: Sequence[Mapping[str, Any]], monitor: Monitor) -> MarkdownSection:
    """Losses by step as a figure; the first, best and last validation as a table."""
    steps = [event for event in events if event["kind"] == "step"]
    validations = [
        {"step": event["step"], "epoch": event["epoch"], "best": event["best"], **event["metrics"]}
        for event in events
        if event["kind"] == "validation"
    ]
    draw = partial(
        draw_learning_curve,
        loss=_curve(steps, "loss"),
        learning_rate=_curve(steps, "learning_rate"),
        validation_loss=_curve(validations, "loss"),
        monitored=_curve(validations, monitor.metric),
        metric=monitor.metric,
        better=monitor.better,
    )
    figure = MarkdownFigure("learning_curve", "loss and learning rate by step", draw)
    return MarkdownSection(
        "Learning curve", _validation_table(validations, monitor), (figure,) if steps else ()
    )


def _validation_table(validations: Sequence[Mapping[str, Any]], monitor: Monitor) -> str:
    if not validations:
        return "There was no validation."
    best = max((place for place, v in enumerate(validations) if v["best"]), default=0)
    shown = dict.fromkeys([0, best, len(validations) - 1])
    names = {0: "first", len(validations) - 1: "last", best: "best"}
    metrics = dict.fromkeys([monitor.metric, "loss"])
    rows = (
        [names[place], f"{validations[place]['step']:,}", f"{validations[place]['epoch']:.1f}",
         *("" if (v := validations[place].get(name)) is None else number(v) for name in metrics)]
        for place in shown
    )  # fmt: skip
    return table(["validation", "step", "epoch", *map(plain, metrics)], rows)


def _curve(events: Sequence[Mapping[str, Any]], name: str) -> Curve:
    """The curve of a field, from the events in which it is finite (null otherwise)."""
    known = [event for event in events if event.get(name) is not None]
    steps = np.array([event["step"] for event in known], np.int64)
    return Curve(steps, np.array([event[name] for event in known], np.float64))
