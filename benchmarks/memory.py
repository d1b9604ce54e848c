"""Peak memory of encoding 20,000 texts with `minilm` in int8, compared with the planned memory.

Claims: encoding 20,000 texts of mixed lengths takes at most 350 MB for the whole process at its
peak, and the peak is within 10 % of the planned memory. The texts are English prose from docstrings
(benchmarks/corpus.py). A separate process reads them from a file, loads the model and encodes them;
its peak is the maximum resident memory that the system reports when the process ends.

Two ways are measured. In Python, `encode` keeps all texts and vectors; the planned memory is that
of the process after loading model and texts, plus ids, flags and vectors of all texts
(`bothways.model.costs.encoding_bytes`), plus the activations of the engine's threads
(`NativeBackend.workspace_bytes`). `bothways encode --max-memory` streams; the planned memory is its
limit.

    pip install . -r benchmarks/requirements.txt
    python benchmarks/memory.py
    python benchmarks/memory.py --quick --precision fp32
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import record
from bothways.checkpoints import resolve
from corpus import PACKAGES, sample_paragraphs

LIMIT_BYTES = 350_000_000

IN_PYTHON = """
import json, resource, sys
from pathlib import Path
import bothways
from bothways.model.costs import encoding_bytes
from bothways.model.packing import DEFAULT_MAX_TOKENS
texts = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
encoder = bothways.load("minilm", backend="native", precision=sys.argv[2])
statm = Path("/proc/self/statm").read_text().split()
resident = int(statm[1]) * resource.getpagesize()
loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
encodings = encoder.encode_detailed(texts)
parts = {
    "resident_when_loaded": resident,
    "sequences_and_vectors": encoding_bytes(
        len(texts), int(encodings.num_tokens.sum()), encodings.vectors.shape[1]
    ),
    "activations": encoder.backend.workspace_bytes(DEFAULT_MAX_TOKENS),
}
print(json.dumps({
    "planned_parts": parts,
    "planned": max(loaded, sum(parts.values())),
    "peak_when_loaded": loaded,
    "packed_weights": encoder.backend.packed_bytes,
    "tokens": int(encodings.num_tokens.sum()),
}))
"""


def main() -> None:
    """Encode twice, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run()
    report |= {"docstrings_of": PACKAGES, "texts": options.texts, "precision": options.precision}
    resolve("minilm")
    with tempfile.TemporaryDirectory() as scratch:
        texts = Path(scratch) / "texts.txt"
        lines = (" ".join(text.split()) for text in sample_paragraphs(options.texts))
        texts.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        report["encode"] = in_python(texts, options.precision)
        if importlib.util.find_spec("bothways.cli") is None:
            print("skipped: the command line is not installed")
        else:
            report["bothways encode"] = on_command_line(
                texts, options.precision, options.limit, Path(scratch)
            )
    print_table(report)
    record.write(report, options.output, "memory")


def in_python(texts: Path, precision: str) -> dict[str, Any]:
    """The peak of `Encoder.encode` and its planned memory, in total and by part, in bytes."""
    peak, out = peak_of([sys.executable, "-c", IN_PYTHON, str(texts), precision], texts.parent)
    planned: dict[str, Any] = json.loads(out)
    return {"peak": peak, **planned}


def on_command_line(texts: Path, precision: str, limit: int, scratch: Path) -> dict[str, Any]:
    """The peak of `bothways encode` and its limit, in bytes."""
    command = [
        sys.executable, "-m", "bothways", "encode", str(texts), "-o", str(scratch / "out.npy"),
        "--precision", precision, "--backend", "native", "--max-memory", str(limit), "--quiet",
    ]  # fmt: skip
    peak, _ = peak_of(command, scratch)
    return {"peak": peak, "planned": limit}


def print_table(report: dict[str, Any]) -> None:
    """Print planned and peak memory in MB."""
    print(f"{report['texts']} texts, {report['encode']['tokens']} tokens, {report['precision']}")
    print(f"{'':34}{'peak MB':>10}{'planned':>10}{'ratio':>10}")
    for name in ("encode", "bothways encode"):
        if name in report:
            peak, planned = report[name]["peak"], report[name]["planned"]
            print(f"{name:34}{peak / 1e6:10.0f}{planned / 1e6:10.0f}{peak / planned:10.2f}")
    print(f"    peak while loading {report['encode']['peak_when_loaded'] / 1e6:.0f} MB")
    for part, count in report["encode"]["planned_parts"].items():
        print(f"    {part:30}{count / 1e6:10.1f} MB")


def peak_of(command: list[str], cwd: Path) -> tuple[int, str]:
    """The peak resident memory of a command in bytes, and its output."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd) as process:
        assert process.stdout is not None  # noqa: S101 - stdout is a pipe
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:4]} ... failed with exit code {process.returncode}")
    # The unit is KiB on Linux and bytes on macOS (getrusage(2) of each).
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), out


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, help="number of texts (20000)")
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8")
    parser.add_argument("--limit", type=int, default=LIMIT_BYTES, help="--max-memory in bytes")
    parser.add_argument("--cores", type=int, default=2, help="number of cores (2)")
    parser.add_argument("--quick", action="store_true", help="1000 texts")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.texts = options.texts or (1000 if options.quick else 20000)
    return options


if __name__ == "__main__":
    main()
