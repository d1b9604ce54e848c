"""The report section on simple models, and the sentences at the top of a report."""

from collections.abc import Iterator

from bothways.training.report.held_out import MarkdownSection
from bothways.training.report.markdown import plain, table
from bothways.training.simple_models.comparison import ModelComparison
from bothways.training.simple_models.scores import Interval

_MORE_ROWS = (
    "--folds 5 evaluates on all rows, at five times the cost; --held-out 0.3 holds out more."
)

__all__ = ["advice", "simple_models"]


def advice(comparison: ModelComparison) -> Iterator[str]:
    """What the score means: whether a simple model is as good, and whether rows are few."""
    if comparison.simple:
        yield comparison.verdict
    if comparison.missing is not None:
        yield f"{comparison.missing[0].upper()}{comparison.missing[1:]}"
    if comparison.has_few_rows:
        yield (
            f"{comparison.rows:,} rows are few: read the score with its interval. {_MORE_ROWS}"
            if comparison.folds is None
            else f"{comparison.rows:,} rows are few: read the score with its interval."
        )


def simple_models(comparison: ModelComparison) -> MarkdownSection:
    """The scores of the trained model and of simple models, with intervals."""
    name = comparison.metric_name
    rows = [["the trained model", f"{comparison.score:.3f}", _ends(comparison.interval), ""]]
    rows += [
        [
            plain(model.name),
            f"{model.score:.3f}",
            _ends(model.interval),
            f"{model.difference.value:+.3f} ({_ends(model.difference.interval)})",
        ]
        for model in comparison.simple
    ]
    where = f"the same {comparison.rows:,} held-out rows"
    if comparison.folds is not None:
        where = f"the {comparison.rows:,} rows of the {comparison.folds} folds, each once"
    text = (
        f"All models learned from the same training rows and predict {where}. Cross-validation on "
        "the training rows chose the simple model of the first line after the trained one, the one "
        "to beat. Intervals are at 95 %; that of the difference is paired."
    )
    header = ["model", name, "interval", "trained model minus this one"]
    return MarkdownSection("Comparison with simple models", f"{text}\n\n{table(header, rows)}")


def _ends(interval: Interval) -> str:
    low, high = interval
    return f"{low:.3f} to {high:.3f}"
