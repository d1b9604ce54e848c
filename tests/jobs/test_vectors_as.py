"""Jobs whose vectors are stored in fewer bits: their ranges, and their bytes after a stop."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.support.jobs import FEW_ROWS, JobMaker

from bothways.errors import DataFileError
from bothways.files.vector_form import VectorCodec, VectorForm
from bothways.jobs.calibration import calibrate_job
from bothways.jobs.job import EncodingJob, open_job, prepare_job
from bothways.jobs.verify import verify_files, verify_vectors
from bothways.model.quantization import quantization_ranges
from bothways.streaming.memory import ChunkPlan

Contents = Callable[[Path], dict[str, Any]]


def prepare(
    jobs: JobMaker, source: Path, form: VectorForm, folder: str = "vectors", **options: Any
) -> EncodingJob:
    spec = jobs.spec(source, **options)
    spec = dataclasses.replace(spec, origin=dataclasses.replace(spec.origin, vectors_as=form))

    def calibrate(job: EncodingJob) -> np.ndarray:
        return calibrate_job(job, jobs.encoder, FEW_ROWS)

    return prepare_job(jobs.folder / folder, spec, calibrate=calibrate)


@pytest.mark.parametrize("form", ["f16", "int8", "binary"])
def test_a_job_that_stops_ends_with_the_bytes_of_an_undisturbed_one(
    jobs: JobMaker, csv: Path, contents: Contents, form: VectorForm
) -> None:
    jobs.run(prepare(jobs, csv, form, "whole"))
    stops = iter([False, False, True])
    job = prepare(jobs, csv, form)
    assert not jobs.run(job, should_stop=lambda: next(stops))
    assert len(job.unfinished()) == 8
    assert jobs.run(prepare(jobs, csv, form))
    assert contents(job.folder) == contents(jobs.folder / "whole")
    assert verify_files(job) == []
    assert verify_vectors(job, jobs.encoder) == (95, [])


def test_int8_codes_have_the_ranges_of_a_sample_of_the_job(
    jobs: JobMaker, csv: Path, proteins: list[str]
) -> None:
    job = prepare(jobs, csv, "int8")
    jobs.run(job)
    vectors = jobs.encoder.encode_detailed(proteins).vectors
    ranges = quantization_ranges(vectors)  # the sample has all rows of a small job
    assert job.spec.ranges is not None
    assert np.array_equal(job.spec.ranges, ranges)
    paths = job.folder.glob("*.parquet")
    parts: list[Any] = [pq.read_table(path)["vector"].to_pylist() for path in paths]
    stored = np.array(sorted(row for part in parts for row in part))
    codes = VectorCodec("int8", vectors.shape[1], ranges).encode(vectors)
    assert np.array_equal(stored, np.array(sorted(codes.tolist())))


def test_ranges_are_measured_once_and_belong_to_the_job(
    jobs: JobMaker, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(jobs, csv, "int8")
    monkeypatch.setattr("tests.jobs.test_vectors_as.calibrate_job", None)
    again = prepare(jobs, csv, "int8")
    assert again.id == job.id == open_job(job.folder).id
    assert np.array_equal(again.spec.ranges, job.spec.ranges)  # type: ignore[arg-type]
    with pytest.raises(DataFileError, match=r"origin\.vectors_as was 'int8' and is 'f16'"):
        prepare(jobs, csv, "f16")


def test_the_sample_depends_neither_on_chunks_nor_on_rows_that_cannot_be_encoded(
    jobs: JobMaker, csv: Path
) -> None:
    with csv.open("a") as file:
        file.write(f"p,M?V,1\np,,1\nq,{'M' * 200},1\n")
    job = prepare(jobs, csv, "int8", on_overflow="error")
    assert np.array_equal(job.spec.ranges, calibrate_job(job, jobs.encoder, ChunkPlan()))  # type: ignore[arg-type]
    assert jobs.run(job)
    assert sum(record.bad for record in job.records()) > 1
    assert verify_vectors(job, jobs.encoder)[1] == []


def test_vectors_that_are_not_those_of_the_inputs_are_found(jobs: JobMaker, csv: Path) -> None:
    job = prepare(jobs, csv, "int8")
    jobs.run(job)
    job.part_path(5).write_bytes(job.part_path(4).read_bytes())
    _, problems = verify_vectors(job, jobs.encoder)
    assert len(problems) == 1
    assert "have other vectors" in problems[0]


def test_int8_needs_a_way_to_measure_ranges(jobs: JobMaker, csv: Path) -> None:
    spec = jobs.spec(csv)
    spec = dataclasses.replace(spec, origin=dataclasses.replace(spec.origin, vectors_as="int8"))
    with pytest.raises(ValueError, match="measures their ranges"):
        prepare_job(jobs.folder / "vectors", spec)
