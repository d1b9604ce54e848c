"""The report of `bothways compare data`: scores, time and weights of encoders on one's own rows."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.data.experiment import DataResult, DataSettings, Found, run_data
from bothways.lab.report.writer import ReportFigure, Section, Table
from bothways.model.baselines import BASELINES
from bothways.plotting.curves import STYLES
from bothways.plotting.style import GRAY, CurveEnd, label_ends

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COMPARISON", "data_sections"]

_LABELS_NAMED = 12
_METRICS = {
    "accuracy": "share of right labels",
    "micro_f1": "F1 over all labels",
    "span_f1": "F1 of spans",
    "r2": "R², the share of variance explained",
}


def data_sections(result: DataResult) -> list[Section]:
    """Scores, what they cost, and how it was made sure that nothing else differs."""
    return [
        Section(
            "Scores, and what they cost",
            (_finding(result), _what_was_learned(result)),
            (
                ReportFigure(
                    "data-scores",
                    lambda axes: _draw_scores(axes, result),
                    f"The {_METRICS[result.metric]} on rows that were held out; a mark for each "
                    "seed, a bar at the median.",
                    _told(result),
                    height=1.2 + 0.45 * len(result.found),
                ),
                ReportFigure(
                    "data-time",
                    lambda axes: _draw_time(axes, result),
                    "The same scores against the time that training took; medians of the seeds.",
                    _told(result),
                ),
            ),
            (_table(result),),
        ),
        Section("The same for all", _conditions(result), tables=(_rates(result),)),
    ]


def _finding(result: DataResult) -> str:
    """Who is best, whom the seeds do not tell apart from it, and where the Transformer stands."""
    best, *others = _ranked(result)
    peers = [name for name in others if _overlap(result.found[best], result.found[name])]
    told = [f"On {Path(result.settings.file).name}, {best} does best: {_spread(result, best)}."]
    if peers:
        told.append(f"The seeds do not tell it apart from {' and '.join(peers)}.")
    if "transformer" in others and "transformer" not in peers:
        told.append(f"The transformer comes to {_spread(result, 'transformer')}.")
    elif best == "transformer" and others:
        told.append(f"Next is {others[0]}: {_spread(result, others[0])}.")
    if result.guess is not None:
        told.append(f"Guessing comes to {_number(result, result.guess)}.")
    return " ".join(told)


def _overlap(first: Found, second: Found) -> bool:
    return min(first.scores) <= max(second.scores) and min(second.scores) <= max(first.scores)


def _what_was_learned(result: DataResult) -> str:
    rows, chosen, judged = result.rows
    shown = ", ".join(result.names[:_LABELS_NAMED])
    more = len(result.names) - _LABELS_NAMED
    names = f"{shown} and {more} more" if more > 0 else shown
    goal = {"classify": "the label of a row", "tag": "a label for each position"}.get(
        result.settings.task, "numbers"
    )
    return (
        f"Learned is {goal}: {names}. {rows:,} rows are learned from; {chosen:,} others choose "
        f"each encoder's learning rate, and {judged:,} more give the scores: the "
        f"{_METRICS[result.metric]}. All encoders read the same tokens."
    )


def _conditions(result: DataResult) -> tuple[str, ...]:
    settings = result.settings
    paragraphs = [
        f"Each run has the same budget: {result.steps:,} steps, about {result.tokens:,} tokens, in "
        f"the same order for the same seed. An encoder is trained at each of the rates "
        f"{', '.join(f'{rate:g}' for rate in settings.rates)} from one seed, and at the best of "
        f"them from {_seeds(result)}. Optimizer, schedule, dropout and head are the same, and so "
        "is the number of weights of the encoders, within 5 %, embeddings included; a head is as "
        "wide as what it stands on.",
        "All begin from random weights and see these rows alone. It says nothing of encoders that "
        "have read other texts before, which is what most Transformers are used for, nor of larger "
        "ones or longer training; --full has ten times the usual budget. Times are those of this "
        "machine, and of a process that had it to itself, if it had.",
    ]
    if "bag" in result.found:
        paragraphs.append(
            "The bag sees no order and no neighbors: where it is as good as the others, these "
            "rows do not need any."
        )
    if broken := [name for name, found in result.found.items() if not found.finished]:
        paragraphs.append(
            f"A run of {', '.join(broken)} ended early, at a loss that was not a finite number."
        )
    return tuple(paragraphs)


def _draw_scores(axes: "Axes", result: DataResult) -> None:
    ranked = _ranked(result)[::-1]
    for height, name in enumerate(ranked):
        style, scores = STYLES[name], result.found[name].scores
        axes.plot(scores, [height] * len(scores), style.mark, color=style.color, markersize=6)
        axes.plot([float(np.median(scores))] * 2, [height - 0.3, height + 0.3], color=style.color)
    axes.set_yticks(range(len(ranked)), ranked)
    axes.set_ylim(-0.6, len(ranked) - 0.4)
    axes.set_xlabel(_METRICS[result.metric])
    if result.guess is not None:
        axes.axvline(result.guess, color=GRAY, linestyle=":", linewidth=1)
        axes.annotate(
            "guessing",
            (result.guess, len(ranked) - 0.45),
            (3, 0),
            textcoords="offset points",
            color=GRAY,
            fontsize=8,
            va="top",
        )


def _draw_time(axes: "Axes", result: DataResult) -> None:
    ends = []
    for name, found in result.found.items():
        style = STYLES[name]
        seconds, score = float(np.median(found.seconds)), float(np.median(found.scores))
        axes.plot([seconds], [score], style.mark, color=style.color, markersize=7)
        ends.append(CurveEnd(seconds, score, name, style.color))
    axes.set_xlim(0, 1.25 * max(end.x for end in ends))
    axes.margins(y=0.15)
    axes.set_xlabel("training, seconds")
    axes.set_ylabel(_METRICS[result.metric])
    label_ends(axes, ends, size=9)


def _table(result: DataResult) -> Table:
    rows = [
        (
            name,
            _spread(result, name),
            found.weights,
            found.layers,
            round(float(np.median(found.seconds)), 1),
            round(float(np.median(found.tokens_per_second))),
        )
        for name, found in ((name, result.found[name]) for name in _ranked(result))
    ]
    return Table(
        f"The {_METRICS[result.metric]}, median of {_seeds(result)} (worst to best), and its cost",
        ("encoder", "score", "weights", "layers", "training, seconds", "encoding, tokens a second"),
        tuple(rows),
    )


def _rates(result: DataResult) -> Table:
    rates = sorted(result.settings.rates)
    return Table(
        "The scores that chose the learning rates, on rows that are not reported on",
        ("encoder", *(f"{rate:g}" for rate in rates), "chosen"),
        tuple(
            (name, *(_number(result, found.tried[rate]) for rate in rates), f"{found.rate:g}")
            for name, found in result.found.items()
        ),
    )


def _ranked(result: DataResult) -> list[str]:
    """The encoders by the median of their scores, the best first."""
    medians = {name: float(np.median(found.scores)) for name, found in result.found.items()}
    return sorted(medians, key=lambda name: -medians[name])


def _told(result: DataResult) -> str:
    return "; ".join(f"{name}: {_spread(result, name)}" for name in _ranked(result))


def _spread(result: DataResult, name: str) -> str:
    scores = result.found[name].scores
    middle = _number(result, float(np.median(scores)))
    if len(scores) == 1:
        return middle
    return f"{middle} ({_number(result, min(scores))} to {_number(result, max(scores))})"


def _number(result: DataResult, score: float) -> str:
    return f"{score:.3f}" if result.metric == "r2" else f"{100 * score:.1f} %"


def _seeds(result: DataResult) -> str:
    count = len(result.settings.seeds)
    return "one seed" if count == 1 else f"{count} seeds"


COMPARISON = Comparison(
    title="Encoders on your own data",
    settings={
        "quick": DataSettings(tokens=500, judged=50, seeds=(0,), rates=(1.5e-3,)),
        "default": DataSettings(),
        "full": DataSettings(
            encoders=("transformer", *BASELINES),
            tokens=1_500_000,
            judged=10_000,
            seeds=tuple(range(5)),
        ),
    },
    run=run_data,
    sections=data_sections,
)
