"""Check that the recipes of docs/clusters.md make the folder that one process makes.

make test-extras
python -m clusters.check dask spark    # these alone
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

HERE = Path(__file__).parent
TEXTS = HERE.parent / "sentences.txt"
BIN = Path(sys.executable).parent


def main() -> None:
    """Run each recipe on a job that is planned, and compare what it makes."""
    with tempfile.TemporaryDirectory() as scratch:
        reference = Path(scratch, "reference")
        encode(reference)
        recipes: dict[str, Callable[[str], None]] = {
            "slurm": run_slurm,
            "kubernetes": run_kubernetes,
            "ray": lambda folder: bothways(
                "job", "work", folder, "--ray", "local", "--workers", 2, "--cpus", 1, "--quiet"
            ),
            "dask": lambda folder: run([sys.executable, HERE / "dask_job.py", folder]),
        }
        if importlib.util.find_spec("pyspark") is not None:
            recipes["spark"] = lambda folder: run([sys.executable, HERE / "spark_job.py", folder])
        else:
            print("spark: left out, as pyspark is not installed")
        wanted = sys.argv[1:] or [*recipes, "ray-data"]
        for name in wanted:
            if name == "ray-data":
                check_ray_data(Path(scratch), reference)
                continue
            folder = Path(scratch, name)
            encode(folder, "--plan-only")
            recipes[name](str(folder))
            assert contents(folder) == contents(reference), f"{name}: other files"
            print(f"{name}: the files of an undisturbed run", flush=True)


def encode(folder: Path, *options: str) -> None:
    """Plan, and perhaps run, a job of many small parts."""
    bothways("encode", TEXTS, "-o", f"{folder}/", "--shard-rows", 25, "--quiet", *options)


def run_slurm(folder: str) -> None:
    """Run the script of an array job as each of its tasks, from which Slurm starts a process."""
    for task in range(1, 17):
        environment = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_CPUS_PER_TASK": "1"}
        run(["sh", HERE / "slurm.sh", folder], environment)


def run_kubernetes(folder: str) -> None:
    """Run the command of the container as each index of the job."""
    job = yaml.safe_load((HERE / "kubernetes.yaml").read_text(encoding="utf-8"))["spec"]
    (container,) = job["template"]["spec"]["containers"]
    for index in range(job["completions"]):
        environment = {"JOB_COMPLETION_INDEX": str(index), "FOLDER": folder}
        run([*container["command"], *container["args"]], environment)


def check_ray_data(scratch: Path, reference: Path) -> None:
    """Check that a pipeline of Ray Data adds the vectors of the job."""
    expected = pa.concat_tables(
        [pq.read_table(path) for path in sorted(reference.glob("*.parquet"))]
    )
    pq.write_table(expected.select(["id", "text"]), scratch / "rows.parquet")
    run([sys.executable, HERE / "ray_data.py", scratch / "rows.parquet", scratch / "out"])
    encoded = pq.read_table(scratch / "out")
    assert encoded["error"].null_count == len(encoded) == len(expected)
    vectors, stored = (
        dict(zip(table["id"].to_pylist(), table["vector"].to_pylist(), strict=True))
        for table in (encoded, expected)
    )
    assert vectors == stored
    print("ray data: the vectors of the job")


def contents(folder: Path) -> dict[str, Any]:
    """The parts, and all but times and machines in the records."""
    files: dict[str, Any] = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    files |= {path.name: path.read_bytes() for path in folder.glob("_SUCCESS.json")}
    for path in (folder / "_done").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        files[path.name] = {
            key: value
            for key, value in record.items()
            if key not in ("seconds", "machine", "digest")
        }
    return files


def bothways(*arguments: Any) -> None:
    """Run the command line of this environment."""
    run([sys.executable, "-m", "bothways", *arguments])


def run(command: list[Any], environment: dict[str, str] | None = None) -> None:
    """Run a command that has `bothways` on its path."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    subprocess.run(list(map(str, command)), check=True, env=variables | (environment or {}))


if __name__ == "__main__":
    main()
