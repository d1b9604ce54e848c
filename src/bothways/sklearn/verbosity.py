"""Lines on standard output while an estimator trains, as scikit-learn's `verbose` prints them."""

import math

from bothways.training.runs.events import EventCallback, StepEvent, ValidationEvent

__all__ = ["progress_printer"]


def progress_printer(verbose: int) -> EventCallback | None:
    """A callback that prints events.

    verbose: 0 for none, 1 for a line for each epoch and validation, 2 or more for each step.
    """
    if not verbose:
        return None
    epoch = 0

    def report(event: object) -> None:
        nonlocal epoch
        match event:
            case StepEvent():
                is_new = math.floor(event.epoch) > epoch or event.step == event.total_steps
                epoch = math.floor(event.epoch)
                if is_new or verbose > 1:
                    print(_step_line(event))
            case ValidationEvent():
                figures = ", ".join(f"{name} {value:.4g}" for name, value in event.metrics.items())
                print(f"step {event.step}: held out: {figures}{' (best)' if event.best else ''}")

    return report


def _step_line(event: StepEvent) -> str:
    epochs = event.epoch / event.step * event.total_steps
    return (
        f"step {event.step} of {event.total_steps}, epoch {event.epoch:.3g} of {epochs:.3g}: "
        f"loss {event.loss:.4g}, {event.tokens_per_second:,.0f} tokens/s"
    )
