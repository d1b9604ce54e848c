"""Training events: a line in metrics.jsonl and a callback for each step and validation.

{"kind": "step", "step": 10, "epoch": 0.4, "loss": 1.23, "learning_rate": 5e-05, ...}
{"kind": "validation", "step": 50, "epoch": 2.0, "metrics": {"loss": 0.98, ...}, "best": true}
"""

import contextlib
import dataclasses
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from bothways.errors import DataFileError, MissingExtra
from bothways.io.atomic import atomic_file, wrap_write_errors

__all__ = [
    "METRICS_FILE",
    "EventCallback",
    "StepEvent",
    "TrainingEvent",
    "ValidationEvent",
    "discard_events_after",
    "event_log",
    "find_tensorboard",
    "read_events",
    "tensorboard_writer",
]

METRICS_FILE = "metrics.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepEvent:
    """An update of the weights.

    step: number of updates so far. total_steps: number of updates of the whole run. epoch: passes
    over the training data so far, a fraction. loss: mean over the step's targets. learning_rate: of
    this update. gradient_norm: before clipping. tokens: training tokens so far. tokens_per_second:
    since the last event, over all processes. seconds: time spent training, including before a
    resume. seconds_left: estimate for the rest of the run, at its mean speed.
    """

    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    tokens_per_second: float
    seconds: float
    seconds_left: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationEvent:
    """An evaluation of the validation data after `step` updates.

    metrics: the objective's metrics by name. best: whether the monitored one is the best so far.
    """

    step: int
    epoch: float
    metrics: Mapping[str, float]
    best: bool
    seconds: float


TrainingEvent = StepEvent | ValidationEvent

EventCallback = Callable[[TrainingEvent], None]
"""Called on the main process after each step and each validation."""

_KINDS: dict[type[TrainingEvent], str] = {StepEvent: "step", ValidationEvent: "validation"}
_NOT_LOGGED = ("total_steps", "seconds_left")


class ScalarWriter(Protocol):
    """The methods of TensorBoard's `SummaryWriter` that bothways calls."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Record a scalar."""

    def close(self) -> None:
        """Flush and close the files."""


@contextlib.contextmanager
def event_log(
    path: Path, *, log_every: int, scalars: ScalarWriter | None, progress: EventCallback | None
) -> Iterator[EventCallback]:
    """Yield a function that logs an event to the files and passes it to `progress`.

    log_every: log every n-th step. scalars: also gets the logged metrics.

    Raises:
        DataFileError: if the file cannot be written, for example on a full disk.
    """
    with contextlib.ExitStack() as stack:
        with wrap_write_errors(path):
            file = stack.enter_context(path.open("a", encoding="utf-8"))
        if scalars is not None:
            stack.callback(scalars.close)

        def emit(event: TrainingEvent) -> None:
            if not (isinstance(event, StepEvent) and event.step % log_every):
                with wrap_write_errors(path):
                    file.write(json.dumps(_to_dict(event), allow_nan=False) + "\n")
                    file.flush()
                if scalars is not None:
                    for tag, value in _scalars(event):
                        scalars.add_scalar(tag, value, event.step)
            if progress is not None:
                progress(event)

        yield emit


def tensorboard_writer(folder: Path, step: int) -> ScalarWriter:
    """A writer of TensorBoard files that discards what the run wrote after `step` before.

    Raises:
        MissingExtra: if TensorBoard is not installed.
    """
    writer: ScalarWriter = find_tensorboard()(str(folder), purge_step=step + 1)
    return writer


def find_tensorboard() -> Callable[..., ScalarWriter]:
    """TensorBoard's `SummaryWriter` class.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtra("tensorboard", "writing files for TensorBoard") from error
    return cast(Callable[..., ScalarWriter], SummaryWriter)


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read the events of a metrics.jsonl, without an incomplete last line.

    Raises:
        DataFileError: if the file cannot be read, or another line is not an event.
    """
    events = []
    for number, line in enumerate(_complete_lines(path), start=1):
        event = _parse_event(line)
        if event is None:
            raise DataFileError(f"{path}, line {number}: not a training event")
        events.append(event)
    return events


def discard_events_after(path: Path, step: int) -> None:
    """Remove the events of later steps, which a resumed run will log again.

    Damaged lines are removed too, with a warning: they are history, and no weight depends on them.

    Raises:
        DataFileError: if the file cannot be read or written.
    """
    if not path.is_file():
        return
    events = [_parse_event(line) for line in _complete_lines(path)]
    damaged = events.count(None)
    if damaged:
        warnings.warn(
            f"{path}: removed {damaged:,} damaged lines; the curves of the report lack their steps",
            stacklevel=2,
        )
    kept = [event for event in events if event is not None and event["step"] <= step]
    with atomic_file(path) as hidden:
        hidden.write_text("".join(json.dumps(event) + "\n" for event in kept), encoding="utf-8")


def _complete_lines(path: Path) -> list[bytes]:
    """The lines that end with a line feed."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _parse_event(line: bytes) -> dict[str, Any] | None:
    """The event in a line; None if the line is damaged."""
    try:
        event = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or type(event.get("step")) is not int:
        return None
    match event.get("kind"):
        case "step":
            numbers = [event.get(name) for name in ("epoch", "loss", "learning_rate")]
        case "validation" if isinstance(event.get("metrics"), dict):
            numbers = [event.get("epoch"), *event["metrics"].values()]
            if not isinstance(event.get("best"), bool) or event.get("epoch") is None:
                return None
        case _:
            return None
    is_valid = 0 <= event["step"] < 2**63 and all(map(_is_number_or_null, numbers))
    return event if is_valid else None


def _is_number_or_null(value: Any) -> bool:
    if type(value) is int:
        return abs(value) < 2**63
    return value is None or (isinstance(value, float) and math.isfinite(value))


def _to_dict(event: TrainingEvent) -> dict[str, Any]:
    """An event as JSON values, with null for NaN and infinity."""
    values: dict[str, Any] = {"kind": _KINDS[type(event)]}
    for name, value in dataclasses.asdict(event).items():
        if name not in _NOT_LOGGED:
            values[name] = _finite(value)
    return values


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _scalars(event: TrainingEvent) -> Iterator[tuple[str, float]]:
    match event:
        case StepEvent():
            for name in ("loss", "learning_rate", "gradient_norm", "tokens_per_second"):
                yield f"training/{name}", getattr(event, name)
        case ValidationEvent():
            for name, value in event.metrics.items():
                yield f"validation/{name}", value
