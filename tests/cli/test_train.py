"""`bothways train`, from the command to the folder."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import bothways
from bothways.installation import install_command

Run = Callable[..., tuple[int, str, str]]

TINY = ("--size", "tiny", "--set", "d_model=16", "--set", "num_layers=1", "--steps", "2")


@pytest.fixture(autouse=True)
def data(run: Run) -> None:
    """Small files of each kind, in the folder that `run` runs in."""
    texts = [f"{a} {b} {c}" for a in ("the", "a") for b in ("red", "blue") for c in ("cat", "dog")]
    Path("corpus.txt").write_text("\n".join(texts))
    rows = "".join(f"{text},{'pq'[i % 2]}\n" for i, text in enumerate(texts))
    Path("train.csv").write_text("text,y\n" + rows)
    tagged = [{"tokens": text.split(), "tags": ["D", "A", "N"]} for text in texts]
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tagged))
    molecules = "".join(f"{'C' * n}O,{70 + 20 * n}\n" for n in range(1, 11))
    Path("data.csv").write_text("smiles,y\n" + molecules)
    pairs = [{"anchor": text, "positive": text.upper()} for text in texts]
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))


@pytest.fixture(autouse=True)
def without_simple_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit no simple models, which take longer than a tiny run."""
    monkeypatch.setattr("bothways.training.simple_models.comparison.can_fit", lambda: False)
    monkeypatch.setattr("bothways.training.simple_models.probe.can_fit", lambda: False)


@pytest.mark.parametrize(
    "command",
    [
        "train mlm      corpus.txt           --out runs/base  --size small",
        "train classify train.csv --label y  --out runs/topic --from minilm",
        "train tag      train.jsonl          --out runs/pos",
        "train regress  data.csv --target y  --out runs/boil  --alphabet smiles",
        "train contrast pairs.jsonl          --out runs/pairs --from minilm",
        "train classify train.csv            --out runs/lstm  --encoder lstm --size tiny",
    ],
)
@pytest.mark.usefixtures("minilm_folder")
def test_simple_commands_work(run: Run, command: str) -> None:
    code, out, err = run(*command.split())
    assert code == 0, err
    *figures, report = (line.split("\t") for line in out.splitlines())
    assert report[0] == "report"
    assert all(math.isfinite(float(value)) for _, value in figures)
    folder = Path(report[1]).parent
    assert "learning_curve.png" in {path.name for path in folder.iterdir()}
    assert bothways.load(folder).encode(["C" if "boil" in command else "a cat"]).shape[0] == 1
    assert "training rows" in err


def test_metrics_are_printed_as_json(run: Run) -> None:
    code, out, _ = run("train", "classify", "train.csv", "--out", "o", "--json", "-q", *TINY)
    assert code == 0
    facts = json.loads(out)
    assert facts["steps"] == 2
    assert facts["folder"] == "o"
    assert set(facts["metrics"]) == {"loss", "accuracy", "macro_f1"}
    comparison = facts["comparison"]
    assert comparison["score"] == facts["metrics"]["accuracy"]
    assert comparison["interval"][0] <= comparison["score"] <= comparison["interval"][1]
    assert comparison["simple"][0]["name"] == "the most frequent class"
    assert comparison["verdict"].startswith("The ")


def test_the_last_lines_compare_with_a_simple_model(run: Run) -> None:
    code, _, err = run("train", "classify", "train.csv", "--out", "o", *TINY)
    assert code == 0
    assert "held-out rows)" in err
    assert "the most frequent class" in err
    assert "needs scikit-learn" in err


def test_quiet_prints_no_messages(run: Run) -> None:
    assert run("train", "mlm", "corpus.txt", "--out", "o", "-q", *TINY)[2] == ""


def test_options_override_the_file_and_assignments_override_both(run: Run) -> None:
    Path("run.toml").write_text(
        "[encoder]\nd_model = 32\nnum_layers = 1\n"
        "[model]\nsize = 'tiny'\n[training]\nmax_steps = 3\nseed = 5\nweight_decay = 0.5\n"
    )
    options = ("--steps", "2", "--set", "training.weight_decay=0.25", "--set", "activation=silu")
    code, _, err = run("train", "mlm", "corpus.txt", "-o", "o", "--config", "run.toml", *options)
    assert code == 0, err
    facts = json.loads(Path("o/training.json").read_text())
    settings = facts["settings"]
    assert (settings["max_steps"], settings["seed"], settings["weight_decay"]) == (2, 5, 0.25)
    assert bothways.load("o").config.activation == "silu"
    assert bothways.load("o").config.d_model == 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["train.csv", "--label", "z"],
            "error: train.csv: no column 'z'; the file has 'text', 'y'",
        ),
        (["none.csv"], "error: none.csv: no such file"),
        (["train.csv", "--set", "depth=3"], "error: unknown field 'depth'; EncoderConfig has"),
        (["train.csv", "--set", "depth"], "error: --set depth: expected NAME=VALUE, with a field"),
        (["train.csv", "--set", "table.x=1"], "tables are data, model, encoder, objective, train"),
        (["train.csv", "--temperature", "1"], "error: temperature is for contrast, not for class"),
        (["train.csv", "--from", "minilm", "--size", "tiny"], "size: applies only to a new model"),
        (["train.csv", "--config", "no.toml"], "error: no.toml: cannot be read"),
        (["train.csv", "--resume"], "error: o: no run to resume: training.json is missing"),
        (["-"], "error: training reads its data several times; give a file, not -"),
    ],
)
def test_a_mistake_is_one_line(run: Run, options: list[str], message: str) -> None:
    code, out, err = run("train", "classify", *options, "--out", "o")
    assert (code, out) == (1, "")
    assert message in err
    assert err.rstrip().count("\n") <= 2  # what was read, and the error


@pytest.mark.parametrize(
    "options", [["guess", "train.csv", "-o", "o"], ["mlm", "-o", "o"], ["mlm"]]
)
def test_an_invalid_command_exits_with_2(run: Run, options: list[str]) -> None:
    assert run("train", *options)[0] == 2


def test_missing_torch_is_a_one_line_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.cli.train.find_spec", lambda name: None)
    assert run("train", "mlm", "corpus.txt", "--out", "o") == (
        1,
        "",
        f"error: training needs an extra: {install_command('torch')}\n",
    )


def test_help_works_without_torch() -> None:
    code = (
        "import sys\nfrom bothways.cli.app import app\n"
        "try:\n    app(['train', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'tokenizers', 'pyarrow', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--resume" in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_signal_saves_the_run_and_prints_how_to_resume(run: Run) -> None:
    command = [sys.executable, "-m", "bothways", "train", "mlm", "corpus.txt", "--out", "o"]
    command += [*TINY[:-1], "100000"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        while not Path("o/metrics.jsonl").exists() or not Path("o/metrics.jsonl").stat().st_size:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert out == ""
    assert "stopped by SIGTERM after step" in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("resume with the same command and --resume")
    assert bothways.load("o").dimensions == 16


@pytest.mark.skipif(os.name != "posix", reason="gloo")
def test_only_one_process_under_torchrun_prints(run: Run) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "bothways", "train", "mlm", "corpus.txt"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--out", "two", *TINY],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("report\ttwo/report.md") == 1
    assert done.stderr.count("training rows") == 1
    assert json.loads(Path("two/training.json").read_text())["processes"] == 2
