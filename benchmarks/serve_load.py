"""Latency by request rate of servers of `minilm`: bothways, infinity, and one written by hand.

Claims: with a latency (p99) below 50 ms, bothways answers at least 3 times as many single short
texts per second as infinity, in fp32, and 5 times in int8; lists of 32 mixed texts go at 90 % of
the speed of offline `encode`; at twice the rate that it can do, it answers as many requests as at
its best, refuses the others with 429 and Retry-After, and its memory does not grow.

Requests arrive at random times (Poisson) whether or not earlier ones have been answered, and their
latency counts from the time when they were due. All servers run at the same time, but only one gets
requests; rates are tried on one server after the other, rising until a rate fails twice, and then
halving the last step. This program runs on the same cores as the servers.

    pip install '.[serve,plots]' scipy scikit-learn
    python -m venv build/servers/infinity
    build/servers/infinity/bin/pip install -r benchmarks/servers/infinity.txt
    python -m venv build/servers/fastapi
    build/servers/fastapi/bin/pip install -r benchmarks/servers/fastapi.txt
    python benchmarks/serve_load.py
    python benchmarks/serve_load.py --quick
"""

import argparse
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import record
from bothways import Encoder
from bothways import load as load_encoder
from bothways.checkpoints import resolve
from bothways.plotting.style import BLUE, GREEN, ORANGE, SKY, new_figure, save_png, style_axes
from corpus import make_workload
from servers.contenders import CONTENDERS, Server
from servers.load import closed_loop, open_loop, request_bodies

COLORS = dict(zip((c.name for c in CONTENDERS), (BLUE, SKY, ORANGE, GREEN), strict=True))
LIST = 32
"""Texts of a list."""

BISECTIONS = 2

WANTED = {"bothways fp32": 3, "bothways int8": 5}
"""Times the rate of infinity."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A kind of request. size: texts of a list, 0 for a single text. start: the first rate.

    limit_ms: the 99th percentile of the latency that a rate must keep. stretch: runs are longer by
    this factor.
    """

    name: str
    size: int
    start: float
    limit_ms: float
    stretch: float = 1.0


CASES = (
    Case("single short texts", 0, 10.0, 50.0),
    Case("lists of 32 mixed texts", LIST, 1.0, 1000.0, stretch=1.2),
)


def main() -> None:
    """Measure all servers, print tables, and write results and figures."""
    options = _arguments()
    record.use_cores(options.cores)
    started = time.monotonic()
    report = record.describe_run()
    report["skipped"] = {
        c.name: absent for c in CONTENDERS if (absent := c.missing(options.environments))
    }
    model = resolve("minilm")
    texts = {
        0: make_workload("short", 40_000, model).texts,
        LIST: make_workload("mixed", 80_000, model).texts,
    }
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                contextlib.closing(Server(c, model, options.cores, options.environments))
            )
            for c in CONTENDERS
            if c.name in options.contenders and c.name not in report["skipped"]
        ]
        report["rates"] = {}
        for case in CASES:
            bodies = request_bodies(texts[case.size], case.size)
            report["rates"][case.name] = measure_rates(servers, case, bodies, options.seconds)
        report["lists"] = measure_lists(servers, texts[LIST], options)
        bodies = request_bodies(texts[LIST], LIST)
        report["overload"] = {
            server.name: overload(
                server, bodies, median(report["lists"][server.name]) / LIST, options.overload
            )
            for server in servers
            if server.name.startswith("bothways")
        }
    report["minutes"] = (time.monotonic() - started) / 60
    folder = options.output or _folder(report)
    record.write(report, folder / "serve_load.json", "")
    draw(report, folder)
    print_claims(report)


def measure_rates(
    servers: Sequence[Server], case: Case, bodies: Iterator[bytes], seconds: float
) -> dict[str, list[dict[str, Any]]]:
    """The figures of each server at rising rates, one server after the other at each of them."""
    searches = [RateSearch(server, case) for server in servers]
    print(f"\n{case.name}: ms from the due time, by requests per second")
    while active := [search for search in searches if search.rate]:
        for search in active:
            seconds_of_run = seconds * case.stretch
            figures = open_loop(search.server.port, bodies, search.rate, seconds_of_run).summary()
            search.server.settle()
            search.add(figures)
            _print(search.server.name, figures)
        searches.append(searches.pop(0))  # another server is the first one
    return {search.server.name: search.runs for search in searches}


class RateSearch:
    """The search for the highest rate of a server that keeps the limit.

    rate: the next one to try; 0 at the end. passed: the highest that kept the limit.
    """

    def __init__(self, server: Server, case: Case) -> None:
        self.server, self.case = server, case
        self.rate, self.passed, self.failed = case.start, 0.0, 0.0
        self.runs: list[dict[str, Any]] = []
        self._again, self._bisections = True, 0

    def add(self, figures: dict[str, Any]) -> None:
        """Record a run at the rate, and choose the next one."""
        figures["passed"] = is_within(figures, self.case.limit_ms)
        self.runs.append(figures)
        if not figures["passed"] and self._again:
            self._again = False
            return
        self._again = True
        if figures["passed"]:
            self.passed = self.rate
        else:
            self.failed = self.rate
        if not self.failed:
            self.rate *= 2
        elif not self.passed and self.rate > self.case.start / 8:
            self.rate /= 2
        elif self._bisections == BISECTIONS or not self.passed:
            self.rate = 0.0
        else:
            self._bisections += 1
            self.rate = (self.passed + self.failed) / 2


def is_within(figures: dict[str, Any], limit_ms: float) -> bool:
    """Whether all requests of a run were answered, and 99 % of them within the limit."""
    return set(figures["statuses"]) <= {"200"} and figures["ms"].get("p99", 0.0) <= limit_ms


