"""`bothways evaluate`, from the command to the report."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]

TINY = ("--size", "tiny", "--set", "d_model=16", "--set", "num_layers=1", "--steps", "2", "-q")


@pytest.fixture(autouse=True)
def model(run: Run) -> None:
    """A classifier in the folder `topic`, and rows that it has not seen."""
    texts = [f"{a} {b} {c}" for a in ("the", "a") for b in ("red", "blue") for c in ("cat", "dog")]
    rows = [f"{text},{'pq'[i % 2]}\n" for i, text in enumerate(texts)]
    Path("train.csv").write_text("body,y\n" + "".join(rows))
    Path("test.csv").write_text("body,kind\n" + "".join(rows[:5]))
    assert run("train", "classify", "train.csv", "--column", "body", "-o", "topic", *TINY)[0] == 0


def test_metrics_are_printed_and_the_report_is_written(run: Run) -> None:
    names = ("--column", "body", "--label", "kind")
    code, out, err = run("evaluate", "topic", "test.csv", *names)
    assert code == 0, err
    assert [line.split("\t")[0] for line in out.splitlines()] == ["loss", "accuracy", "macro_f1"]
    assert "5 rows of test.csv" in err
    code, out, err = run("evaluate", "topic", "test.csv", *names, "-o", "r", "--json", "-q")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["task"], facts["rows"], facts["report"]) == ("classify", 5, "r/report.md")
    assert facts["metrics"] == json.loads(Path("r/evaluation.json").read_text())["metrics"]
    assert Path("r/report/confusion.png").is_file()


def test_a_mistake_is_one_line(run: Run) -> None:
    Path("bad.csv").write_text("body,y\na cat,z\n")
    code, out, err = run("evaluate", "topic", "bad.csv", "--column", "body", "--label", "y")
    assert (code, out) == (1, "")
    assert "bad.csv, row 1 (line 2), column 'y': topic does not know the label 'z'" in err
    assert err.count("\n") == 1
