"""What a run tells: a line for each step and validation in metrics.jsonl, and to who listens.

{"kind": "step", "step": 10, "epoch": 0.4, "loss": 1.23, "learning_rate": 5e-05, ...}
{"kind": "validation", "step": 50, "epoch": 2.0, "metrics": {"loss": 0.98, ...}, "best": true}
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from bothways.errors import DataFileError, MissingExtra
from bothways.io.atomic import atomic_file, wrap_write_errors

__all__ = [
    "METRICS_FILE",
    "Progress",
    "StepEvent",
    "TrainingEvent",
    "ValidationEvent",
    "find_tensorboard",
    "forget_after",
    "journal",
    "read_events",
    "tensorboard_writer",
]

METRICS_FILE = "metrics.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepEvent:
    """An update was made.

    step: how many have been made; total_steps: how many a whole run makes. epoch: how often the
    data has been seen, a fraction. loss: the mean over the step's targets. learning_rate: of the
    update. gradient_norm: before clipping. tokens: of all steps so far. tokens_per_second: since
    the last event, of all processes together. seconds: spent on the run so far, over all its parts;
    seconds_left: what the rest will take at the mean speed until now.
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
    """The validation data was evaluated after `step` updates.

    metrics: the objective's figures by name. best: whether its monitored one is the best so far.
    """

    step: int
    epoch: float
    metrics: Mapping[str, float]
    best: bool
    seconds: float


TrainingEvent = StepEvent | ValidationEvent

Progress = Callable[[TrainingEvent], None]
"""Called on the main process after each step and each validation."""

_KINDS: dict[type[TrainingEvent], str] = {StepEvent: "step", ValidationEvent: "validation"}
_UNWRITTEN = ("total_steps", "seconds_left")


class ScalarWriter(Protocol):
    """What is used of TensorBoard's `SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Note a figure."""

    def close(self) -> None:
        """Write what is not yet written."""


@contextlib.contextmanager
def journal(
    path: Path, *, log_every: int, scalars: ScalarWriter | None, progress: Progress | None
) -> Iterator[Progress]:
    """Yield what is to be told of each event: it writes to the files, and tells `progress`.

    log_every: of how many steps one is written. scalars: gets the figures that are, if given.

    Raises:
        DataFileError: if the disk takes no more.
    """
    with contextlib.ExitStack() as stack:
        with wrap_write_errors(path):
            file = stack.enter_context(path.open("a", encoding="utf-8"))
        if scalars is not None:
            stack.callback(scalars.close)

        def tell(event: TrainingEvent) -> None:
            if not (isinstance(event, StepEvent) and event.step % log_every):
                with wrap_write_errors(path):
                    file.write(json.dumps(_to_dict(event), allow_nan=False) + "\n")
                    file.flush()
                if scalars is not None:
                    for tag, value in _scalars(event):
                        scalars.add_scalar(tag, value, event.step)
            if progress is not None:
                progress(event)

        yield tell


def tensorboard_writer(folder: Path, step: int) -> ScalarWriter:
    """A writer of TensorBoard's files; what an earlier part of the run wrote after `step` is void.

    Raises:
        MissingExtra: if TensorBoard is not installed.
    """
    writer: ScalarWriter = find_tensorboard()(str(folder), purge_step=step + 1)
    return writer


def find_tensorboard() -> Callable[..., ScalarWriter]:
    """What makes writers of TensorBoard's files.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtra("tensorboard", "writing files for TensorBoard") from error
    return cast(Callable[..., ScalarWriter], SummaryWriter)


def read_events(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; a last one that is cut short is left out.

    Raises:
        DataFileError: if the file cannot be read, or another line is not as `journal` writes them.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path}: cannot be read: {error}") from error
    events = []
    for number, line in enumerate(lines[:-1], start=1):  # whole lines end in a line feed
        try:
            event = json.loads(line)
            known = event["kind"] in _KINDS.values() and isinstance(event["step"], int)
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise DataFileError(f"{path}, line {number}: not a line that a training run writes")
        events.append(event)
    return events


def forget_after(path: Path, step: int) -> None:
    """Take back the lines of later steps, which a resumed run will write again."""
    if not path.is_file():
        return
    kept = [event for event in read_events(path) if event["step"] <= step]
    with atomic_file(path) as hidden:
        hidden.write_text("".join(json.dumps(event) + "\n" for event in kept), encoding="utf-8")


def _to_dict(event: TrainingEvent) -> dict[str, Any]:
    """An event for JSON, which has no NaN: null stands for what is not a number."""
    values: dict[str, Any] = {"kind": _KINDS[type(event)]}
    for name, value in dataclasses.asdict(event).items():
        if name not in _UNWRITTEN:
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