def best_rate(runs: Sequence[dict[str, Any]]) -> float:
    """The highest rate that passed."""
    return max((run["rate"] for run in runs if run["passed"]), default=0.0)


def measure_lists(
    servers: Sequence[Server], texts: Sequence[str], options: argparse.Namespace
) -> dict[str, list[float]]:
    """Texts per second of lists in a closed loop of 4 clients, and of `encode`, in rounds."""
    encoders: dict[str, Encoder] = {
        "fp32": load_encoder("minilm", precision="fp32", threads=options.cores),
        "int8": load_encoder("minilm", precision="int8", threads=options.cores),
    }
    speeds: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for precision, encoder in encoders.items():
            started, done = time.perf_counter(), 0
            while time.perf_counter() < started + options.seconds:
                part = [texts[i % len(texts)] for i in range(done, done + 4 * LIST)]
                encoder.encode_detailed(part)
                done += len(part)
            speed = done / (time.perf_counter() - started)
            speeds.setdefault(f"encode {precision}", []).append(speed)
        for server in servers:
            run = closed_loop(server.port, request_bodies(texts, LIST), 4, options.seconds)
            speed = LIST * len(run.latencies) / run.elapsed
            speeds.setdefault(server.name, []).append(speed)
    print("\nlists of 32 mixed texts, texts per second")
    for name, values in speeds.items():
        print(f"{name:24}{median(values):10.0f}")
    return speeds


def overload(
    server: Server, bodies: Iterator[bytes], capacity: float, seconds: float
) -> dict[str, Any]:
    """The figures of a server at twice the rate of lists that it can do, and its memory."""
    samples: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            samples.append(server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        figures = open_loop(server.port, bodies, 2 * capacity, seconds).summary()
    finally:
        ended.set()
        watcher.join()
    figures |= {"capacity": capacity, "resident_bytes": samples}
    print(f"\n{server.name} at twice its {capacity:.1f} lists per second")
    _print(server.name, figures)
    return figures


def draw(report: dict[str, Any], folder: Path) -> None:
    """A figure of latency by rate for each kind of request."""
    for case in CASES:
        figure = new_figure(7, 4)
        axes = style_axes(figure.subplots())
        for name, runs in report["rates"][case.name].items():
            points = sorted((run["rate"], run["ms"]["p99"]) for run in runs if run["ms"])
            axes.plot(*zip(*points, strict=True), "o-", color=COLORS[name], label=name)
        axes.axhline(case.limit_ms, color="#555555", linewidth=1, linestyle="--")
        axes.set(
            xscale="log", yscale="log", xlabel="requests per second", ylabel="p99 in ms",
            title=f"Latency of {case.name}",
        )  # fmt: skip
        axes.legend(frameon=False)
        save_png(figure, folder / f"{case.name.split()[0]}.png")


def print_claims(report: dict[str, Any]) -> None:
    """The claims of this program, and what was measured."""
    print()
    for case in CASES:
        best = {name: best_rate(runs) for name, runs in report["rates"][case.name].items()}
        for name, rate in best.items():
            ratio = f"{rate / best['infinity']:.1f} x infinity" if best.get("infinity") else ""
            wanted = f", target {WANTED[name]}" if name in WANTED and not case.size else ""
            limit = f"{case.limit_ms:g} ms"
            print(f"{case.name}: {name}: {rate:g} per second within {limit}; {ratio}{wanted}")
    lists = {name: median(speeds) for name, speeds in report["lists"].items()}
    for precision in ("fp32", "int8"):
        if f"bothways {precision}" in lists:
            share = lists[f"bothways {precision}"] / lists[f"encode {precision}"]
            print(f"lists: bothways {precision}: {share:.0%} of encode, target 90 %")
    for name, figures in report["overload"].items():
        samples = figures["resident_bytes"]
        half = samples[len(samples) // 2 :] or [0]
        print(
            f"overload: {name}: goodput {figures['goodput'] / figures['capacity']:.0%} of the "
            f"best, target 90 %; statuses {figures['statuses']}, with Retry-After "
            f"{figures['refusals_with_retry_after']}; resident {half[0] >> 20} MiB at half time, "
            f"{half[-1] >> 20} MiB at the end"
        )


def _print(name: str, figures: dict[str, Any]) -> None:
    ms = "  ".join(f"{key} {value:8.1f}" for key, value in figures["ms"].items())
    statuses = {status: n for status, n in figures["statuses"].items() if status != "200"}
    rest = f"  {statuses}" if statuses else ""
    print(
        f"{name:18}{figures['rate']:8g}/s  goodput {figures['goodput']:8.1f}  {ms}{rest}",
        flush=True,
    )


def _folder(report: dict[str, Any]) -> Path:
    """The folder of results for this processor."""
    return record.RESULTS / "serve_load" / record.processor_slug(report)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2, help="cores, and threads per server (2)")
    parser.add_argument("--seconds", type=float, help="of each run (5)")
    parser.add_argument("--rounds", type=int, help="of lists in a closed loop (2)")
    parser.add_argument("--overload", type=float, help="seconds of overload (60)")
    parser.add_argument(
        "--environments", type=Path, default=Path("build/servers"),
        help="folder of the virtual environments infinity and fastapi (build/servers)",
    )  # fmt: skip
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument("--contenders", nargs="+", choices=names, default=names)
    parser.add_argument("--quick", action="store_true", help="short runs")
    parser.add_argument("--output", type=Path, help="folder for results and figures")
    options = parser.parse_args()
    options.seconds = options.seconds or (1.0 if options.quick else 5.0)
    options.rounds = options.rounds or (1 if options.quick else 2)
    options.overload = options.overload or (5.0 if options.quick else 60.0)
    options.environments = options.environments.absolute()
    return options


if __name__ == "__main__":
    main()
