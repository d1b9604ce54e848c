"""Vectors stored as float16, as bytes or as bits: what files hold, and what readers give."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError, InputError
from bothways.files import Origin, VectorBatch, find_nearest, open_vector_file, open_vector_output
from bothways.files.vector_file_parquet import open_parquet_vectors
from bothways.files.vector_form import VectorCodec, VectorForm, hash_ranges
from bothways.model.quantization import quantization_ranges, quantize

MakeRows = Callable[..., VectorBatch]
FORMS: tuple[VectorForm, ...] = ("f16", "int8", "binary")
TYPES = {"f16": pa.float16(), "int8": pa.int8(), "binary": pa.int8()}
ROWS = 3000


@pytest.fixture
def batch(encoded: MakeRows) -> VectorBatch:
    return encoded(ROWS)


def codec_of(form: VectorForm, vectors: np.ndarray) -> VectorCodec:
    ranges = quantization_ranges(vectors[:100]) if form == "int8" else None
    return VectorCodec(form, 4, ranges)


def write(path: Path, origin: Origin, batch: VectorBatch, codec: VectorCodec) -> Origin:
    digest = "" if codec.ranges is None else hash_ranges(codec.ranges)
    origin = dataclasses.replace(origin, vectors_as=codec.form, ranges_sha256=digest)
    with open_vector_output(str(path), overwrite=True) as output:
        output.start(origin, codec.ranges).write(batch)
    return origin


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_readers_give_the_vectors_that_the_stored_ones_stand_for(
    tmp_path: Path, origin: Origin, batch: VectorBatch, form: VectorForm, suffix: str
) -> None:
    codec, path = codec_of(form, batch.vectors), tmp_path / f"x{suffix}"
    written = write(path, origin, batch, codec)
    with open_vector_file(str(path)) as file:
        assert file.origin == written
        assert file.dimensions == 4
        restored = np.concatenate(list(file.batches()))
        ids = file.ids_and_texts(np.array([7]))
    assert restored.dtype == np.float32
    assert np.array_equal(restored, codec.decode(codec.encode(batch.vectors)))
    assert ids[7][0] == "row-7"


@pytest.mark.parametrize("form", ["int8", "binary"])
def test_codes_are_those_of_quantize(batch: VectorBatch, form: VectorForm) -> None:
    codec = codec_of(form, batch.vectors)
    expected = quantize(batch.vectors, form, codec.ranges)  # type: ignore[arg-type]
    assert np.array_equal(codec.encode(batch.vectors), expected.codes)
    assert np.array_equal(codec.decode(expected.codes), expected.restore())


@pytest.mark.parametrize("form", FORMS)
def test_parquet_has_lists_of_a_small_type(
    tmp_path: Path, origin: Origin, encoded: MakeRows, form: VectorForm
) -> None:
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((ROWS, 64), np.float32)
    batch = dataclasses.replace(encoded(ROWS), vectors=wide)
    codec = VectorCodec(form, 64, quantization_ranges(wide) if form == "int8" else None)
    write(tmp_path / "x.parquet", dataclasses.replace(origin, dimensions=64), batch, codec)
    kind = pq.read_schema(tmp_path / "x.parquet").field("vector").type
    assert (kind.value_type, kind.list_size) == (TYPES[form], codec.width)
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    size = sum(group.column(2).total_compressed_size for group in groups)
    assert size < ROWS * codec.row_bytes * 1.1 + 4096
    rows = np.array([0, 5, 1234, ROWS - 1])
    with open_parquet_vectors(str(tmp_path / "x.parquet")) as file:
        assert (file.plain_pages is not None) == (form == "f16")
        assert np.array_equal(np.concatenate(list(file.stored())), codec.encode(wide))
        expected = codec.decode(codec.encode(wide))
        assert np.array_equal(file.read_rows(rows), expected[rows])


@pytest.mark.parametrize("form", FORMS)
def test_scores_are_cosines_with_the_stored_vectors(
    tmp_path: Path, origin: Origin, batch: VectorBatch, form: VectorForm
) -> None:
    codec, path = codec_of(form, batch.vectors), tmp_path / "x.parquet"
    write(path, origin, batch, codec)
    stored = codec.decode(codec.encode(batch.vectors)).astype(np.float64)
    query = np.array([1, -2, 0.5, 3], np.float32)
    cosines = stored @ query / np.linalg.norm(stored, axis=1) / np.linalg.norm(query)
    hits = find_nearest(str(path), query, origin, 3)
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(cosines)[:-4:-1], atol=1e-6)


def test_int8_without_the_ranges_it_was_written_with_is_refused(
    tmp_path: Path, origin: Origin, batch: VectorBatch
) -> None:
    path = tmp_path / "x.parquet"
    write(path, origin, batch, codec_of("int8", batch.vectors))
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata)
    for value in (None, b"[[0, 0, 0, 0], [1, 1, 1, 1]]", b"[1]", b"{"):
        changed = metadata | ({} if value is None else {b"bothways.ranges": value})
        if value is None:
            del changed[b"bothways.ranges"]
        pq.write_table(table.replace_schema_metadata(changed), path)
        with pytest.raises(DataFileError, match=r"x\.parquet: the ranges of (its|the)"):
            find_nearest(str(path), np.ones(4, np.float32), origin, 1)


def test_an_unknown_form_is_refused_with_the_known_ones(
    tmp_path: Path, origin: Origin, batch: VectorBatch
) -> None:
    path = tmp_path / "x.npy"
    write(path, origin, batch, codec_of("f16", batch.vectors))
    sidecar = tmp_path / "x.npy.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"vectors_as": "int4"}))
    with pytest.raises(DataFileError, match=r"'int4'; this version .* f32, f16, int8, binary"):
        find_nearest(str(path), np.ones(4, np.float32), origin, 1)


def test_numbers_too_large_for_float16_are_refused(batch: VectorBatch) -> None:
    large = batch.vectors * np.float32(1e6)
    with pytest.raises(InputError, match="too large for f16; use --vectors-as f32"):
        VectorCodec("f16", 4).encode(large)


def test_float32_files_say_nothing_of_their_form(origin: Origin) -> None:
    assert not {"vectors_as", "ranges_sha256"} & set(origin.to_json())
    assert Origin.from_json(origin.to_json(), "x") == origin
