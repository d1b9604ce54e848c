"""The origin of vectors: how it is stored, also by earlier versions."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bothways.files import Origin, find_nearest, read_origin
from bothways.files.origin import differing_field

DATA = Path(__file__).parent / "data"
FILES = [DATA / f"bothways-0.1.0{suffix}" for suffix in (".jsonl", ".npy", ".parquet")]
ORIGIN = Origin(
    model="minilm",
    fingerprint="ab" * 32,
    pooling="mean",
    normalization="l2",
    dimensions=4,
    precision="fp32",
    prompt="query: ",
    version="0.1.0",
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_files_of_version_0_1_0_are_read(path: Path) -> None:
    content = (path.with_name(f"{path.name}.json") if path.suffix == ".npy" else path).read_bytes()
    assert b"normalisation" in content  # the key as that version spelled it
    assert b"normalization" not in content
    assert read_origin(str(path)) == ORIGIN
    hits = find_nearest(str(path), np.array([0, 0, 1, 0], np.float32), ORIGIN, 2)
    assert [hit.row for hit in hits] == [1, 2]
    np.testing.assert_allclose([hit.score for hit in hits], [0.8, 0.5], rtol=1e-6)
    assert [hit.text for hit in hits] == [None if path.suffix == ".npy" else "second", None]


def test_vectors_of_both_schemes_of_int8_may_be_together() -> None:
    vectors = dataclasses.replace(ORIGIN, precision="int8", int8_scheme="sums16")
    elsewhere = dataclasses.replace(vectors, int8_scheme="sums32", version="0.2.0")
    assert differing_field(vectors, elsewhere) is None
    assert differing_field(vectors, ORIGIN) == "precision"


def test_an_origin_round_trips_through_metadata_and_json() -> None:
    metadata = {key.encode(): value.encode() for key, value in ORIGIN.to_metadata().items()}
    assert Origin.from_metadata(metadata, "v.parquet") == ORIGIN
    stored = json.loads(json.dumps(dataclasses.asdict(ORIGIN)))
    assert Origin.from_json(stored, "v.jsonl") == ORIGIN
    assert metadata[b"bothways.normalization"] == b"l2"
    assert stored["normalization"] == "l2"
