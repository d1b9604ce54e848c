"""`bothways compare`: measure the Transformer against other encoders, and write a report."""

import contextlib
import dataclasses
import functools
import shlex
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from bothways.cli import options as o
from bothways.cli.command import CONTEXT_SETTINGS, GroupedCommand, LazyGroup, command
from bothways.cli.generated_options import GivenOptions, to_arguments
from bothways.cli.progress import clock, comparison_progress
from bothways.errors import MissingExtra
from bothways.io.options import Option, options_of
from bothways.lab.registry import ComparisonName, load_presets
from bothways.lab.settings import Scale

__all__ = ["COMMAND", "SUBJECTS"]

SUBJECTS: dict[ComparisonName, str] = {
    "ablation": """Compare the encoder block with variants that lack one of its parts.

    \b
        bothways compare ablation
        bothways compare ablation --full --out reports/ablation
    """,
    "bottleneck": """Compare attention with a single vector between encoder and decoder.

    Reports accuracy by sequence length for a recurrent encoder with one vector, the same with
    attention, and the Transformer.

    \b
        bothways compare bottleneck
        bothways compare bottleneck --task dates --seeds 0,1
    """,
    "data": """Compare encoders on a file of labeled rows: score, time and parameters.

    \b
        bothways compare data train.csv --label topic
        bothways compare data proteins.csv --alphabet protein --encoders transformer,lstm
    """,
    "distance": """Compare how well encoders recall over distance, and their gradients.

    \b
        bothways compare distance
        bothways compare distance --encoders transformer,gru --full
    """,
    "speed": """Compare the time of encoders by sequence length, and count operations.

    \b
        bothways compare speed
        bothways compare speed --full --out reports/speed
    """,
}
"""The help of each comparison. Its first line also describes it in `bothways compare --help`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """The scale of a comparison, and where its report goes."""

    out: Annotated[
        str | None,
        Option(
            "Folder of the report (default: compare- and the name of the comparison).",
            unit="DIR", flags=("--out", "-o"),
        ),
    ] = None  # fmt: skip
    full: Annotated[
        bool, Option("Run the long version; the usual one takes at most ten minutes.")
    ] = False
    quick: Annotated[
        bool, Option("Run for seconds, to test the program: the numbers mean nothing.")
    ] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThreadOptions:
    """The number of threads, for comparisons that do not measure its effect."""

    threads: Annotated[
        int | None, Option("Number of CPU threads (default: torch's setting).", unit="N", minimum=1)
    ] = None


class _Comparisons(LazyGroup):
    names = tuple(SUBJECTS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return next((_command(name) for name in SUBJECTS if name == cmd_name), None)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # Options may also precede the name of the comparison.
        name = next((word for word in args if word in self.names), None)
        if name is not None and not {"-h", "--help"} & set(args[: args.index(name)]):
            args = [name, *args[: args.index(name)], *args[args.index(name) + 1 :]]
        return super().parse_args(ctx, args)


@functools.cache
def _command(name: ComparisonName) -> GroupedCommand:
    """The command of one comparison, whose options are the fields of its settings."""
    settings_class = type(load_presets(name)["default"])
    has_file, has_threads = (
        any(field.name == option for field in options_of(settings_class))
        for option in ("file", "threads")
    )
    arguments = ("file",) if has_file else ()
    given_options = GivenOptions(settings_class, arguments=arguments, group="Comparison")

    def compare(
        given: Annotated[dict[str, Any], given_options],
        report: ReportOptions,
        quiet: o.Quiet = False,
    ) -> None:
        _compare(name, given, report, ThreadOptions(), quiet=quiet)

    def compare_with_threads(
        given: Annotated[dict[str, Any], given_options],
        threads: ThreadOptions,
        report: ReportOptions,
        quiet: o.Quiet = False,
    ) -> None:
        _compare(name, given, report, threads, quiet=quiet)

    function = compare if has_threads else compare_with_threads
    function.__doc__ = SUBJECTS[name]
    return command(function, name=name)


def _compare(
    name: ComparisonName,
    given: dict[str, Any],
    report: ReportOptions,
    threads: ThreadOptions,
    *,
    quiet: bool,
) -> None:
    for package, extra in (("torch", "torch"), ("matplotlib", "plots")):
        if find_spec(package) is None:
            raise MissingExtra(extra, "comparing")
    if report.full and report.quick:
        raise typer.BadParameter("use only one of the two", param_hint="--full, --quick")
    from bothways.lab.registry import load_comparison
    from bothways.lab.report.content import ComparisonReport
    from bothways.lab.report.environment import describe_environment
    from bothways.lab.report.writer import report_folder, write_report

    scale: Scale = "full" if report.full else "quick" if report.quick else "default"
    comparison = load_comparison(name)
    settings = dataclasses.replace(comparison.presets[scale], **given)
    folder = Path(report.out or f"compare-{name}")
    facts, started = describe_environment(), time.monotonic()
    with report_folder(folder):  # an invalid one is an error before the work, not after it
        with comparison_progress(quiet=quiet) as progress, _set_threads(threads.threads):
            result = comparison.run(settings, progress)
        sections = tuple(comparison.sections(result))
        facts["time taken"] = clock(time.monotonic() - started)
        facts |= {
            field.name.replace("_", " "): _setting_text(getattr(settings, field.name))
            for field in dataclasses.fields(settings)
        }
        words = _command_line(name, scale, given, threads)
        path = write_report(
            folder, ComparisonReport(comparison.title, words, facts, sections, result.to_dict())
        )
    print(sections[0].paragraphs[0])
    print(f"report\t{path}")


def _command_line(
    name: ComparisonName, scale: Scale, given: dict[str, Any], threads: ThreadOptions
) -> str:
    """The command that repeats a comparison, without the folder of its report."""
    file = [given["file"]] if "file" in given else []
    options = {option: value for option, value in given.items() if option != "file"}
    count = {} if threads.threads is None else {"threads": threads.threads}
    return shlex.join(
        [
            *("bothways", "compare", name, *file),
            *to_arguments(type(load_presets(name)[scale]), options),
            *to_arguments(ThreadOptions, count),
            *([] if scale == "default" else [f"--{scale}"]),
        ]
    )


def _set_threads(count: int | None) -> contextlib.AbstractContextManager[None]:
    from bothways.nn.threads import torch_threads

    return contextlib.nullcontext() if count is None else torch_threads(count)


def _setting_text(value: object) -> str:
    """The value of a setting, for the report."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _group() -> Any:
    app = typer.Typer(
        name="compare",
        cls=_Comparisons,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings=CONTEXT_SETTINGS,
    )

    @app.callback()
    def compare() -> None:
        """Compare the Transformer with recurrent and convolutional baselines.

        Trains or times encoders with equal numbers of parameters and equal budgets, and writes
        report.html, which needs no network, its figures, and raw.json with all numbers.

        \b
            bothways compare speed --full --out reports/speed
            bothways compare data train.csv --label topic
        """

    return typer.main.get_command(app)


COMMAND = _group()
