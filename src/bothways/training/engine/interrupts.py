"""How a run ends that does not come to its end, and what is said of how to go on."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from bothways.errors import DataFileError
from bothways.io.atomic import WriteFailed
from bothways.training.engine.divergence import TrainingDiverged, in_words
from bothways.training.engine.run import Run
from bothways.training.runs.signals import StopRequest, TrainingInterrupted

__all__ = ["advice", "diverged", "interrupted"]


@contextlib.contextmanager
def advice(run: Run, how_to_resume: str) -> Iterator[None]:
    """Say of a file that could not be written what remains, and how to go on."""
    try:
        yield
    except WriteFailed as error:
        remains = _what_remains(run)
        raise DataFileError(
            f"{error}; {remains}; make room, and go on with {how_to_resume}"
        ) from error


def diverged(run: Run, loss: float, norm: float, places: list[str]) -> TrainingDiverged:
    """What to raise of a loss, or a norm of its gradient, that is no number."""
    figures = f"the loss is {loss:.4g} and the norm of its gradient {norm:.4g}"
    return TrainingDiverged(
        f"step {run.state.step + 1}: {figures}; the weights were left as they were; "
        f"{_what_remains(run)}; the batch: {in_words(places)}; look for what is odd in these rows, "
        "or start anew with a lower learning rate",
        places,
    )


def interrupted(
    run: Run, stop: StopRequest, saved: Path, how_to_resume: str
) -> TrainingInterrupted:
    """What to raise when the run was saved because a signal asked it to stop."""
    number = max(run.workers.everyones(stop.number))
    name = signal.Signals(number).name
    return TrainingInterrupted(
        f"stopped by {name} after step {run.state.step} of {run.total_steps}, which is saved in "
        f"{saved}; go on with {how_to_resume}",
        number,
        saved,
    )


def _what_remains(run: Run) -> str:
    last = run.folder.last_good
    return "there is no checkpoint yet" if last is None else f"the last good checkpoint is {last}"
