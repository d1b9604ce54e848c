"""Check jobs at a size that tests have no time for: many kills, and many rows.

    python scripts/check_jobs.py kills --kills 200
    python scripts/check_jobs.py rows --rows 10000000

`kills` runs the tests that kill workers at random moments that often. `rows` encodes short texts
with an encoder that computes nothing, and prints the time of planning and the peak memory.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from bothways.files import Origin, check_inputs
from bothways.files.columns import ColumnSelection
from bothways.inference.vectors import SequenceVectors
from bothways.jobs.job import prepare_job
from bothways.jobs.shards import ShardEncoder
from bothways.jobs.spec import JobSpec
from bothways.jobs.worker import BadLimit, run_worker
from bothways.streaming.memory import ChunkPlan, reduce_memory_retention
from bothways.streaming.settings import EncodeSettings

ROOT = Path(__file__).parent.parent
DIMENSIONS = 8


class NoEncoder:
    """Gives every text the same vector."""

    backend = SimpleNamespace(name="none", device="cpu", precision="fp32")

    def prepare(self, texts: list[Any], **_: Any) -> list[Any]:
        """The texts."""
        return texts

    def encode_detailed(self, texts: list[Any], **options: Any) -> SequenceVectors:
        """Vectors of zeros."""
        n = len(texts)
        options["progress"](n, n)
        zeros, flags = np.zeros(n, np.int64), np.zeros(n, bool)
        return SequenceVectors(np.zeros((n, DIMENSIONS), np.float32), zeros, flags, zeros, flags)


def check_kills(kills: int) -> None:
    """Run the tests that kill workers."""
    test = "tests/jobs/test_faults.py"
    command = [sys.executable, "-m", "pytest", "-q", test, "-k", "killed_at_random or kills_end"]
    subprocess.run(
        command, cwd=ROOT, env=os.environ | {"BOTHWAYS_JOB_KILLS": str(kills)}, check=True
    )


def check_rows(rows: int) -> None:
    """Encode rows with an encoder that computes nothing."""
    reduce_memory_retention()
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "rows.csv"
        with source.open("w", encoding="utf-8") as file:
            file.write("id,text\n")
            for number in range(rows):
                file.write(f"{number},row {number} of {generator.randrange(rows)}\n")
        origin = Origin(
            model="none", fingerprint="none", pooling="mean", normalization="none",
            dimensions=DIMENSIONS, precision="fp32", prompt="", version="none",
        )  # fmt: skip
        spec = JobSpec(
            inputs=tuple(check_inputs([str(source)])),
            columns=ColumnSelection("text", "id"),
            settings=EncodeSettings(),
            origin=origin,
            kind="text",
            shard_rows=JobSpec.default_shard_rows(DIMENSIONS),
        )
        before, started = _peak_bytes(), time.monotonic()
        job = prepare_job(Path(scratch) / "vectors", spec)
        planned = time.monotonic()
        run_worker(ShardEncoder(job, NoEncoder(), ChunkPlan()), limit=BadLimit())  # type: ignore[arg-type]
        result = {
            "rows": rows,
            "shards": len(job.plan.shards),
            "plan_seconds": round(planned - started, 1),
            "run_seconds": round(time.monotonic() - planned, 1),
            "peak_mb_before": before // 10**6,
            "peak_mb": _peak_bytes() // 10**6,
        }
    print(json.dumps(result))


def _peak_bytes() -> int:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Run a check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", choices=["kills", "rows"])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    if options.check == "kills":
        check_kills(options.kills)
    else:
        check_rows(options.rows)


if __name__ == "__main__":
    main()
