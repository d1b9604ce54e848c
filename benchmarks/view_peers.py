"""Pages of bothways beside bertviz 1.4.1 and embedding-atlas 0.26.0: their size, and CPU seconds.

python benchmarks/view_peers.py vectors.parquet

With bertviz, IPython and embedding-atlas in the environment, which benchmarks/requirements.txt
leaves out. Loading the model and imports do not count, but for the command embedding-atlas.
"""

import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import bothways

TEXT = "The trophy did not fit into the suitcase because it was too big"


def main(vectors: str) -> None:
    """Print a line of JSON for each page."""
    bertviz = importlib.import_module("bertviz")
    encoder = bothways.load("minilm")
    encoder.attention(TEXT)
    start = time.process_time()
    maps = encoder.attention(TEXT)
    layers = [torch.from_numpy(layer)[None] for layer in maps.probabilities]
    html = bertviz.head_view(layers, list(maps.tokens), html_action="return").data
    _report("bertviz", len(html.encode()), time.process_time() - start)
    start = time.process_time()
    html = encoder.attend(TEXT).html
    _report("bothways attend", len(html.encode()), time.process_time() - start)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.process_time()
        view = bothways.map(vectors)
        size = view.save(Path(scratch) / "map.html").stat().st_size
        _report("bothways map", size, time.process_time() - start)
        points, export = view.save_columns(Path(scratch) / "p.parquet"), Path(scratch) / "atlas.zip"
        columns = ["--x", "projection_x", "--y", "projection_y", "--neighbors", "neighbors"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            ["embedding-atlas", points, "--text", "text", *columns, "--export-application", export],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        _report("embedding-atlas", export.stat().st_size, seconds)


def _report(name: str, size: int, seconds: float) -> None:
    print(json.dumps({"page": name, "MB": round(size / 1e6, 2), "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main(sys.argv[1])
