"""Cross-validation of a run: models trained on most rows, evaluated on the others, for all rows.

Each fold is trained as the run itself, with a vocabulary and validation rows of its own, and its
test rows choose nothing: not the weights, and not the vocabulary. n rows.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bothways.errors import DataFileError
from bothways.training.data.source import hidden_stage
from bothways.training.data.split import choose_folds, choose_held_out
from bothways.training.data.training_data import SplitExamples, TrainingData
from bothways.training.distributed.processes import Workers
from bothways.training.engine.loop import fit
from bothways.training.engine.start_options import StartOptions
from bothways.training.linear_term.choosing import choose_linear_term
from bothways.training.plan import TrainingPlan
from bothways.training.preparation import PreparedRun, prepare_on
from bothways.training.report.held_out import evaluate_held_out
from bothways.training.runs.signals import TrainingInterrupted
from bothways.training.simple_models.comparison import (
    ComparedRows,
    ModelComparison,
    compare_rows,
    predict_with_simple_models,
)
from bothways.training.simple_models.probe import probe_vectors

__all__ = ["check_folds", "cross_validate"]


def cross_validate(
    plan: TrainingPlan,
    run: PreparedRun,
    folds: int,
    scratch: Path,
    workers: Workers,
    *,
    how_to_resume: str,
    progress: Callable[[int], None],
) -> ModelComparison | None:
    """Train and evaluate a model for each fold; every process calls this.

    run: the run whose data is divided. scratch: an empty folder for the models, which are not kept.
    progress: called with the number of folds that are done.
    Returns the score on all rows, beside simple models of the same folds; None on other processes.

    Raises:
        DataFileError: if there are fewer groups of rows than folds.
        TrainingInterrupted: if a signal stopped a fold; the folds start again when resumed.
    """
    fold_n = _folds(run.data, folds, plan.settings.seed)
    compared = []
    for fold in range(folds):
        progress(fold)
        try:
            compared.append(_run_fold(plan, run, fold_n == fold, scratch / str(fold), workers))
        except TrainingInterrupted as stop:
            raise TrainingInterrupted(
                f"stopped in fold {fold + 1} of {folds}; the model in {plan.out} is trained, and "
                f"the folds start again with {how_to_resume}",
                stop.number,
                Path(plan.out),
            ) from None
    if not workers.is_main:
        return None
    rows = ComparedRows.concatenate([each for each in compared if each is not None])
    head = run.objective.head
    return None if head is None else dataclasses.replace(compare_rows(rows, head), folds=folds)


def check_folds(data: TrainingData, folds: int, *, seed: int) -> None:
    """Check before training that the rows can be divided into folds.

    Raises:
        DataFileError: if there are fewer groups of rows than folds.
    """
    _folds(data, folds, seed)


def _folds(data: TrainingData, folds: int, seed: int) -> np.ndarray:
    name = data.source.files[0].name
    return choose_folds(data.survey, folds=folds, seed=seed, name=name)


def _run_fold(
    plan: TrainingPlan, run: PreparedRun, test_n: np.ndarray, scratch: Path, workers: Workers
) -> ComparedRows | None:
    """Train on the rows outside of the test rows, and predict these."""
    scratch.mkdir()
    chosen_n = _validation_rows(run.data, test_n, plan.settings.seed)
    data = dataclasses.replace(run.data, held_out=test_n | chosen_n)
    base = None if run.start.from_scratch else run.start
    prepared = prepare_on(data, plan, base, None, scratch, workers, hidden_stage)
    held_out = prepared.examples.validation
    if held_out is None:
        raise DataFileError(f"{data.source.files[0].name}: no row of a fold has an example")
    is_test = test_n[data.held_out]
    parts = [held_out.select(np.flatnonzero(rows)) for rows in (~is_test, is_test)]
    validation, test = parts
    trains_head = prepared.needs_head(plan.settings)
    if trains_head:
        prepared.train_head(plan.settings, workers, scratch)
    result = fit(
        prepared.model,
        prepared.objective,
        prepared.train,
        validation.to_dataset(),
        plan.settings,
        scratch / "run",
        template=prepared.start.folder,
        from_scratch=prepared.start.from_scratch,
        options=StartOptions(validate_first=trains_head),
    )
    objective = prepared.objective
    if prepared.tries_linear_term(result.settings):
        choice = choose_linear_term(
            prepared.model,
            objective,
            prepared.examples.train,
            validation,
            result.settings,
            workers,
            refit=True,
        )
        objective = objective if choice is None else choice.saved
    evaluated = evaluate_held_out(
        prepared.model,
        objective,
        test,
        result.settings,
        workers,
        name="",
        chose_weights=False,
        read_texts=dict,
    )
    head = objective.head
    if evaluated is None or head is None:
        return None
    examples = SplitExamples(prepared.examples.train, test, prepared.examples.losses)
    vectors = None
    if plan.settings.simple_models:
        vectors = probe_vectors(prepared.start, head, examples, result.settings, workers, scratch)
    return predict_with_simple_models(
        data,
        examples,
        evaluated.evaluated,
        evaluated.order,
        head=head,
        seed=plan.settings.seed,
        vectors=vectors,
        held_out_rows=np.flatnonzero(is_test),
        simple_models=plan.settings.simple_models,
    )


def _validation_rows(data: TrainingData, test_n: np.ndarray, seed: int) -> np.ndarray:
    """A tenth of the rows outside of the test rows, which selects the weights, bool (n,)."""
    rest = np.flatnonzero(~test_n)
    survey = data.survey
    classes = None if survey.classes is None else survey.classes[rest]
    part = dataclasses.replace(survey, keys=survey.keys[rest], classes=classes)
    held_out = choose_held_out(part, fraction=None, seed=seed, name=data.source.files[0].name)
    chosen_n = np.zeros(len(test_n), dtype=bool)
    chosen_n[rest[held_out]] = True
    return chosen_n
