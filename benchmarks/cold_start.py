"""Seconds from nothing to the first vector, and megabytes to install: bothways without torch.

The claims: a new process that loads `minilm` and encodes one text takes at most a tenth of what
sentence-transformers takes, and at most 0.6 s on two cores; a core install, without any extra,
takes at most 200 MB. The core is installed from this checkout, by `pip install .` in a fresh
environment in a temporary folder; sentence-transformers is that of the environment that runs this
script, and bothways is started there as well, where torch lies beside it. Wall time is taken from
outside, with the files in the system's cache: every contender is started once before it counts.
Rounds are interleaved and medians count. The size is that of all files in site-packages, less pip
and setuptools, in bytes of content and in blocks on disk.

    pip install . -r benchmarks/requirements.txt
    python benchmarks/cold_start.py
    python benchmarks/cold_start.py --quick --core-python PATH  # a core environment made before
"""

import argparse
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import record
from bothways.checkpoints import resolve

PROJECT = Path(__file__).parent.parent
TEXT = "A river bank in the evening sun."
NOT_COUNTED = ("pip", "setuptools", "_distutils_hack", "distutils-precedence.pth", "pkg_resources")

OURS = f"import bothways; bothways.load('minilm', precision={{precision!r}}).encode({TEXT!r})"
THEIRS = (
    "from sentence_transformers import SentenceTransformer; "
    f"SentenceTransformer({{model!r}}, device='cpu').encode({TEXT!r})"
)
RIVAL = "sentence-transformers"


def main() -> None:
    """Install, start, print a table and write the figures."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.circumstances()
    model = resolve("minilm")
    with tempfile.TemporaryDirectory() as scratch:
        python = options.core_python or install_core(Path(scratch) / "core")
        report["core_install"] = sizes(python)
        commands = {
            f"bothways {precision}, {where}": [str(exe), "-c", OURS.format(precision=precision)]
            for precision in ("fp32", "int8")
            for where, exe in (("core install", python), ("beside torch", sys.executable))
        }
        if importlib.util.find_spec("sentence_transformers") is None:
            print(f"skipped: {RIVAL} is not installed")
        else:
            commands[RIVAL] = [sys.executable, "-c", THEIRS.format(model=str(model))]
        report["seconds"] = start_all(commands, options.rounds, Path(scratch))
    print_table(report)
    record.write(report, options.output, "cold_start")


def install_core(folder: Path) -> Path:
    """The interpreter of a fresh environment with bothways and no extra."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    constraints = ["--constraint", str(PROJECT / "constraints.txt")]
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *constraints, str(PROJECT)], check=True)
    return python


def sizes(python: Path) -> dict[str, Any]:
    """Bytes in the site-packages of an environment, in all and of the largest packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    told = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    of_each: dict[str, int] = {}
    on_disk = 0
    for entry in Path(told.stdout.strip()).iterdir():
        if entry.name.partition("-")[0] in NOT_COUNTED or entry.name in NOT_COUNTED:
            continue
        files = [f for f in (entry.rglob("*") if entry.is_dir() else [entry]) if f.is_file()]
        of_each[entry.name] = sum(file.stat().st_size for file in files)
        on_disk += sum(getattr(file.stat(), "st_blocks", 0) * 512 for file in files)
    largest = sorted(of_each.items(), key=lambda item: -item[1])[:12]
    return {"bytes": sum(of_each.values()), "bytes_on_disk": on_disk, "largest": dict(largest)}


def start_all(commands: dict[str, list[str]], rounds: int, cwd: Path) -> dict[str, list[float]]:
    """Wall seconds of each start, by contender."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=cwd, env=environment, capture_output=True)
            if number:  # the first fills the system's cache
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_table(report: dict[str, Any]) -> None:
    """Medians, their ratios to the rival's, and the size."""
    seconds = report["seconds"]
    rival = statistics.median(seconds[RIVAL]) if RIVAL in seconds else None
    print(f"{'':34}{'median s':>10}{'fastest':>10}{'slowest':>10}{'of rival':>10}")
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = f"{median / rival:.3f}" if rival else "-"
        print(f"{name:34}{median:10.3f}{min(times):10.3f}{max(times):10.3f}{ratio:>10}")
    size = report["core_install"]
    print(
        f"core install: {size['bytes'] / 1e6:.0f} MB ({size['bytes_on_disk'] / 1e6:.0f} MB on disk)"
    )
    for name, count in size["largest"].items():
        print(f"    {name:30}{count / 1e6:10.1f} MB")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--core-python", type=Path, help="python of a core environment made before")
    parser.add_argument("--rounds", type=int, help="starts of each that count (9)")
    parser.add_argument("--cores", type=int, default=2, help="cores that may be used (2)")
    parser.add_argument("--quick", action="store_true", help="two starts each")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 9)
    if options.core_python:
        # absolute, as starts happen elsewhere; not resolved, as it may be a link out of its venv
        options.core_python = options.core_python.absolute()
        if shutil.which(options.core_python) is None:
            parser.error(f"--core-python {options.core_python}: is no program")
    return options


if __name__ == "__main__":
    main()
