"""The report of `bothways compare data`: scores, training time and size of encoders."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.data.experiment import DataResult, run_data
from bothways.lab.comparisons.data.settings import PRESETS
from bothways.lab.report.content import PageFigure, PageSection, ReportTable
from bothways.plotting.curves import ENCODER_STYLES
from bothways.plotting.style import GRAY, CurveEnd, label_ends
from bothways.training.simple_models.scores import FEW_ROWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COMPARISON", "data_sections"]

_MAX_LABEL_NAMES = 12
_METRICS = {
    "accuracy": "accuracy",
    "micro_f1": "micro-averaged F1",
    "span_f1": "F1 over spans",
    "r2": "R² (fraction of variance explained)",
}


def data_sections(result: DataResult) -> list[PageSection]:
    """Scores and costs of the encoders, then the method and its limits."""
    return [
        PageSection(
            "Scores and costs",
            (_finding(result), _task_description(result)),
            (
                PageFigure(
                    "data-scores",
                    lambda axes: _draw_scores(axes, result),
                    f"{_metric_title(result)} on the test rows, with a marker for each seed and a "
                    "bar at the median.",
                    _alt_text(result),
                    height=1.2 + 0.45 * len(result.encoders),
                ),
                PageFigure(
                    "data-time",
                    lambda axes: _draw_time(axes, result),
                    "Scores by training time; medians of the seeds.",
                    _alt_text(result),
                ),
            ),
            (_score_table(result), *([_difference_table(result)] if result.differences else [])),
        ),
        PageSection("Method and limits", _method(result), tables=(_rate_table(result),)),
    ]


def _finding(result: DataResult) -> str:
    """The best model, those that may be as good, simple models, and what has not converged."""
    best, *others = result.ranked
    ties = [name for name in others if result.differences[name].outcome == "equal"]
    file = Path(result.settings.file).name
    rows = f"{result.rows[2]:,} test rows, {_seeds(result)}"
    score = f"{_mean(result, best)} (95 % interval {_interval(result, best)}; {rows})"
    if not others:
        sentences = [f"On {file}, {best} scores {score}."]
    elif ties:
        sentences = [
            f"On {file}, no model is clearly the best: the highest score is that of {best}, "
            f"{score}, and {_join(ties)} may be as good.",
        ]
    else:
        sentences = [
            f"On {file}, {best} is the best: {score}. The others are worse by more than chance "
            "explains."
        ]
    if worse := [name for name in others if name not in ties and ties]:
        sentences.append(f"Worse by more than chance explains: {_join(worse)}.")
    if simple := [name for name in (best, *ties) if name in result.simple]:
        sentences.append(f"A simple model is as good as any encoder: {_join(simple)}.")
    if result.baseline_score is not None:
        sentences.append(
            f"A constant prediction scores {_format_score(result, result.baseline_score)}."
        )
    if early := [name for name, each in result.encoders.items() if not each.converged]:
        sentences.append(
            f"Not trained to convergence: {_join(early)}; their training loss still fell by more "
            "than a tenth in the last fifth of the steps, so more training may change the order "
            f"(--full, or --train-tokens {10 * result.settings.train_tokens})."
        )
    if result.rows[2] < FEW_ROWS:
        sentences.append(f"{result.rows[2]:,} test rows are few; only large differences show.")
    if len(result.settings.seeds) == 1 and others:
        sentences.append("With one seed, the differences between seeds are not known.")
    return " ".join(sentences)


def _join(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _mean(result: DataResult, name: str) -> str:
    simple = result.simple.get(name)
    score = simple.score if simple else float(np.mean(result.encoders[name].scores))
    return _format_score(result, score)


def _interval(result: DataResult, name: str) -> str:
    scored = result.simple.get(name) or result.encoders[name]
    low, high = (_format_score(result, end) for end in scored.interval)
    return f"{low} to {high}"


def _task_description(result: DataResult) -> str:
    train, validation, test = result.rows
    names = ", ".join(result.label_names[:_MAX_LABEL_NAMES])
    more = len(result.label_names) - _MAX_LABEL_NAMES
    if more > 0:
        names = f"{names} and {more} more"
    target = {"classify": "the label of each row", "tag": "the label of each position"}.get(
        result.settings.task, "numbers"
    )
    return (
        f"Models predict {target}: {names}. They are trained on {train:,} rows; {validation:,} "
        f"other rows choose each encoder's learning rate, and {test:,} more give the reported "
        f"scores. The metric is {_METRICS[result.metric]}. All encoders read the same tokens."
    )


def _method(result: DataResult) -> tuple[str, ...]:
    settings = result.settings
    paragraphs = [
        f"Every run has the same budget: {result.steps:,} steps, about {result.tokens:,} tokens, "
        "in the same order for the same seed. Each encoder is trained at the learning rates "
        f"{', '.join(f'{rate:g}' for rate in settings.learning_rates)} from one seed, and at the "
        f"best of them from {_seeds(result)}. Optimizer, schedule, dropout and type of head are "
        "the same. Encoders have equally many parameters, within 5 %, embeddings included. The "
        "parameters of the head are counted separately: they depend on the width of the encoder's "
        "vectors.",
        "All models start from random weights and see only these rows. The result does not apply "
        "to pretrained encoders, which is how most Transformers are used, nor to larger encoders "
        "or longer training; --full has ten times the default budget. Times are only comparable if "
        "no other process was using the machine.",
    ]
    paragraphs.append(
        "Intervals are of the bootstrap over test rows and seeds. A model is called worse than the "
        "best if the interval of their difference on the same rows excludes 0, at a level of 95 % "
        "for all comparisons together (Bonferroni)."
    )
    if result.simple:
        paragraphs.append(
            "Simple models learn the same training rows; cross-validation on these chose them. "
            "Their training takes seconds."
        )
    if "bag" in result.encoders:
        paragraphs.append(
            "The bag of embeddings ignores order and neighbors: where it is as good as the others, "
            "these rows need neither."
        )
    if stopped := [name for name, encoder in result.encoders.items() if not encoder.finished]:
        paragraphs.append(
            f"At least one run of {_join(stopped)} stopped early, at a NaN or infinite loss."
        )
    return tuple(paragraphs)


def _draw_scores(axes: "Axes", result: DataResult) -> None:
    ranked = _ranked(result)[::-1]
    for height, name in enumerate(ranked):
        style, scores = ENCODER_STYLES[name], result.encoders[name].scores
        axes.plot(scores, [height] * len(scores), style.marker, color=style.color, markersize=6)
        axes.plot([float(np.median(scores))] * 2, [height - 0.3, height + 0.3], color=style.color)
    axes.set_yticks(range(len(ranked)), ranked)
    axes.set_ylim(-0.6, len(ranked) - 0.4)
    axes.set_xlabel(_METRICS[result.metric])
    if result.baseline_score is not None:
        axes.axvline(result.baseline_score, color=GRAY, linestyle=":", linewidth=1)
        axes.annotate(
            "constant prediction",
            (result.baseline_score, len(ranked) - 0.45),
            (3, 0),
            textcoords="offset points",
            color=GRAY,
            fontsize=8,
            va="top",
        )


def _draw_time(axes: "Axes", result: DataResult) -> None:
    ends = []
    for name, encoder in result.encoders.items():
        style = ENCODER_STYLES[name]
        seconds, score = float(np.median(encoder.seconds)), float(np.median(encoder.scores))
        axes.plot([seconds], [score], style.marker, color=style.color, markersize=7)
        ends.append(CurveEnd(seconds, score, name, style.color))
    axes.set_xlim(0, 1.25 * max(end.x for end in ends))
    axes.margins(y=0.15)
    axes.set_xlabel("training time, seconds")
    axes.set_ylabel(_METRICS[result.metric])
    label_ends(axes, ends, size=9)


def _score_table(result: DataResult) -> ReportTable:
    rows = [
        (
            name,
            _spread(result, name),
            encoder.parameters.encoder,
            encoder.parameters.head,
            encoder.layers,
            round(float(np.median(encoder.seconds)), 1),
            round(float(np.median(encoder.tokens_per_second))),
        )
        for name, encoder in ((name, result.encoders[name]) for name in _ranked(result))
    ]
    return ReportTable(
        f"{_metric_title(result)}, median of {_seeds(result)} (lowest to highest), and costs",
        (
            "encoder",
            "score",
            "encoder parameters",
            "head parameters",
            "layers",
            "training, seconds",
            "encoding, tokens per second",
        ),
        tuple(rows),
    )


def _difference_table(result: DataResult) -> ReportTable:
    """All models by mean score, with the differences from the best."""
    best, *others = result.ranked
    rows = [(best, _mean(result, best), _interval(result, best), "", "")]
    for name in others:
        difference = result.differences[name]
        low, high = (_format_score(result, end) for end in difference.interval)
        rows.append(
            (
                name,
                _mean(result, name),
                _interval(result, name),
                f"{low} to {high}",
                "may be as good" if difference.outcome == "equal" else "worse",
            )
        )
    return ReportTable(
        f"{_metric_title(result)}, mean of {_seeds(result)}, and the lead of the best",
        ("model", "score", "95 % interval", "lead of the best", "verdict"),
        tuple(rows),
    )


def _rate_table(result: DataResult) -> ReportTable:
    rates = sorted(result.settings.learning_rates)
    return ReportTable(
        "Validation scores by learning rate",
        ("encoder", *(f"{rate:g}" for rate in rates), "best"),
        tuple(
            (
                name,
                *(_format_score(result, encoder.validation_scores[rate]) for rate in rates),
                f"{encoder.learning_rate:g}",
            )
            for name, encoder in result.encoders.items()
        ),
    )


def _ranked(result: DataResult) -> list[str]:
    """The names of the encoders by median score, the best first."""
    medians = {name: float(np.median(encoder.scores)) for name, encoder in result.encoders.items()}
    return sorted(medians, key=lambda name: -medians[name])


def _alt_text(result: DataResult) -> str:
    return "; ".join(f"{name}: {_spread(result, name)}" for name in _ranked(result))


def _spread(result: DataResult, name: str) -> str:
    """The median score of an encoder, with the range if there are several seeds."""
    scores = result.encoders[name].scores
    median = _format_score(result, float(np.median(scores)))
    if len(scores) == 1:
        return median
    return (
        f"{median} ({_format_score(result, min(scores))} to {_format_score(result, max(scores))})"
    )


def _format_score(result: DataResult, score: float) -> str:
    return f"{score:.3f}" if result.metric == "r2" else f"{100 * score:.1f} %"


def _metric_title(result: DataResult) -> str:
    name = _METRICS[result.metric]
    return name[0].upper() + name[1:]


def _seeds(result: DataResult) -> str:
    count = len(result.settings.seeds)
    return "one seed" if count == 1 else f"{count} seeds"


COMPARISON = Comparison(
    title="Encoders on your own data",
    presets=PRESETS,
    run=run_data,
    sections=data_sections,
)
