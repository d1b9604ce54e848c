"""`bothways compare`: why self-attention, as a report of what was measured on this machine."""

import contextlib
import dataclasses
import shlex
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from bothways.cli import options as o
from bothways.cli.progress import clock, comparison_progress
from bothways.errors import MissingExtra
from bothways.lab.registry import ComparisonName
from bothways.lab.settings import LabTask, Scale
from bothways.model.baselines.any_encoder import EncoderName

if TYPE_CHECKING:
    from bothways.lab.comparison import Comparison

__all__ = ["compare"]

SubjectArgument = Annotated[
    ComparisonName,
    typer.Argument(
        metavar="SUBJECT",
        help="ablation: the encoder block without each of its parts. bottleneck: accuracy by "
        "length, with one vector of a sequence or attention to all its states. data: scores, time "
        "and weights on a file of yours. distance: recall by distance, and gradients. speed: time "
        "by length, and what explains it.",
        show_default=False,
    ),
]
FileArgument = Annotated[
    str | None,
    typer.Argument(metavar="[FILE]", help="For data: the labeled rows.", show_default=False),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="The folder of the report. By default compare-SUBJECT, here.",
        show_default=False,
    ),
]
Full = Annotated[
    bool, typer.Option("--full", help="The long version. Without, ten minutes at most.")
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Seconds, to see that it works: its figures say nothing.")
]
Seeds = Annotated[
    str | None,
    typer.Option(
        metavar="N,N,...", help="The seeds that each is trained from.", show_default=False
    ),
]
Encoders = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help=f"What is compared, of {', '.join(get_args(EncoderName))}; for speed also of "
        "transformer-window.",
        show_default=False,
    ),
]
TaskOption = Annotated[
    LabTask | None,
    typer.Option(
        "--task",
        help="For bottleneck: what is said of a sequence; by default copy. For data: what is "
        "learned of its rows; by default classify.",
        show_default=False,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME",
        help="For data: the column of the sequences; twice for a pair of texts.",
        show_default=False,
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        "--target",
        metavar="NAME",
        help="For data: the column of the labels, tags or numbers; several of numbers.",
        show_default=False,
    ),
]
AlphabetOption = Annotated[
    str | None,
    typer.Option(
        "--alphabet",
        metavar="NAME",
        help=f"For data: reads symbols rather than text, as train does it: {o.ALPHABETS}.",
        show_default=False,
    ),
]
Threads = Annotated[
    str | None,
    typer.Option(
        metavar="COUNT",
        help="CPU threads; for speed maybe several, as 1,2. By default as torch chooses.",
        show_default=False,
    ),
]


def compare(
    subject: SubjectArgument,
    file: FileArgument = None,
    task: TaskOption = None,
    column: Columns = None,
    label: Labels = None,
    alphabet: AlphabetOption = None,
    out: Out = None,
    full: Full = False,
    quick: Quick = False,
    seeds: Seeds = None,
    encoders: Encoders = None,
    threads: Threads = None,
    quiet: o.Quiet = False,
) -> None:
    """Hold the Transformer against recurrent encoders, and against itself with parts left out.

    A report comes of it: report.html, which any browser shows without a network, its figures beside
    it, and raw.json with all numbers. What is compared has the same number of weights and the same
    budget; the report says what they are.

    \b
        bothways compare ablation
        bothways compare speed
        bothways compare speed --full --out reports/speed
        bothways compare data train.csv --label topic
    """
    if find_spec("torch") is None:
        raise MissingExtra("torch", "comparing")
    if find_spec("matplotlib") is None:
        raise MissingExtra("plots", "comparing")
    if full and quick:
        raise typer.BadParameter("one of the two", param_hint="--full, --quick")
    given = {
        "file": file,
        "task": task,
        "column": tuple(column) if column else None,
        "label": tuple(label) if label else None,
        "alphabet": alphabet,
        "seeds": _numbers(seeds, "--seeds", least=0),
        "encoders": _parts(encoders),
        "threads": _numbers(threads, "--threads", least=1),
    }
    options: dict[str, Sequence[str | None]] = {
        "column": column or [],
        "label": label or [],
        "task": [task],
        "alphabet": [alphabet],
        "seeds": [seeds],
        "encoders": [encoders],
        "threads": [threads],
    }
    words = ["bothways", "compare", subject, *([] if file is None else [file])]
    for name, values in options.items():
        for value in values:
            words += [] if value is None else [f"--{name}", value]
    scale: Scale = "full" if full else "quick" if quick else "default"
    words += [] if scale == "default" else [f"--{scale}"]
    _make(
        subject,
        scale,
        {name: value for name, value in given.items() if value is not None},
        out or Path(f"compare-{subject}"),
        command=shlex.join(words),
        quiet=quiet,
    )


def _make(
    subject: ComparisonName,
    scale: Scale,
    given: dict[str, Any],
    out: Path,
    *,
    command: str,
    quiet: bool,
) -> None:
    from bothways.lab.registry import load_comparison
    from bothways.lab.report.content import ComparisonReport
    from bothways.lab.report.environment import describe_environment
    from bothways.lab.report.writer import make_folder, write_report

    comparison = load_comparison(subject)
    count = _count_of_threads(comparison, given)
    settings = _with_options(subject, comparison.presets[scale], given)
    make_folder(out)  # what cannot be written is better known before the work
    facts, begun = describe_environment(), time.monotonic()
    with comparison_progress(quiet=quiet) as progress, _threads_set(count):
        result = comparison.run(settings, progress)
    sections = tuple(comparison.sections(result))
    facts["time taken"] = clock(time.monotonic() - begun)
    facts |= {
        field.name.replace("_", " "): _told(getattr(settings, field.name))
        for field in dataclasses.fields(settings)
    }
    report = ComparisonReport(comparison.title, command, facts, sections, result.to_dict())
    path = write_report(out, report)
    print(sections[0].paragraphs[0])
    print(f"report\t{path}")


def _with_options(subject: ComparisonName, settings: Any, given: dict[str, Any]) -> Any:
    """The settings, with the options that were given in their fields' places."""
    fields = {field.name for field in dataclasses.fields(settings)}
    if "file" in fields and "file" not in given:
        raise typer.BadParameter(f"{subject} needs a file of labeled rows", param_hint="FILE")
    for name in given:
        if name not in fields:
            shown = "FILE" if name == "file" else f"--{name}"
            raise typer.BadParameter(f"{subject} takes none", param_hint=shown)
    return dataclasses.replace(settings, **given)


def _count_of_threads(comparison: "Comparison[Any, Any]", given: dict[str, Any]) -> int | None:
    """How many threads to set, where that is not itself a matter of the comparison."""
    fields = {field.name for field in dataclasses.fields(comparison.presets["default"])}
    if "threads" in fields or "threads" not in given:
        return None
    count, *others = given.pop("threads")
    if others:
        raise typer.BadParameter("expected one number", param_hint="--threads")
    return int(count)


def _threads_set(count: int | None) -> contextlib.AbstractContextManager[None]:
    from bothways.nn.threads import torch_threads

    return contextlib.nullcontext() if count is None else torch_threads(count)


def _parts(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


def _numbers(text: str | None, option: str, *, least: int) -> tuple[int, ...] | None:
    parts = _parts(text)
    if parts is None:
        return None
    if not all(part.isdecimal() and int(part) >= least for part in parts):
        raise typer.BadParameter(
            f"{text!r}: expected numbers from {least} on, with commas between", param_hint=option
        )
    return tuple(int(part) for part in parts)


def _told(value: object) -> str:
    """A setting's value for the page: several with commas between."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
