"""The report of `bothways compare data`: scores, training time and size of encoders."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.data.experiment import DataResult, EncoderScores, run_data
from bothways.lab.comparisons.data.settings import PRESETS
from bothways.lab.report.content import PageFigure, PageSection, ReportTable
from bothways.plotting.curves import ENCODER_STYLES
from bothways.plotting.style import GRAY, CurveEnd, label_ends

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
            (_score_table(result),),
        ),
        PageSection("Method and limits", _method(result), tables=(_rate_table(result),)),
    ]


def _finding(result: DataResult) -> str:
    """The best encoder, those with overlapping scores, and the rank of the Transformer."""
    best, *others = _ranked(result)
    peers = [name for name in others if _overlap(result.encoders[best], result.encoders[name])]
    file = Path(result.settings.file).name
    sentences = [f"On {file}, {best} has the best score: {_spread(result, best)}."]
    if peers:
        sentences.append(f"Over the seeds, its scores overlap with those of {_join(peers)}.")
    if "transformer" in others and "transformer" not in peers:
        sentences.append(f"The transformer scores {_spread(result, 'transformer')}.")
    elif best == "transformer" and others:
        sentences.append(f"The next best is {others[0]}: {_spread(result, others[0])}.")
    if result.baseline_score is not None:
        sentences.append(
            f"A constant prediction scores {_format_score(result, result.baseline_score)}."
        )
    return " ".join(sentences)


def _join(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _overlap(first: EncoderScores, second: EncoderScores) -> bool:
    return min(first.scores) <= max(second.scores) and min(second.scores) <= max(first.scores)


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
