"""Search among 1,000,000 vectors of 384 dimensions: time per query, exact and with an index.

Claims: the exact search reads vectors as fast as memory allows; an index of bits finds at least
99 % of the 10 nearest of real rows, and takes at most a fifth of the time of the exact search.
FAISS (IndexFlatIP), usearch (exact) and NumPy search in memory, bothways in memory and in a folder
of .parquet files, where it also reads the ids and texts of the rows that it finds. The real rows
are paragraphs of docstrings that `minilm` encodes in int8. The others are real rows with noise,
each with a cosine of about 0.8 with its original. Queries are real paragraphs that are no rows. The
files are in the system's cache, and medians are reported.

    pip install . -r benchmarks/requirements.txt
    python benchmarks/search.py
    python benchmarks/search.py --quick --peer-python PATH  # an environment with faiss and usearch
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import bothways
import record
from bothways.files import Origin, VectorBatch, find_nearest_many, open_vector_output
from bothways.files.nearest import NearestRows
from bothways.native import VectorScanner
from bothways.search import build_index, open_index
from corpus import sample_paragraphs

K = 10
QUERIES = 100
PARTS = 16
MANY_RUNS = 3
NOISE = 0.75
PEERS = Path(__file__).parent / "peers" / "flat_search.py"
BATCH = 8192


def main() -> None:
    """Make the vectors, measure all contenders, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run(("bothways", "numpy", "pyarrow"))
    encoder = bothways.load("minilm", precision="int8")
    texts = sample_paragraphs(options.real_rows + QUERIES)
    encoded = encoder.encode(texts)
    origin = Origin(
        model="minilm",
        fingerprint=encoder.fingerprint,
        pooling="mean",
        normalization="l2",
        dimensions=encoder.dimensions,
        precision="int8",
        prompt="",
        version=bothways.__version__,
    )
    real, queries = encoded[:-QUERIES], encoded[-QUERIES:]
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder, real_folder = Path(scratch, "vectors"), Path(scratch, "real")
        array = np.lib.format.open_memmap(
            Path(scratch, "vectors.npy"), "w+", np.float32, (options.rows, real.shape[1])
        )
        for start, rows in vary(real, options.rows):
            array[start : start + len(rows)] = rows
        np.save(Path(scratch, "queries.npy"), queries)
        store(folder, array, origin, PARTS)
        store(real_folder, real, origin, 1)
        report |= {"rows": options.rows, "real_rows": len(real), "threads": options.cores}
        report["index"] = {
            "real": describe_index(real_folder),
            "varied": describe_index(folder),
        }
        report["read_bytes_per_second"] = read_bandwidth(array, options.cores)
        report["vector_bytes"] = array.nbytes
        seconds = measure_ours(str(folder), array, queries, origin, options)
        peers = measure_peers(Path(scratch), options)
    report["seconds"] = seconds | peers["seconds"]
    report["versions"] |= peers["versions"]
    print_table(report)
    record.write(report, options.output, "search")


