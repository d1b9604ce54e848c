"""What the heads of a model predict for one sequence, for its view.

L positions; C labels.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.inference.options import RunOptions
from bothways.inference.predict.fill_mask import mask_predictions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.predict.tag import token_tags
from bothways.inference.predict.vocabulary import mask_token_id
from bothways.inference.session import Session
from bothways.model.heads import HeadTask
from bothways.sequences import FittedSequence
from bothways.views.attend.results import SequencePrediction, TokenPrediction

__all__ = ["HeadResults", "predict_heads", "run_to"]

MAX_PREDICTIONS = 10
"""Labels of a sequence that the page lists: the most probable."""

TOP_TOKENS = 5
"""Tokens that the page lists for each mask."""

TOP_TAGS = 3
"""Tags that the page lists for each token."""


class HeadResults(NamedTuple):
    """Predictions for the sequence and for positions, and the run to a head that pools, if any."""

    predictions: tuple[SequencePrediction, ...]
    token_predictions: tuple[TokenPrediction, ...]
    pooled_run: HeadRun | None


def predict_heads(session: Session, fitted: FittedSequence, options: RunOptions) -> HeadResults:
    """What each head of the model predicts for a sequence.

    Raises:
        InputError: if an output is not finite.
    """
    pooled_run: HeadRun | None = None
    predictions: list[SequencePrediction] = []
    of_tokens: list[TokenPrediction] = []
    for task in session.heads.tasks:
        match task:
            case "classes" | "multilabel" | "values":
                pooled_run = run_to(session, task, fitted, options)
                predictions += _of_sequence(pooled_run)
            case "tags":
                of_tokens += _tags(run_to(session, task, fitted, options))
            case "masked_tokens":
                of_tokens += _masks(session, fitted, options)
            case "masked_values" | "answer_spans":
                pass  # these need an input that marks what to predict
    return HeadResults(tuple(predictions), tuple(of_tokens), pooled_run)


def run_to(
    session: Session, task: HeadTask, fitted: FittedSequence, options: RunOptions
) -> HeadRun:
    """A run of one sequence to the head for a task."""
    head = session.heads.find(task, purpose="attend")
    return HeadRun(session, head, session.heads.weights(head), [fitted], options)


def _of_sequence(run: HeadRun) -> Iterator[SequencePrediction]:
    (outputs,) = run.probabilities(run.sequence_outputs())
    if run.head.task == "values":
        for name, value in zip(run.head.labels, outputs.tolist(), strict=True):
            yield SequencePrediction(name, value, "value")
        return
    for label in np.argsort(-outputs, kind="stable")[:MAX_PREDICTIONS].tolist():
        yield SequencePrediction(run.head.labels[label], float(outputs[label]), "probability")


def _tags(run: HeadRun) -> Iterator[TokenPrediction]:
    ((index, states_LD),) = run.last_hidden_states()
    tags = token_tags(run, index, states_LD)
    positions = run.fitted[index].content_positions.tolist()
    for position, share_C in zip(positions, tags.probabilities, strict=True):
        best = np.argsort(-share_C, kind="stable")[:TOP_TAGS].tolist()
        yield TokenPrediction(
            position,
            tuple(tags.names[label] for label in best),
            tuple(float(share_C[label]) for label in best),
        )


def _masks(
    session: Session, fitted: FittedSequence, options: RunOptions
) -> Iterator[TokenPrediction]:
    try:
        mask = mask_token_id(session)
    except InputError:  # a model without a mask token
        return
    if mask not in fitted.windows[0].tolist():
        return
    run = run_to(session, "masked_tokens", fitted, options)
    (predictions,) = mask_predictions(run, run.last_hidden_states(), TOP_TOKENS)
    for prediction in predictions:
        yield TokenPrediction(
            prediction.position,
            tuple(prediction.tokens),
            tuple(map(float, prediction.probabilities)),
        )
