"""Measure bulk encoding of a file of texts with `minilm` by one library.

It loads the model, encodes a few texts in the ways that it measures, measures them, and prints the
figures as JSON. benchmarks/jobs.py runs it as a module in a process of its own, with the arguments
CONTENDER TEXTS ROWS THREADS FIRST. FIRST is the way of bothways that is measured first: `memory` or
`job`.
"""

import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import peers

__all__ = ["CONTENDERS", "OURS", "missing"]

OURS = {"bothways fp32": "fp32", "bothways int8": "int8"}
"""The precision of each contender that is bothways."""

_WARM_UP = 256
_REQUIRED = {"sentence-transformers pool": "sentence_transformers", "datasets.map": "datasets"}
CONTENDERS = (*OURS, *_REQUIRED)


def missing(contender: str) -> list[str]:
    """Modules that must be installed to measure a contender, and are not."""
    if contender in OURS:
        return peers.missing(contender)
    names = {_REQUIRED[contender], "sentence_transformers"}
    return sorted(name for name in names if importlib.util.find_spec(name) is None)


def main() -> None:
    """Measure the contender that the arguments name."""
    contender, texts_file, rows, threads, first = sys.argv[1:]
    lines = Path(texts_file).read_text(encoding="utf-8").splitlines()[: int(rows)]
    with tempfile.TemporaryDirectory(dir=Path(texts_file).parent) as scratch:
        if contender in OURS:
            figures = _measure_ours(
                lines, OURS[contender], int(threads), Path(scratch), first=first
            )
        elif contender == "datasets.map":
            figures = _measure_datasets(lines, int(threads), Path(scratch))
        else:
            figures = _measure_pool(lines, int(threads))
    print(json.dumps(figures))


def _measure_ours(
    texts: list[str], precision: Any, threads: int, scratch: Path, *, first: str
) -> dict[str, Any]:
    """Seconds of `Encoder.encode` and of a job, and of the planning of the job."""
    import bothways

    encoder = bothways.load("minilm", backend="native", precision=precision, threads=threads)
    encoder.encode(texts[:_WARM_UP])
    _run_job(encoder, texts[:_WARM_UP], scratch / "warm-up")
    figures: dict[str, Any] = {"isa": getattr(encoder.backend, "isa", None)}
    for way in ("memory", "job") if first == "memory" else ("job", "memory"):
        if way == "memory":
            figures["memory"] = _clock(partial(encoder.encode, texts))
        else:
            figures |= _run_job(encoder, texts, scratch / "job")
    return figures


def _run_job(encoder: Any, texts: list[str], folder: Path) -> dict[str, Any]:
    """Figures of a job that reads the texts from a file; the clock starts when it is written."""
    from bothways.files import check_inputs
    from bothways.files.columns import ColumnSelection
    from bothways.jobs.job import prepare_job
    from bothways.jobs.shards import ShardEncoder
    from bothways.jobs.spec import JobSpec
    from bothways.jobs.worker import BadLimit, run_worker
    from bothways.streaming.memory import plan_chunks
    from bothways.streaming.settings import EncodeSettings, kind_of, origin_of

    source = folder.with_suffix(".txt")
    source.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    settings = EncodeSettings()
    origin = origin_of(encoder, "minilm", settings)
    start = time.perf_counter()
    spec = JobSpec(
        inputs=tuple(check_inputs([str(source)])),
        columns=ColumnSelection(),
        settings=settings,
        origin=origin,
        kind=kind_of(encoder),
        shard_rows=JobSpec.default_shard_rows(origin.dimensions),
    )
    job = prepare_job(folder, spec)
    planned = time.perf_counter()
    plan = plan_chunks(None, encoder, dimensions=origin.dimensions, windows=False)
    run_worker(ShardEncoder(job, encoder, plan), limit=BadLimit())
    end = time.perf_counter()
    records = job.records()
    return {
        "job": end - start,
        "planning": planned - start,
        "shards": len(records),
        "tokens": sum(record.tokens for record in records),
        "copied": sum(record.copied for record in records),
    }


def _measure_pool(texts: list[str], processes: int) -> dict[str, Any]:
    """Seconds of a pool of processes with one thread each."""
    model = _sentence_transformer(threads=1)
    pool = model.start_multi_process_pool(["cpu"] * processes)
    try:
        encode = partial(model.encode, pool=pool)
        encode(texts[:_WARM_UP])
        return {"seconds": _clock(partial(encode, texts))}
    finally:
        model.stop_multi_process_pool(pool)


def _measure_datasets(texts: list[str], threads: int, scratch: Path) -> dict[str, Any]:
    """Seconds of `Dataset.map` with sentence-transformers, into a file of Arrow."""
    os.environ["HF_DATASETS_CACHE"] = str(scratch)
    import datasets

    model = _sentence_transformer(threads)
    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict({"text": texts})

    def encode(batch: dict[str, Sequence[str]]) -> dict[str, Any]:
        return {"vector": model.encode(list(batch["text"]))}

    model.encode(texts[:_WARM_UP])
    out = str(scratch / "vectors.arrow")
    return {"seconds": _clock(partial(rows.map, encode, batched=True, cache_file_name=out))}


def _sentence_transformer(threads: int) -> Any:
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),
    }
    import torch
    from sentence_transformers import SentenceTransformer

    from bothways.checkpoints import resolve

    torch.set_num_threads(threads)
    return SentenceTransformer(str(resolve("minilm")), device="cpu")


def _clock(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
