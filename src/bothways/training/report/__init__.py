"""The report of a run: report.md, report.html and their figures, in the run's folder.

OUT/report.md             scores on held-out data, mistakes, settings, how to use the model
OUT/report.html           the same as a page, with its figures inside
OUT/learning_curve.png    losses and learning rate by step
OUT/report/*.png          the other figures
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never

from bothways.installation import install_command
from bothways.io.atomic import atomic_file, wrap_write_errors
from bothways.pages.images import data_url
from bothways.plotting.style import can_draw
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.pairs import LabeledPairs, PairObjective
from bothways.training.objectives.tag import mark_spans
from bothways.training.report.classes import one_class, several_classes
from bothways.training.report.held_out import HeldOutResults, MarkdownFigure, MarkdownSection
from bothways.training.report.html import render_report
from bothways.training.report.learning_curve import learning_curve
from bothways.training.report.markdown import code_block, number, plain, table
from bothways.training.report.pairs import pairs
from bothways.training.report.retrieval import retrieval
from bothways.training.report.simple_models import advice, simple_models
from bothways.training.report.tags import tags
from bothways.training.report.values import values
from bothways.training.simple_models.comparison import ModelComparison, describe_score

__all__ = [
    "FIGURES_FOLDER",
    "PAGE_FILE",
    "REPORT_FILE",
    "HeldOutResults",
    "MarkdownFigure",
    "MarkdownSection",
    "write_report",
]

REPORT_FILE = "report.md"
PAGE_FILE = "report.html"
FIGURES_FOLDER = "report"

_MEANING = {
    "loss": "the mean loss per target, which training minimizes",
    "accuracy": "the fraction of correct predictions",
    "macro_f1": "F1 averaged over the classes that occur, each with the same weight",
    "micro_f1": "F1 of the counts of all labels together",
    "span_f1": "F1 of whole spans: type and both ends correct",
    "perplexity": "exp(mean cross-entropy)",
    "r2": "the fraction of the variance that is explained",
    "mae": "mean absolute error, in the value's unit",
    "rmse": "root mean squared error, in the value's unit",
    "recall@1": "the fraction of positives ranked first",
    "recall@10": "the fraction of positives among the first ten",
    "mrr": "mean reciprocal rank of the positive",
    "spearman": "rank correlation of cosines and scores",
    "average_precision": "mean precision at the similar pairs, ranked by cosine",
    "threshold": "cosine from which on pairs count as similar, for the accuracy above",
}


def write_report(
    out: Path,
    objective: Objective,
    held_out: HeldOutResults | None,
    *,
    overview: Mapping[str, str],
    settings: Mapping[str, object] | None = None,
    events: Sequence[Mapping[str, Any]] = (),
    model: Path | None = None,
    comparison: ModelComparison | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write report.md, report.html and their figures into `out`; return the path of report.md.

    held_out: None without held-out data. overview: model, data and length of the run, by name, in
        the order of the report. settings: of training. events: the lines of metrics.jsonl.
    model: the folder of the model, if it is not `out`. comparison: with simple models.
    notes: sentences below the title.

    Without matplotlib the report has no figures, and says how to get them.

    Raises:
        DataFileError: if a file cannot be written.
    """
    sections = [
        _overview(overview),
        *([_scores(objective, held_out)] if held_out else []),
        *([simple_models(comparison)] if comparison and comparison.simple else []),
        *([learning_curve(events, objective.monitor)] if events else []),
        *(_objective_sections(objective, held_out) if held_out else []),
        _how_to_use(model or out, objective),
        *([_settings(settings)] if settings else []),
    ]
    drawn = _draw(out, sections) if can_draw() else {}
    title = _title(objective, held_out, comparison)
    introduction = _introduction(comparison, notes)
    _write(out / REPORT_FILE, _markdown(title, introduction, sections, drawn))
    images = {name: data_url(out / path) for name, path in drawn.items()}
    _write(out / PAGE_FILE, render_report(title, introduction, sections, images))
    return out / REPORT_FILE


def _introduction(comparison: ModelComparison | None, notes: Sequence[str]) -> str:
    """Paragraphs below the title: what the score means, and what the report lacks."""
    sentences = [*(advice(comparison) if comparison is not None else ()), *notes]
    paragraphs = [plain(each, limit=1000) for each in sentences]
    if not can_draw():
        paragraphs.append(f"This report has no figures; they need `{install_command('plots')}`.")
    return "\n\n".join(paragraphs)


def _markdown(
    title: str, introduction: str, sections: Iterable[MarkdownSection], drawn: Mapping[str, str]
) -> str:
    lines = [f"# {title}", *([introduction] if introduction else [])]
    for section in sections:
        images = [f"![{plain(f.caption)}]({drawn[f.name]})" for f in section.figures if drawn]
        lines += [f"## {section.title}", *images, section.text]
    return "\n\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as hidden:
        hidden.write_text(text, encoding="utf-8")