def vary(real: np.ndarray, rows: int) -> Iterator[tuple[int, np.ndarray]]:
    """Real rows with noise, of length 1, in batches after the number of their first row."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, BATCH):
        chosen = real[rng.integers(0, len(real), min(BATCH, rows - start))]
        noise = rng.standard_normal(chosen.shape, np.float32) / np.sqrt(chosen.shape[1])
        varied = chosen + np.float32(NOISE) * noise
        yield start, varied / np.linalg.norm(varied, axis=1, keepdims=True)


def store(folder: Path, vectors: np.ndarray, origin: Origin, parts: int) -> None:
    """Write vectors into the files of a folder, as `bothways encode` does."""
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(vectors)), parts)):
        with open_vector_output(str(folder / f"part-{number:06d}.parquet")) as output:
            writer = output.start(origin)
            for block in np.array_split(rows, -(-len(rows) // BATCH)):
                zeros = np.zeros(len(block), np.int64)
                names: list[Any] = [str(row) for row in block]
                writer.write(VectorBatch(names, names, vectors[block], zeros, zeros, zeros > 0))


def describe_index(folder: Path) -> dict[str, Any]:
    """Index a folder: its recall, size, and the seconds of indexing and measuring the recall."""
    start = time.perf_counter()
    indexed = build_index(str(folder))
    seconds = time.perf_counter() - start
    recall = None if indexed.recall is None else indexed.recall.value
    return {"recall_at_10": recall, "bytes": indexed.bytes, "seconds": seconds}


def read_bandwidth(array: np.ndarray, threads: int) -> float:
    """Bytes per second that all threads read together, as the best of several runs."""
    slices = np.array_split(array.reshape(-1).view(np.uint64), threads)

    def read(part: np.ndarray) -> None:
        for start in range(0, len(part), 1 << 20):
            np.bitwise_or.reduce(part[start : start + (1 << 20)])

    with ThreadPoolExecutor(threads) as pool:
        runs = [clock(lambda: list(pool.map(read, slices))) for _ in range(5)]
    return array.nbytes / min(runs)


def measure_ours(
    folder: str, array: np.ndarray, queries: np.ndarray, origin: Origin, options: Any
) -> dict[str, dict[str, list[float]]]:
    """Seconds of each run of bothways, by way of searching and number of queries."""
    scan, index = VectorScanner(threads=options.cores).dots, open_index(folder)

    def in_memory(block: np.ndarray) -> None:
        NearestRows(block, K, scan).add(array, np.arange(len(array)), "memory")

    def exact(block: np.ndarray) -> None:
        find_nearest_many(folder, block, origin, K, scan=scan)

    def indexed(block: np.ndarray) -> None:
        find_nearest_many(folder, block, origin, K, scan=scan, index=index)

    ways: dict[str, Callable[[np.ndarray], None]] = {
        "bothways, in memory": in_memory,
        "bothways, folder": exact,
        "bothways, folder with index": indexed,
    }
    return {
        name: {
            "1": [clock(partial(way, queries[:1])) for _ in range(options.runs)],
            str(QUERIES): [clock(partial(way, queries)) for _ in range(MANY_RUNS)],
        }
        for name, way in ways.items()
    }


def measure_peers(scratch: Path, options: Any) -> dict[str, Any]:
    """What `peers/flat_search.py` prints."""
    command = [
        options.peer_python, PEERS, scratch / "vectors.npy", scratch / "queries.npy",
        K, options.runs, MANY_RUNS, options.cores,
    ]  # fmt: skip
    environment = {
        "OMP_NUM_THREADS": str(options.cores),
        "OPENBLAS_NUM_THREADS": str(options.cores),
    }
    done = subprocess.run(
        list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def clock(work: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def print_table(report: dict[str, Any]) -> None:
    """Print milliseconds per query and GB/s."""
    size = report["vector_bytes"]
    print(f"\n{report['rows']:,} rows, {report['threads']} threads, k = {K}")
    print(f"{'ms per query':32}{'1 query':>12}{f'{QUERIES} queries':>14}{'GB/s, 1 query':>16}")
    for name, by_count in report["seconds"].items():
        one, many = (statistics.median(by_count[str(count)]) for count in (1, QUERIES))
        speed = f"{size / one / 1e9:.1f}" if "index" not in name else ""
        print(f"{name:32}{1e3 * one:12.2f}{1e3 * many / QUERIES:14.2f}{speed:>16}")
    print(f"{'reading memory':58}{report['read_bytes_per_second'] / 1e9:16.1f}")
    for kind, index in report["index"].items():
        print(
            f"index of {kind} rows: recall@10 {index['recall_at_10']:.4f}, "
            f"{index['bytes'] / 1e6:.0f} MB, {index['seconds']:.0f} s"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, help="rows to search (1,000,000)")
    parser.add_argument("--real-rows", type=int, help="rows of real text (20,000)")
    parser.add_argument("--runs", type=int, help="searches for one query (7)")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads (2)")
    parser.add_argument("--quick", action="store_true", help="few rows and runs")
    parser.add_argument(
        "--peer-python", default=sys.executable, help="Python with faiss and usearch (this one)"
    )
    parser.add_argument("--folder", help="folder for 3 GB of temporary files (the system's)")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.rows = options.rows or (50_000 if options.quick else 1_000_000)
    options.real_rows = options.real_rows or (2_000 if options.quick else 20_000)
    options.runs = options.runs or (3 if options.quick else 7)
    return options


if __name__ == "__main__":
    main()
