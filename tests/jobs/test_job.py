"""Jobs: parts, records, resuming, and refusing another job."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.jobs import JobMaker

from bothways.errors import DataFileError
from bothways.files import Row, open_vector_output
from bothways.files.vector_writers import VectorBatch
from bothways.jobs.job import is_job, open_job
from bothways.jobs.shards import ShardEncoder
from bothways.jobs.worker import BadLimit, TooManyBadRows, run_worker
from bothways.streaming.memory import ChunkPlan

Contents = Callable[[Path], dict[str, Any]]


def vectors_of(folder: Path) -> np.ndarray:
    parts = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return np.array(pa.concat_tables(parts)["vector"].to_pylist(), np.float32)


def test_parts_hold_the_rows_in_order_with_the_vectors_of_encode(
    jobs: JobMaker, csv: Path, proteins: list[str]
) -> None:
    job = jobs.prepare(csv, id_column="id", keep=("n",))
    assert jobs.run(job)
    paths = sorted(job.folder.glob("*.parquet"))
    assert [path.name for path in paths][::9] == [
        "part-000000-of-000010.parquet", "part-000009-of-000010.parquet"
    ]  # fmt: skip
    table = pa.concat_tables([pq.read_table(path) for path in paths])
    assert table["id"].to_pylist() == [f"p{i}" for i in range(95)]
    assert table["text"].to_pylist() == proteins
    assert table["n"].to_pylist() == [str(i) for i in range(95)]
    expected = jobs.encoder.encode_detailed(proteins)
    assert np.array_equal(np.array(table["vector"].to_pylist(), np.float32), expected.vectors)
    assert table["num_tokens"].to_pylist() == expected.num_tokens.tolist()
    assert table["truncated"].to_pylist() == expected.truncated.tolist()
    success = json.loads(job.success_path.read_text())
    assert (success["rows"], len(success["parts"])) == (95, 10)
    assert success["truncated"] == expected.truncated.sum() > 0
    assert success["tokens"] == expected.num_tokens.sum()


def test_a_part_is_what_a_single_file_of_vectors_is(
    jobs: JobMaker, tmp_path: Path, proteins: list[str]
) -> None:
    source = tmp_path / "x.txt"
    source.write_text("".join(f"{p}\n" for p in proteins[:5]))
    job = jobs.prepare(source, shard_rows=100)
    jobs.run(job)
    vectors = jobs.encoder.encode_detailed(proteins[:5])
    with open_vector_output(str(tmp_path / "x.parquet")) as out:
        out.start(job.spec.origin).write(
            VectorBatch(
                [str(i) for i in range(5)], list(proteins[:5]), vectors.vectors,
                vectors.num_tokens, vectors.num_unknown, vectors.truncated,
            )
        )  # fmt: skip
    part, whole = pq.ParquetFile(job.part_path(0)), pq.ParquetFile(tmp_path / "x.parquet")
    assert part.schema_arrow.equals(whole.schema_arrow, check_metadata=True)
    assert part.read().equals(whole.read())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_other_libraries_read_the_parts(
    jobs: JobMaker, csv: Path, proteins: list[str], library: str
) -> None:
    module: Any = pytest.importorskip(library, reason=f"{library} is not installed")
    job = jobs.prepare(csv, id_column="id", keep=("n",), shard_rows=50)
    jobs.run(job)
    paths = [job.part_path(number) for number in range(2)]
    # A table of pandas consists of one file; polars reads all that match a pattern.
    tables = [job.folder / "part-*.parquet"] if library == "polars" else paths
    rows: Any = module.concat([module.read_parquet(path) for path in tables])
    assert list(rows["id"]) == [f"p{i}" for i in range(95)]
    assert list(rows["text"]) == proteins
    assert list(rows["n"]) == [str(i) for i in range(95)]
    vectors = np.stack([np.asarray(vector) for vector in rows["vector"]])
    assert vectors.dtype == np.float32
    assert vectors.shape == (95, job.spec.origin.dimensions)
    assert np.array_equal(vectors, jobs.encoder.encode_detailed(proteins).vectors)


def test_ids_are_numbered_over_all_inputs(jobs: JobMaker, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("MKV\n" * 12)
    (tmp_path / "empty.txt").write_text("")
    job = jobs.prepare(*(tmp_path / f"{name}.txt" for name in ("a", "empty", "b")))
    jobs.run(job)
    parts = [pq.read_table(job.part_path(i))["id"].to_pylist() for i in range(4)]
    assert [len(part) for part in parts] == [10, 2, 10, 2]
    assert [row_id for part in parts for row_id in part] == [str(i) for i in range(24)]


def test_equal_texts_are_encoded_once_and_have_equal_bits(
    jobs: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "x.txt"
    source.write_text("MKV\nLAT\nMKV\nMKV\nCC\nLAT\n")
    encoded: list[str] = []
    encode: Any = type(jobs.encoder).encode_detailed

    def count(self: Any, sequences: list[str], **options: Any) -> Any:
        encoded.extend(sequences)
        return encode(self, sequences, **options)

    monkeypatch.setattr(type(jobs.encoder), "encode_detailed", count)
    job = jobs.prepare(source)
    jobs.run(job)
    assert encoded == ["MKV", "LAT", "CC"]
    assert job.record(0).copied == 3
    monkeypatch.undo()
    expected = jobs.encoder.encode(["MKV", "LAT", "MKV", "MKV", "CC", "LAT"])
    assert np.array_equal(vectors_of(job.folder), expected)


def test_texts_can_be_left_out(jobs: JobMaker, csv: Path) -> None:
    job = jobs.prepare(csv, texts=False)
    jobs.run(job)
    assert set(pq.read_table(job.part_path(0))["text"].to_pylist()) == {None}


def test_a_finished_job_is_left_as_it_is(jobs: JobMaker, csv: Path, contents: Contents) -> None:
    job = jobs.prepare(csv)
    jobs.run(job)
    times = {path: path.stat().st_mtime_ns for path in job.folder.rglob("*") if path.is_file()}
    again = jobs.prepare(csv)
    assert again == job
    assert jobs.run(again)
    assert {p: p.stat().st_mtime_ns for p in job.folder.rglob("*") if p.is_file()} == times


def test_a_stopped_job_goes_on_and_ends_with_the_same_bytes(
    jobs: JobMaker, csv: Path, contents: Contents
) -> None:
    jobs.run(jobs.prepare(csv, folder="whole"))
    for stop in range(1, 40, 4):
        job = jobs.prepare(csv)
        calls = iter(range(stop))

        def fail(_: object, calls: Any = calls) -> None:
            if next(calls, None) is None:
                raise KeyboardInterrupt

        try:
            jobs.run(job, report=fail)
        except KeyboardInterrupt:
            continue
    assert jobs.run(jobs.prepare(csv))
    assert contents(jobs.folder / "vectors") == contents(jobs.folder / "whole")


def test_the_bytes_do_not_depend_on_the_chunks(
    jobs: JobMaker, csv: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.files.row_groups._ROW_GROUP_BYTES", 300)
    for rows in (1, 7, 100):
        job = jobs.prepare(csv, folder=f"chunks-{rows}", keep=("n",), shard_rows=50)
        shard_encoder = ShardEncoder(job, jobs.encoder, ChunkPlan(rows=rows))
        run_worker(shard_encoder, limit=BadLimit())
    assert pq.ParquetFile(job.part_path(0)).num_row_groups > 5
    first, second, third = (contents(jobs.folder / f"chunks-{rows}") for rows in (1, 7, 100))
    assert first == second == third


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_overflow": "window"}, "settings.on_overflow was 'truncate' and is 'window'"),
        ({"shard_rows": 7}, "settings.shard_rows was 10 and is 7"),
        ({"keep": ("n",)}, r"columns.keep was \[\] and is \['n'\]"),
        ({"texts": False}, "settings.texts was True and is False"),
    ],
)
def test_another_job_is_refused_with_the_field(
    jobs: JobMaker, csv: Path, options: dict[str, Any], message: str
) -> None:
    jobs.prepare(csv)
    with pytest.raises(DataFileError, match=f"not this one: .*{message}; .*--restart"):
        jobs.prepare(csv, **options)


def test_an_input_that_changed_is_refused_with_the_field(jobs: JobMaker, csv: Path) -> None:
    jobs.run(jobs.prepare(csv))
    time = csv.stat().st_mtime_ns
    with csv.open("a") as file:
        file.write("p,MK,1\n")
    os.utime(csv, ns=(time, time))
    with pytest.raises(DataFileError, match=r"proteins.csv.bytes was \d+ and is \d+"):
        jobs.prepare(csv)
    job = jobs.prepare(csv, restart=True)
    assert not list(job.folder.glob("*.parquet"))
    assert jobs.run(job)
    assert len(vectors_of(job.folder)) == 96


def test_other_inputs_are_refused_by_name(jobs: JobMaker, csv: Path) -> None:
    jobs.prepare(csv)
    other = shutil.copy(csv, csv.with_name("other.csv"))
    with pytest.raises(DataFileError, match=r"inputs was '1 files' and is '2 files, with .*other"):
        jobs.prepare(csv, Path(other))


def test_a_folder_with_other_files_is_refused(jobs: JobMaker, csv: Path) -> None:
    (jobs.folder / "vectors").mkdir()
    (jobs.folder / "vectors" / "notes.txt").write_text("mine")
    with pytest.raises(DataFileError, match=r"has other files, such as notes\.txt"):
        jobs.prepare(csv)
    with pytest.raises(DataFileError, match="no job here"):
        open_job(jobs.folder / "vectors")


def test_a_plan_that_was_cut_off_is_made_again(
    jobs: JobMaker, csv: Path, contents: Contents
) -> None:
    job = jobs.prepare(csv)
    (job.folder / "job.json").unlink()
    (job.folder / "plan.jsonl").write_text("{")
    assert not is_job(job.folder)
    assert jobs.prepare(csv).plan == job.plan


def test_a_damaged_plan_is_refused(jobs: JobMaker, csv: Path) -> None:
    job = jobs.prepare(csv)
    path = job.folder / "plan.jsonl"
    path.write_text(path.read_text().replace('"rows": 10', '"rows": 9', 1))
    with pytest.raises(DataFileError, match=r"plan.jsonl: was changed"):
        open_job(job.folder)


def test_pipes_are_refused_as_inputs(jobs: JobMaker, tmp_path: Path) -> None:
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    with pytest.raises(DataFileError, match="can be read again"):
        jobs.prepare(path)


BAD = "id,text\n1,MKV\n2,\n3,M?V\n4,LAT,5\n5,\udcff\n6,CC\n7,M?V\n8,AAAA\n"


def bad_rows(job_folder: Path) -> list[dict[str, Any]]:
    paths = sorted((job_folder / "_bad").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.mark.parametrize("shard_rows", [1, 3, 100])
def test_bad_rows_are_listed_and_all_others_are_there(
    jobs: JobMaker, tmp_path: Path, shard_rows: int
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(BAD.encode("utf-8", "surrogateescape"))
    job = jobs.prepare(path, id_column="id", shard_rows=shard_rows)
    assert jobs.run(job)
    tables = [pq.read_table(path) for path in sorted(job.folder.glob("*.parquet"))]
    assert pa.concat_tables(tables)["id"].to_pylist() == ["1", "6", "8"]
    assert [(row["place"]["row"], row["id"], row["code"]) for row in bad_rows(job.folder)] == [
        (2, "2", "missing"),
        (3, "3", "refused"),
        (4, None, "invalid"),
        (5, None, "encoding"),
        (7, "7", "refused"),
    ]
    third = bad_rows(job.folder)[1]
    assert third["excerpt"] == "M?V"
    assert third["message"].startswith(f"{path}, row 3 (line 4), column 'text': ")
    assert json.loads(job.success_path.read_text())["bad"] == 5


def test_a_row_that_is_too_long_is_a_bad_row_with_on_overflow_error(
    jobs: JobMaker, tmp_path: Path
) -> None:
    path = tmp_path / "x.txt"
    path.write_text("MKV\n" + "A" * 50 + "\nCC\n")
    job = jobs.prepare(path, on_overflow="error")
    jobs.run(job)
    assert [(row["place"]["row"], row["code"]) for row in bad_rows(job.folder)] == [(2, "too_long")]
    assert len(vectors_of(job.folder)) == 2


def test_too_many_bad_rows_end_the_job_and_leave_what_is_done(
    jobs: JobMaker, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text\n" + "MKV\n" * 20 + "?\n" * 5)
    job = jobs.prepare(path)
    with pytest.raises(TooManyBadRows, match=r"3 rows cannot .*--max-bad .*row 21 "):
        jobs.run(job, limit=BadLimit(2))
    assert [shard.shard for shard in job.unfinished()] == [2]
    assert not list((job.folder / "_leases").iterdir())
    assert jobs.run(job, limit=BadLimit(5))


def test_the_default_limit_is_a_share_above_a_number_of_rows() -> None:
    limit = BadLimit.parse("1%")
    assert limit.allows(1_000, 1_000)
    assert not limit.allows(1_001, 1_001)
    assert limit.allows(1_001, 200_000)
    assert not BadLimit.parse("0").allows(1, 10**9)
    for text in ("x", "-1", "101%", ""):
        with pytest.raises(ValueError, match="expected a number of rows"):
            BadLimit.parse(text)


def test_bad_rows_are_encoded_again_after_a_fix(
    jobs: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.txt"
    path.write_text("MKV\n" * 15 + "CC\n")
    monkeypatch.setattr("bothways.jobs.shard_chunks.checked_size", refuse_cc)
    job = jobs.prepare(path)
    jobs.run(job)
    assert [row["code"] for row in bad_rows(job.folder)] == ["refused"]
    monkeypatch.undo()
    job.reopen([record.shard for record in job.records() if record.bad])
    assert [shard.shard for shard in job.unfinished()] == [1]
    assert jobs.run(job)
    assert not bad_rows(job.folder)
    assert len(vectors_of(job.folder)) == 16


def refuse_cc(row: Row, _: object) -> int:
    from bothways.errors import InputError

    if row.value == "CC":
        raise InputError("too large")
    return 1


def test_compressed_inputs_have_the_same_parts(jobs: JobMaker, tmp_path: Path, csv: Path) -> None:
    packed = tmp_path / "proteins.csv.gz"
    packed.write_bytes(gzip.compress(csv.read_bytes()))
    for path, folder in ((csv, "plain"), (packed, "packed")):
        jobs.run(jobs.prepare(path, folder=folder, id_column="id"))
    plain, compressed = jobs.folder / "plain", jobs.folder / "packed"
    for part in plain.glob("*.parquet"):
        assert part.read_bytes() == (compressed / part.name).read_bytes()


def test_copied_columns_have_one_type_in_all_parts(
    jobs: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.jobs.shard_rows._TYPED_ROWS", 20)
    path = tmp_path / "x.jsonl"
    rows = [{"text": "MK", "n": None if i < 10 else i} for i in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "MK", "n": "x"}]))
    job = jobs.prepare(path, keep=("n",))
    jobs.run(job)
    schemas = [pq.read_schema(job.part_path(i)) for i in range(3)]
    assert schemas[0].field("n").type == pa.int64()
    assert schemas[0] == schemas[1] == schemas[2]
    assert [(row["place"]["row"], row["code"]) for row in bad_rows(job.folder)] == [(21, "invalid")]


def test_rows_with_a_column_that_the_first_row_lacks_are_not_cut_in_silence(
    jobs: JobMaker, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text('{"text": "MK", "a": 1, "b": 2}\n{"b": 3, "text": "MK"}\n' * 6)
    second.write_text('{"b": 4, "text": "MK", "a": 5}\n{"text": "MK", "c": 1}\n')
    job = jobs.prepare(first, second, keep="all", shard_rows=3)
    jobs.run(job)
    table = pa.concat_tables([pq.read_table(job.part_path(i)) for i in range(5)])
    assert table["a"].to_pylist() == [1, None] * 6 + [5]
    assert table["b"].to_pylist() == [2, 3] * 6 + [4]
    (bad,) = bad_rows(job.folder)
    assert "has the column 'c', which the first row lacks" in bad["message"]
    second.write_text('{"text": "MK", "c": 1}\n')
    with pytest.raises(DataFileError, match="not all inputs have the column 'a'"):
        jobs.prepare(first, second, keep="all", restart=True)
    assert job.success_path.exists(), "a job is removed only once the new one is planned"