def _draw(out: Path, sections: Iterable[MarkdownSection]) -> dict[str, str]:
    """Draw all figures; return their paths relative to the report, by name."""
    with wrap_write_errors(out / FIGURES_FOLDER):
        (out / FIGURES_FOLDER).mkdir(exist_ok=True)
    drawn: dict[str, str] = {}
    for section in sections:
        for figure in section.figures:
            place = out if figure.name == "learning_curve" else out / FIGURES_FOLDER
            with wrap_write_errors(place / f"{figure.name}.png"):
                figure.draw(place / f"{figure.name}.png")
            drawn[figure.name] = (place / f"{figure.name}.png").relative_to(out).as_posix()
    return drawn


def _objective_sections(
    objective: Objective, held_out: HeldOutResults
) -> Iterator[MarkdownSection]:
    """The sections that depend on the objective."""
    head = objective.head
    if head is None:
        if isinstance(objective, PairObjective):
            yield from pairs(held_out, are_labels=isinstance(objective, LabeledPairs))
        if isinstance(objective, Contrast):
            yield from retrieval(held_out, objective.ranks_of_positives(held_out.evaluated))
        return
    match head.task:
        case "classes":
            yield from one_class(held_out, head.labels)
        case "multilabel":
            yield from several_classes(held_out, head.labels)
        case "tags":
            yield from tags(held_out, head.labels, spans=mark_spans(head.labels))
        case "values":
            yield from values(held_out, head.labels)
        case "masked_tokens" | "masked_values" | "answer_spans":
            pass
        case unknown:
            assert_never(unknown)


def _title(
    objective: Objective, held_out: HeldOutResults | None, comparison: ModelComparison | None
) -> str:
    if comparison is not None and comparison.folds is not None:
        return f"{objective.name}: {comparison.headline}"
    if held_out is None:
        return f"{objective.name}: trained without held-out data"
    where = "held-out data" if held_out.chose_weights else plain(held_out.name)
    if held_out.scores is not None:
        headline = f"{objective.name}: {describe_score(held_out.scores).headline}"
        return headline if held_out.chose_weights else f"{headline} on {where}"
    metric = objective.monitor.metric
    return f"{objective.name}: {metric} {number(held_out.metrics[metric])} on {where}"


def _overview(overview: Mapping[str, str]) -> MarkdownSection:
    rows = ([plain(name), plain(value)] for name, value in overview.items())
    return MarkdownSection("Overview", table(["", ""], rows))


def _scores(objective: Objective, held_out: HeldOutResults) -> MarkdownSection:
    rows = (
        [plain(name), number(value), _MEANING.get(name.partition(" ")[0], "")]
        for name, value in held_out.metrics.items()
    )
    noun = "held-out sequences" if held_out.chose_weights else "sequences"
    text = f"On {len(held_out.order):,} {noun}: {plain(held_out.name)}."
    if held_out.chose_weights:
        text += (
            f" The same sequences selected the weights with the best "
            f"{plain(objective.monitor.metric)}, so these scores are slightly optimistic; for an "
            "unbiased score, evaluate on data that selected nothing."
        )
    return MarkdownSection("Scores", f"{text}\n\n{table(['metric', 'value', 'meaning'], rows)}")


def _how_to_use(model: Path, objective: Objective) -> MarkdownSection:
    task = None if objective.head is None else objective.head.task
    predict = f"bothways predict {model} INPUT -o OUTPUT"
    load = f"import bothways\n\nencoder = bothways.load({str(model)!r})\n"
    match task:
        case "classes" | "multilabel":
            python, shell = (
                "encoder.classify(sequences)",
                f"bothways predict {model} INPUT -o OUTPUT",
            )
        case "tags":
            python, shell = "encoder.tag(sequences)", predict
        case "values":
            python, shell = (
                "encoder.predict(sequences)",
                f"bothways predict {model} INPUT -o OUTPUT",
            )
        case "masked_tokens" | "masked_values" | "answer_spans" | None:
            python = "encoder.encode(sequences)"
            shell = f"bothways encode INPUT --model {model} -o OUTPUT"
        case unknown:
            assert_never(unknown)
    blocks = code_block("python", load + python), code_block("sh", shell)
    return MarkdownSection("How to use it", "\n\n".join(blocks))


def _settings(settings: Mapping[str, object]) -> MarkdownSection:
    rows = (
        [f"`{name}`", "none" if value is None else plain(str(value))]
        for name, value in settings.items()
    )
    return MarkdownSection("Training settings", table(["setting", "value"], rows))
