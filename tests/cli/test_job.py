"""`bothways encode` into a folder, and `bothways job`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.support.fake_ray import FakeRay

import bothways
from bothways import Alphabet, EncoderConfig
from bothways.cli import equal_ids, job_runs
from bothways.sequences import SequenceReader, SymbolReader

Run = Callable[..., tuple[int, str, str]]
PROTEINS = Alphabet.protein()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=len(PROTEINS), max_length=32
    )
    reader: SequenceReader = SymbolReader(PROTEINS)
    return str(bothways.create(tmp_path_factory.mktemp("models") / "proteins", config, reader))


@pytest.fixture
def encode(run: Run, model: str) -> Run:
    """Encode x.csv into vectors/, in shards of ten rows."""
    rows = "".join(f"p{i},{'MKVLATCDEF'[: i % 10 + 1]},{i}\n" for i in range(45))
    Path("x.csv").write_text("id,text,n\n" + rows)
    return lambda *options: run(
        "encode", "x.csv", "-o", "vectors/", "--column", "text", "--model", model,
        "--shard-rows", 10, *options,
    )  # fmt: skip


def test_a_folder_is_encoded_once_and_its_command_resumes(encode: Run) -> None:
    code, out, err = encode("--keep", "n")
    assert (code, out) == (0, "")
    assert "vectors: complete: 45 rows in 5 parts; encoded" in err
    assert "x.csv: ids are those of column 'id'" in err
    parts = sorted(Path("vectors").glob("*.parquet"))
    assert pq.read_table(parts[4])["id"].to_pylist() == [f"p{i}" for i in range(40, 45)]
    assert pq.read_table(parts[4])["n"].to_pylist() == ["40", "41", "42", "43", "44"]
    Path("vectors/_done/000003.json").unlink()
    Path("vectors/_SUCCESS.json").unlink()
    code, _, err = encode("--keep", "n")
    assert code == 0
    assert "45 rows in 5 parts; encoded 75 tokens" in err
    code, _, err = encode()
    assert code == 1
    assert "columns.keep was ['n'] and is []" in err
    assert encode("--restart", "--quiet")[0] == 0
    assert pq.read_schema(parts[0]).names[-1] == "truncated"


def test_a_job_can_be_planned_for_workers(encode: Run, run: Run) -> None:
    code, _, err = encode("--plan-only")
    assert code == 0
    assert "45 rows in 5 parts are planned; to encode them: bothways job work vectors" in err
    assert not list(Path("vectors").glob("*.parquet"))
    assert encode("--plan-only", "--quiet") == (0, "", "")
    assert run("job", "work", "vectors")[0] == 0
    assert Path("vectors/_SUCCESS.json").exists()


def test_options_of_a_single_file_are_refused(encode: Run) -> None:
    for option in (["--tokens"], ["--overwrite"], ["--format", "npy"]):
        code, _, err = encode(*option)
        assert code == 1
        assert f"{option[0]} is for a single file of vectors" in err
    code, _, err = encode("--max-bad", "many")
    assert code == 1
    assert "--max-bad 'many': expected a number of rows such as 100" in err
    assert not Path("vectors").exists()


def test_equal_ids_are_compared_with_the_first_ids_of_the_job(
    encode: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equal_ids, "MAX_IDS", 15)
    with Path("x.csv").open("a") as file:
        file.write("p3,MKV,0\np30,MKV,0\np14,MKV,0\n")
    name = Path("x.csv").absolute()
    warning = (
        f"warning: rows with the id of an earlier row: 2, the first is 'p3' in {name}, row 4 and "
        f"{name}, row 46; ids after the first 15 are not compared\n"
    )
    assert warning in encode()[2]
    Path("vectors/_SUCCESS.json").unlink()
    for shard in (4, 1):  # the second has rows that are compared with themselves
        Path(f"vectors/_done/00000{shard}.json").unlink()
    assert warning in encode()[2]


@pytest.mark.parametrize(
    ("output", "is_hinted"),
    [(["out"], True), (["out.csv"], False), (["out", "--tokens"], False)],
)
def test_a_name_that_could_be_that_of_a_folder_gets_a_hint(
    run: Run, output: list[str], is_hinted: bool
) -> None:
    Path("x.txt").write_text("MKV\n")
    code, _, err = run("encode", "x.txt", "-o", *output, "--model", "no such model")
    assert code == 1
    assert f"{output[0]}: unknown output format" in err
    assert ("for a folder, end the name with a slash: -o out/" in err) == is_hinted


def test_bad_rows_are_a_report_and_an_exit_code(run: Run, encode: Run) -> None:
    with Path("x.csv").open("a") as file:
        file.write("p45,,45\np46,M?K,46\n")
    code, _, err = encode()
    assert code == job_runs.BAD_ROWS == 3
    assert "rows that cannot be encoded: 2, listed in vectors/_bad; the first: " in err
    assert "row 46" in err
    code, out, _ = run("job", "status", "vectors")
    assert code == 0
    assert "complete\n" in out
    assert "bad      2" in out
    assert encode("--restart", "--max-bad", "1")[0] == 1
    assert run("job", "retry", "vectors")[0] == 3
    assert run("job", "verify", "vectors")[0] == 0


def test_status_verify_and_retry_of_a_job(run: Run, encode: Run) -> None:
    encode()
    code, out, _ = run("job", "status", "vectors/", "--json")
    assert code == 0
    assert json.loads(out)["rows"] == 45
    code, _, err = run("job", "verify", "vectors/", "--deep")
    assert code == 0
    assert "5 parts are as they were written, 45 rows encoded again have the same bits" in err
    assert "no row is listed" in run("job", "retry", "vectors/")[2]
    part = sorted(Path("vectors").glob("*.parquet"))[2]
    part.write_bytes(part.read_bytes()[:-1])
    code, _, err = run("job", "verify", "vectors/")
    assert code == 1
    assert f"{part}: was changed after it was written" in err
    assert run("job", "status", "nothing")[0] == 1


def test_workers_take_their_shards(run: Run, encode: Run) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bothways.jobs.job.EncodingJob.unfinished", lambda _: [])
        encode()  # plans only
    Path("vectors/_SUCCESS.json").unlink(missing_ok=True)
    code, _, err = run("job", "work", "vectors", "--worker", "2/3")
    assert code == 0, err
    assert "3 shards are missing" in err
    assert sorted(path.stem for path in Path("vectors/_done").iterdir()) == ["000001", "000004"]
    out = run("job", "status", "vectors")[1]
    assert "shards   2 of 5 (40%)" in out
    assert "no worker is at it" in out
    assert "complete: 45 rows" in run("job", "work", "vectors")[2]
    for wrong in ("0/3", "4/3", "x"):
        assert run("job", "work", "vectors", "--worker", wrong)[0] == 2


def test_another_model_in_the_place_of_the_first_is_refused(
    run: Run, encode: Run, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode()
    monkeypatch.setattr(bothways.encoder.Encoder, "fingerprint", "0" * 64)
    code, _, err = run("job", "work", "vectors")
    assert code == 1
    assert "is not the one that the job began with: its fingerprint is 000000000000" in err


def test_progress_as_json(encode: Run) -> None:
    _, out, _ = encode("--progress", "json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1]["rows"] == lines[-1]["total_rows"] == 45
    assert lines[-1]["seconds_left"] == 0


def test_texts_can_be_left_out_of_any_output(run: Run, encode: Run, model: str) -> None:
    encode("--no-text")
    part = sorted(Path("vectors").glob("*.parquet"))[0]
    assert set(pq.read_table(part)["text"].to_pylist()) == {None}
    run("encode", "x.csv", "-o", "x.jsonl", "--column", "text", "--model", model, "--no-text")
    assert json.loads(Path("x.jsonl").read_text().splitlines()[0])["text"] is None


def start(model: str, rows: int, output: str) -> "subprocess.Popen[str]":
    Path("y.txt").write_text("MKVLAT\n" * rows)
    options: list[str] = ["-o", output, "--model", model, "--shard-rows", "200"]
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, "encode", "y.txt", *options, "--progress", "json"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


SLOW = """
import time
from bothways.cli import main
from bothways.encoder import Encoder
encode = Encoder.encode_detailed
def slowly(self, *arguments, **options):
    if len(arguments[0]):
        time.sleep(0.2)
    return encode(self, *arguments, **options)
