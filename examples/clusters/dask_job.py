"""Work on a job on a Dask cluster.

python dask_job.py FOLDER [SCHEDULER]    # without a scheduler: on this machine
"""

import sys
from functools import partial
from pathlib import Path

from dask.distributed import Client, as_completed

from bothways.jobs import WorkerOptions, open_job, run_shard

THREADS = 1
"""Of a worker: as many as the cores that each has."""


def main(folder: str, scheduler: str | None = None) -> None:
    """Encode what is missing of the job."""
    job = open_job(Path(folder).absolute())
    shards = [shard.shard for shard in job.unfinished()]
    task = partial(run_shard, str(job.folder), options=WorkerOptions(threads=THREADS))
    with Client(scheduler) if scheduler else Client(threads_per_worker=1) as client:
        for future in as_completed(client.map(task, shards, pure=False, retries=3)):
            record = future.result()
            if record is not None:
                print(f"shard {record.shard}: {record.rows} rows, {record.bad} bad")
    if not job.finish():
        sys.exit("shards are missing; run it again")


if __name__ == "__main__":
    main(*sys.argv[1:])
