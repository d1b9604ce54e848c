"""Verifying a job finds every changed byte, and status reads beside a worker."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.support.jobs import JobMaker

from bothways.errors import DataFileError
from bothways.files import read_origin
from bothways.jobs.job import open_job
from bothways.jobs.records import machine_of
from bothways.jobs.status import JobStatus, status_of
from bothways.jobs.verify import verify_files, verify_vectors


def test_a_flipped_bit_is_found_in_any_file(jobs: JobMaker, csv: Path) -> None:
    with csv.open("a") as file:
        file.write("p,,1\n")
    job = jobs.prepare(csv, shard_rows=50)
    jobs.run(job)
    assert verify_files(job) == []
    files = [path for path in job.folder.rglob("*") if path.is_file()]
    assert len(files) == 8
    for path in files:
        content = path.read_bytes()
        for position in (0, len(content) // 2, len(content) - 1):
            changed = bytearray(content)
            changed[position] ^= 1
            path.write_bytes(changed)
            try:
                problems = verify_files(open_job(job.folder))
            except DataFileError as error:
                problems = [str(error)]
            assert any(str(path) in problem for problem in problems), (path.name, position)
        path.write_bytes(content)
    assert verify_files(job) == []


def test_missing_and_foreign_parts_are_found(jobs: JobMaker, csv: Path) -> None:
    job = jobs.prepare(csv)
    jobs.run(job)
    job.part_path(3).rename(job.folder / "part-000003-of-000099.parquet")
    problems = verify_files(job)
    assert [problem.split(": ")[0].rsplit("/")[-1] for problem in problems] == [
        "part-000003-of-000010.parquet", "part-000003-of-000099.parquet"
    ]  # fmt: skip
    csv.write_text("text\nMKV\n")
    assert verify_files(job)[-1] == f"{csv}: has changed since the job was planned"


def test_vectors_that_are_not_those_of_the_inputs_are_found(jobs: JobMaker, csv: Path) -> None:
    with csv.open("a") as file:
        file.write("p,M?V,1\np,,1\n")
    job = jobs.prepare(csv)
    jobs.run(job)
    rows, problems = verify_vectors(job, jobs.encoder)
    assert (rows, problems) == (95, [])
    other = job.part_path(5)
    other.write_bytes(job.part_path(4).read_bytes())
    _, problems = verify_vectors(job, jobs.encoder)
    assert [problem.split(": ")[0] for problem in problems] == [str(other)]


def test_status_is_read_beside_a_worker(jobs: JobMaker, csv: Path) -> None:
    job = jobs.prepare(csv)
    states: list[JobStatus] = []
    jobs.run(job, report=lambda _: states.append(status_of(open_job(job.folder))))
    assert [state.shards for state in states] == sorted(state.shards for state in states)
    first, last = states[0], status_of(job)
    assert (first.shards, first.complete, len(first.workers)) == (0, False, 1)
    assert "shard 0" in first.workers[0]
    assert (last.shards, last.complete, last.workers, last.rows) == (10, True, [], 95)
    assert last.to_json()["total_rows"] == 95


def test_progress_estimates_the_end(jobs: JobMaker, csv: Path) -> None:
    job = jobs.prepare(csv)
    seen: list[Any] = []
    jobs.run(job, report=seen.append)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert (seen[-1].rows, seen[-1].bad, seen[-1].shards) == (95, 0, 10)
    assert seen[-1].seconds_left == pytest.approx(0)
    assert seen[-1].to_json()["total_rows"] == 95


def test_machines_whose_bits_may_differ_are_named(
    jobs: JobMaker, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.prepare(csv)
    jobs.run(job, worker=(1, 2))
    machine = dataclasses.replace(machine_of(jobs.encoder), isa="plain")
    monkeypatch.setattr("bothways.jobs.shards.machine_of", lambda _: machine)
    jobs.run(job)
    kinds = status_of(job).machines
    assert len(kinds) == 2
    assert any("plain" in kind for kind in kinds)


def test_a_part_names_the_int8_scheme_of_the_worker_that_encoded_it(
    jobs: JobMaker, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.prepare(csv)
    jobs.run(job, worker=(1, 2))
    monkeypatch.setattr("bothways.jobs.shards.int8_scheme_of", lambda _: "sums16")
    jobs.run(job)
    parts = sorted(job.folder.glob("*.parquet"))
    assert {read_origin(str(part)).int8_scheme for part in parts} == {"", "sums16"}


def test_inputs_that_are_read_from_their_start_are_named(jobs: JobMaker, tmp_path: Path) -> None:
    path = tmp_path / "x.fasta"
    path.write_text("".join(f">{n}\nMKV\n" for n in range(20)))
    job = jobs.prepare(path)
    assert status_of(job).rereads == [str(path)]
