"""Jobs: encoding into a folder of parts, resumable, by one process or many."""

from bothways.jobs.job import open_job
from bothways.jobs.shard_worker import ShardWorker, WorkerOptions, run_shard

__all__ = ["ShardWorker", "WorkerOptions", "open_job", "run_shard"]