Encoder.encode_detailed = slowly
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_signal_waits_for_the_shard_and_a_second_one_does_not(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    process = start(model, 20_000, "v/")
    assert process.stdout is not None
    while '"shards": 0' in process.stdout.readline():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "stopping after this shard" in err
    done: list[Any] = list(Path("v/_done").iterdir())
    assert 1 <= len(done) < 100
    assert not list(Path("v/_leases").iterdir())
    assert not list(Path("v").glob(".*"))


def test_a_job_is_worked_on_by_a_ray_cluster(
    encode: Run, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    encode()
    Path("vectors/_done/000003.json").unlink()
    Path("vectors/_SUCCESS.json").unlink()
    code, _, err = run("job", "work", "vectors", "--ray", "local", "--workers", 2, "--cpus", 1)
    assert code == 0, err
    assert "vectors: complete: 45 rows in 5 parts; encoded 75 tokens" in err
    assert ray.addresses[0] == "local"
    assert ray.options["num_cpus"] == 1
    for options in (["--workers", 2], ["--cpus", 3], ["--ray", "auto", "--worker", "1/2"]):
        code, _, err = run("job", "work", "vectors", *options)
        assert code == 1
        assert "error: --worker" in err or "error: --cpus" in err


def test_vectors_are_stored_in_the_form_that_is_asked_for(encode: Run, run: Run) -> None:
    code, _, err = encode("--vectors-as", "int8")
    assert code == 0, err
    kind = pq.read_schema(Path("vectors/part-000000-of-000005.parquet")).field("vector").type
    assert (str(kind.value_type), kind.list_size) == ("int8", 8)
    code, out, err = run("search", "MKV", "--in", "vectors/", "-k", 1, "--json")
    assert code == 0, err
    assert "scores are cosines with quantized vectors" in err
    assert json.loads(out)["vectors_as"] == "int8"
    code, out, err = run("job", "verify", "vectors/", "--deep")
    assert (code, "have the same bits" in out + err) == (0, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "x.jsonl", "--vectors-as", "int8"], ".jsonl has vectors in full; use .parquet"),
        (["-o", "x.parquet", "--tokens", "--vectors-as", "f16"], "leave out --vectors-as"),
        (["-o", "x.parquet", "--vectors-as", "int4"], "'int4'"),
    ],
)
def test_forms_that_an_output_does_not_have_are_refused(
    run: Run, model: str, options: list[str], message: str
) -> None:
    Path("x.txt").write_text("MKV\n")
    code, _, err = run("encode", "x.txt", "--model", model, *options)
    assert code != 0
    assert message in err
    assert not list(Path().glob("x.[jp]*"))


def test_int8_of_standard_input_is_refused(model: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bothways", "encode", "-", "-o", "x.parquet", "--model", model,
         "--vectors-as", "int8"],
        input="MKV\n", cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--vectors-as int8 reads the inputs twice" in done.stderr
