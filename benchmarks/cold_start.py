"""Seconds from process start to the first vector, and installed size, of bothways without torch.

Claims: a new process that loads `minilm` and encodes one text takes at most a tenth of the time of
sentence-transformers, and at most 0.6 s on two cores; a core installation without extras takes at
most 200 MB. The core is installed from this checkout with `pip install .` in a new environment in a
temporary folder. sentence-transformers comes from the environment that runs this script; bothways
is measured in that environment too, next to torch. Wall time is measured from outside, with warm
file caches: each contender is started once before the measurement. Rounds are interleaved and
medians are reported. The size is that of all files in site-packages except pip and setuptools, in
bytes of content and in disk blocks.

    pip install . -r benchmarks/requirements.txt
    python benchmarks/cold_start.py
    python benchmarks/cold_start.py --quick --core-python PATH  # an existing core environment
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
BASELINE = "sentence-transformers"


def main() -> None:
    """Install, start each contender, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run()
    model = resolve("minilm")
    with tempfile.TemporaryDirectory() as scratch:
        python = options.core_python or install_core(Path(scratch) / "core")
        report["core_install"] = sizes(python)
        commands = {
            f"bothways {precision}, {where}": [str(exe), "-c", OURS.format(precision=precision)]
            for precision in ("fp32", "int8")
            for where, exe in (("core install", python), ("with torch", sys.executable))
        }
        if importlib.util.find_spec("sentence_transformers") is None:
            print(f"skipped: {BASELINE} is not installed")
        else:
            commands[BASELINE] = [sys.executable, "-c", THEIRS.format(model=str(model))]
        report["seconds"] = start_all(commands, options.rounds, Path(scratch))
    print_table(report)
    record.write(report, options.output, "cold_start")


def install_core(folder: Path) -> Path:
    """Create an environment with bothways and no extras; return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    constraints = ["--constraint", str(PROJECT / "constraints.txt")]
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *constraints, str(PROJECT)], check=True)
    return python


def sizes(python: Path) -> dict[str, Any]:
    """Bytes in the site-packages of an environment: in total, and of the largest packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    package_bytes: dict[str, int] = {}
    on_disk = 0
    for entry in Path(done.stdout.strip()).iterdir():
        if entry.name.partition("-")[0] in NOT_COUNTED or entry.name in NOT_COUNTED:
            continue
        files = [f for f in (entry.rglob("*") if entry.is_dir() else [entry]) if f.is_file()]
        package_bytes[entry.name] = sum(file.stat().st_size for file in files)
        on_disk += sum(getattr(file.stat(), "st_blocks", 0) * 512 for file in files)
    largest = sorted(package_bytes.items(), key=lambda item: -item[1])[:12]
    total = sum(package_bytes.values())
    return {"bytes": total, "bytes_on_disk": on_disk, "largest": dict(largest)}


def start_all(commands: dict[str, list[str]], rounds: int, cwd: Path) -> dict[str, list[float]]:
    """Wall time of each start in seconds, by contender."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=cwd, env=environment, capture_output=True)
            if number:  # round 0 fills the file cache
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_table(report: dict[str, Any]) -> None:
    """Print medians, their ratios to sentence-transformers, and the size."""
    seconds = report["seconds"]
    baseline = statistics.median(seconds[BASELINE]) if BASELINE in seconds else None
    print(f"{'':34}{'median s':>10}{'fastest':>10}{'slowest':>10}{'ratio':>10}")
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = f"{median / baseline:.3f}" if baseline else "-"
        print(f"{name:34}{median:10.3f}{min(times):10.3f}{max(times):10.3f}{ratio:>10}")
    size = report["core_install"]
    print(
        f"core install: {size['bytes'] / 1e6:.0f} MB ({size['bytes_on_disk'] / 1e6:.0f} MB on disk)"
    )
    for name, count in size["largest"].items():
        print(f"    {name:30}{count / 1e6:10.1f} MB")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--core-python", type=Path, help="interpreter of an existing core environment"
    )
    parser.add_argument("--rounds", type=int, help="measured starts per contender (9)")
    parser.add_argument("--cores", type=int, default=2, help="number of cores (2)")
    parser.add_argument("--quick", action="store_true", help="two starts each")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 9)
    if options.core_python:
        # Absolute, because starts have another working directory; not resolved, because the
        # interpreter of an environment can be a link to one outside of it.
        options.core_python = options.core_python.absolute()
        if shutil.which(options.core_python) is None:
            parser.error(f"--core-python {options.core_python}: not an executable")
    return options


if __name__ == "__main__":
    main()
