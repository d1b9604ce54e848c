"""`bothways evaluate`: evaluate a model on labeled files, with the report of training."""

import json
from functools import partial
from importlib.util import find_spec
from typing import Annotated, Any

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.console import note
from bothways.cli.generated_options import GivenOptions
from bothways.cli.progress import stage_progress
from bothways.errors import MissingExtra
from bothways.training.options.data import RowOptions
from bothways.training.plan import EvaluationPlan

__all__ = ["COMMAND", "evaluate"]

Values = dict[str, Any]


def evaluate(
    plan: Annotated[Values, GivenOptions(EvaluationPlan)],
    data: Annotated[Values, GivenOptions(RowOptions)],
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Evaluate a model on files of labeled rows.

    Prints the metrics that `bothways train` prints for its held-out rows. With --out, also writes
    its report: scores by class, confusion, calibration, and the worst mistakes with their texts.

    \b
        bothways evaluate runs/topic test.csv --label y
        bothways evaluate runs/topic test.csv --label y --out reports/topic
        bothways evaluate minilm pairs.tsv --task contrast
    """
    if find_spec("torch") is None:
        raise MissingExtra("torch", "evaluation")
    parsed = EvaluationPlan(**plan, data=RowOptions(**data))

    from bothways.training.evaluation import evaluate as run_evaluation

    models.fetch(parsed.model, quiet=quiet)
    result = run_evaluation(
        parsed, tell=None if quiet else note, stage=partial(stage_progress, quiet=quiet)
    )
    report = None if result.report is None else str(result.report)
    if as_json:
        facts = {"task": result.task, "rows": result.rows, "metrics": dict(result.metrics)}
        print(json.dumps(facts | {"report": report}))
        return
    for name, value in result.metrics.items():
        print(f"{name}\t{value:.4g}")
    if report is not None:
        print(f"report\t{report}")


COMMAND = command(evaluate)
