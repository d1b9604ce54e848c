"""What a trained model is and how good it is: report.md, and its figures, in the run's folder.

OUT/report.md             scores on what was held out, mistakes, settings, how to use the model
OUT/learning_curve.png    how training went
OUT/report/*.png          what the report shows
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never

from bothways.io.atomic import atomic_file, wrap_write_errors
from bothways.plotting.style import can_draw
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.tag import mark_spans
from bothways.training.report.classes import one_class, several_classes
from bothways.training.report.course import learning_curve
from bothways.training.report.held_out import Figure, HeldOut, Section
from bothways.training.report.markdown import code_block, number, plain, table
from bothways.training.report.retrieval import retrieval
from bothways.training.report.tags import tags
from bothways.training.report.values import values

__all__ = ["REPORT_FILE", "Figure", "HeldOut", "Section", "write_report"]

REPORT_FILE = "report.md"
_FIGURES = "report"

_MEANING = {
    "loss": "what training lessens, the mean of a target",
    "accuracy": "the share that is right",
    "macro_f1": "F1, the mean over all classes that occur, rare ones like frequent ones",
    "micro_f1": "F1 of all labels counted together",
    "span_f1": "F1 of whole spans: type and both ends right",
    "perplexity": "among how many tokens the model is undecided",
    "r2": "the share of the variance that is predicted",
    "mae": "mean absolute error, in the value's unit",
    "rmse": "root mean squared error, in the value's unit",
    "recall@1": "how often the right one is found first",
    "recall@10": "how often the right one is among the first ten",
    "mrr": "mean reciprocal rank of the right one",
}


def write_report(
    out: Path,
    objective: Objective,
    held_out: HeldOut | None,
    *,
    facts: Mapping[str, str],
    settings: Mapping[str, object],
    events: Sequence[Mapping[str, Any]],
) -> Path:
    """Write report.md and its figures into `out`; return the report's path.

    held_out: None if everything was trained on. facts: what was trained on what, by name, in the
        order of the report. settings: of training. events: the lines of metrics.jsonl.

    Without matplotlib there are no figures, and a line that says how to have them.

    Raises:
        DataFileError: if a file cannot be written.
    """
    sections = [
        _what_was_trained(facts),
        *([_scores(objective, held_out)] if held_out else []),
        *([learning_curve(events, objective.monitor)] if events else []),
        *(_of_objective(objective, held_out) if held_out else []),
        _how_to_use(out, objective),
        _settings(settings),
    ]
    drawn = _draw(out, sections) if can_draw() else {}
    lines = [f"# {_title(objective, held_out)}"]
    if not can_draw():
        lines.append("There are no figures: they need `pip install 'bothways[plots]'`.")
    for section in sections:
        images = [f"![{plain(f.caption)}]({drawn[f.name]})" for f in section.figures if drawn]
        lines += [f"## {section.title}", *images, section.text]
    path = out / REPORT_FILE
    with atomic_file(path) as hidden:
        hidden.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return path


def _draw(out: Path, sections: Iterable[Section]) -> dict[str, str]:
    """Draw all figures; the path of each, from the report, by name."""
    with wrap_write_errors(out / _FIGURES):
        (out / _FIGURES).mkdir(exist_ok=True)
    drawn: dict[str, str] = {}
    for section in sections:
        for figure in section.figures:
            place = out if figure.name == "learning_curve" else out / _FIGURES
            with wrap_write_errors(place / f"{figure.name}.png"):
                figure.draw(place / f"{figure.name}.png")
            drawn[figure.name] = (place / f"{figure.name}.png").relative_to(out).as_posix()
    return drawn


def _of_objective(objective: Objective, held_out: HeldOut) -> Iterator[Section]:
    """What there is to say of this objective in particular."""
    head = objective.head
    if head is None:
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
        case "masked_tokens" | "masked_values":
            pass
        case unknown:
            assert_never(unknown)


def _title(objective: Objective, held_out: HeldOut | None) -> str:
    if held_out is None:
        return f"A model trained to {objective.name}"
    metric = objective.monitor.metric
    return f"{objective.name}: {metric} {number(held_out.metrics[metric])} on what was held out"


def _what_was_trained(facts: Mapping[str, str]) -> Section:
    rows = ([plain(name), plain(value)] for name, value in facts.items())
    return Section("What was trained", table(["", ""], rows))


def _scores(objective: Objective, held_out: HeldOut) -> Section:
    rows = (
        [plain(name), number(value), _MEANING.get(name.partition(" ")[0], "")]
        for name, value in held_out.metrics.items()
    )
    text = f"On {len(held_out.order):,} sequences that were held out: {plain(held_out.name)}."
    if held_out.chose_weights:
        text += (
            f" The weights with the best {plain(objective.monitor.metric)} on these same sequences "
            "were kept, which flatters the figures a little; only sequences that had no part in "
            "any choice give a figure free of that."
        )
    return Section("Scores", f"{text}\n\n{table(['figure', 'value', 'meaning'], rows)}")


def _how_to_use(out: Path, objective: Objective) -> Section:
    task = None if objective.head is None else objective.head.task
    load = f"import bothways\n\nencoder = bothways.load({str(out)!r})\n"
    match task:
        case "classes" | "multilabel":
            python, shell = "encoder.classify(sequences)", f"bothways predict {out} INPUT -o OUTPUT"
        case "tags":
            python, shell = "encoder.tag(sequences)", f"bothways predict {out} INPUT -o OUTPUT"
        case "values":
            python, shell = "encoder.predict(sequences)", f"bothways predict {out} INPUT -o OUTPUT"
        case "masked_tokens" | "masked_values" | None:
            python = "encoder.encode(sequences)"
            shell = f"bothways encode INPUT --model {out} -o OUTPUT"
        case unknown:
            assert_never(unknown)
    blocks = code_block("python", load + python), code_block("sh", shell)
    return Section("How to use it", "\n\n".join(blocks))


def _settings(settings: Mapping[str, object]) -> Section:
    rows = (
        [f"`{name}`", "none" if value is None else plain(str(value))]
        for name, value in settings.items()
    )
    return Section("Settings of training", table(["setting", "value"], rows))
