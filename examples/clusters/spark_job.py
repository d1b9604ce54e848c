"""Work on a job on a Spark cluster.

spark-submit --conf spark.task.cpus=4 spark_job.py FOLDER
"""

import sys
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession

from bothways.jobs import WorkerOptions, open_job, run_shard


def main(folder: str) -> None:
    """Encode what is missing of the job."""
    job = open_job(Path(folder).absolute())
    shards = [shard.shard for shard in job.unfinished()]
    context = SparkSession.builder.getOrCreate().sparkContext
    threads = int(context.getConf().get("spark.task.cpus", "1"))
    task = partial(run_shard, str(job.folder), options=WorkerOptions(threads=threads))
    if shards:
        records = context.parallelize(shards, len(shards)).map(task).collect()
        print(f"{sum(record.rows for record in records if record)} rows encoded")
    if not job.finish():
        sys.exit("shards are missing; run it again")


if __name__ == "__main__":
    main(*sys.argv[1:])
