"""How a run ends early, and what the message says about resuming it."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from bothways.errors import DataFileError
from bothways.io.atomic import WriteFailed
from bothways.training.engine.divergence import TrainingDiverged, summarize_places
from bothways.training.engine.run import TrainingRun
from bothways.training.runs.signals import StopRequest, TrainingInterrupted

__all__ = ["divergence_error", "explain_failed_writes", "interruption"]


@contextlib.contextmanager
def explain_failed_writes(run: TrainingRun, how_to_resume: str) -> Iterator[None]:
    """Add to the error of a failed write what was saved before, and how to resume."""
    try:
        yield
    except WriteFailed as error:
        raise DataFileError(
            f"{error}; {_last_checkpoint(run)}; free some space, then resume with {how_to_resume}"
        ) from error


def divergence_error(
    run: TrainingRun, loss: float, norm: float, places: list[str]
) -> TrainingDiverged:
    """The error for a loss, or a gradient norm, that is NaN or infinite."""
    return TrainingDiverged(
        f"step {run.state.step + 1}: the loss is {loss:.4g} and the gradient norm {norm:.4g}; the "
        f"weights were not updated; {_last_checkpoint(run)}; rows of the batch: "
        f"{summarize_places(places)}; check these rows for bad values, or start a new run with a "
        "lower learning rate",
        places,
    )


def interruption(
    run: TrainingRun, stop: StopRequest, checkpoint: Path, how_to_resume: str
) -> TrainingInterrupted:
    """The exception for a run that a signal stopped after it was saved."""
    number = max(run.workers.all_gather_object(stop.number))
    name = signal.Signals(number).name
    return TrainingInterrupted(
        f"stopped by {name} after step {run.state.step} of {run.total_steps}, saved in "
        f"{checkpoint}; resume with {how_to_resume}",
        number,
        checkpoint,
    )


def _last_checkpoint(run: TrainingRun) -> str:
    checkpoint = run.folder.latest_checkpoint
    return "there is no checkpoint yet" if checkpoint is None else f"last checkpoint: {checkpoint}"
