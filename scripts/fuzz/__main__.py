"""python -m scripts.fuzz [TARGET ...]: fuzz in processes of limited memory, until a time is over.

Every finding is written to build/fuzz/TARGET/ as the mutated file, with the traceback beside it.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from scripts.fuzz.harness import find_faults
from scripts.fuzz.targets import TARGETS

BATCH = 200
MAX_GIB = 8
"""Address space of a process; torch alone takes more than 4."""


def main() -> int:
    """Fuzz the targets in turn; the exit status is 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="scripts.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=60, help="in total (default 60)")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--from", type=int, default=0, dest="start", help="number of a mutation")
    parser.add_argument("--one-batch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"unknown {', '.join(sorted(unknown))}; available: {', '.join(TARGETS)}")
    if options.one_batch:
        resource.setrlimit(resource.RLIMIT_AS, (MAX_GIB << 30, MAX_GIB << 30))
        return _fuzz(options.targets[0], options.seed, options.start)
    end, start, failed = time.monotonic() + options.seconds, options.start, False
    while time.monotonic() < end:
        for target in options.targets:
            command = [sys.executable, "-m", "scripts.fuzz", target, "--one-batch"]
            command += ["--seed", options.seed, "--from", str(start)]
            status = subprocess.run(command, check=False).returncode  # noqa: S603
            if status not in (0, 1):
                print(f"{target}: mutations from {start} ended the process with {status}")
            failed |= status != 0
            if time.monotonic() >= end:
                break
        start += BATCH
    return int(failed)


def _fuzz(name: str, seed: str, start: int) -> int:
    out = Path("build/fuzz") / name
    count = 0
    for finding in find_faults(TARGETS[name], range(start, start + BATCH), seed):
        count += 1
        out.mkdir(parents=True, exist_ok=True)
        stem = f"{seed}-{finding.number}"
        (out / f"{stem}-{finding.file.name}").write_bytes(finding.content)
        (out / f"{stem}.txt").write_text(f"{finding.file}\n{finding.reason}")
        print(f"{name} {finding.number}: {finding.file}: {finding.reason.splitlines()[-1][:200]}")
    return int(count > 0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
