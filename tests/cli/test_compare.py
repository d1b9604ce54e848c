"""`bothways compare`, from the command to the report."""

import json
import re
import shlex
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import get_args

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from bothways.cli import compare
from bothways.cli.app import app
from bothways.installation import install_command
from bothways.lab.registry import ComparisonName, load_comparison

Run = Callable[..., tuple[int, str, str]]

FEW = ("--encoders", "transformer,lstm")


def test_a_comparison_prints_its_finding_and_the_path_of_its_report(run: Run) -> None:
    code, out, err = run("compare", "speed", "--quick", *FEW, "--out", "r")
    assert code == 0, err
    finding, report = out.splitlines()
    assert finding.startswith("The Transformer compared with recurrent encoders")
    assert report == f"report\t{Path('r') / 'report.html'}"
    raw = json.loads(Path("r/raw.json").read_text())
    assert raw["command"] == "bothways compare speed --encoders transformer,lstm --quick"
    assert raw["facts"]["encoders"] == "transformer, lstm"
    assert {"date", "processor", "torch", "time taken"} < set(raw["facts"])


def test_quiet_prints_no_messages_and_the_folder_has_a_default_name(run: Run) -> None:
    code, _, err = run("compare", "speed", "--quick", *FEW, "--threads", "1", "--quiet")
    assert (code, err) == (0, "")
    assert Path("compare-speed/report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("taste",), "taste"),
        (("speed", "--full", "--quick"), "one of the two"),
        (("speed", "rows.csv"), "unexpected extra argument"),
        (("speed", "--seeds", "1"), "--seeds"),
        (("speed", "--label", "y"), "--label"),
        (("data",), "FILE"),
        (("data", "rows.csv", "--task", "mlm"), "mlm"),
        (("speed", "--threads", "0"), "expected an integer, at least 1"),
        (("speed", "--threads", "two"), "expected an integer, at least 1"),
        (("speed", "--encoders", "transformer,abacus"), "'abacus': expected one of transformer"),
        (("bottleneck", "--task", "tag"), "'tag': expected one of copy, reverse, dates"),
    ],
)
def test_an_invalid_command_says_what_is_wrong(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    code, out, err = run("compare", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert not Path("compare-speed").exists()


def test_a_file_of_labeled_rows_can_be_compared_on(run: Run) -> None:
    rows = "".join(f"{'good' if i % 2 else 'bad'} thing {i},{i % 2}\n" for i in range(40))
    Path("rows.csv").write_text("review,liked\n" + rows)
    words = ("--column", "review", "--label", "liked", "--encoders", "bag", "--threads", "1")
    code, out, err = run("compare", "data", "rows.csv", "--quick", *words)
    assert code == 0, err
    assert out.startswith("On rows.csv, no model is clearly the best: the highest score is ")
    raw = json.loads(Path("compare-data/raw.json").read_text())
    assert raw["command"] == (
        "bothways compare data rows.csv --column review --label liked --encoders bag --threads 1 "
        "--quick"
    )
    assert raw["facts"]["label"] == "liked"


def test_a_file_of_symbols_can_be_compared_on(run: Run) -> None:
    rows = "".join(f"{'GAVL' if i % 2 else 'DEKR'}{'W' * (i % 5)},{i % 2}\n" for i in range(40))
    Path("peptides.csv").write_text("sequence,label\n" + rows)
    words = ("--alphabet", "protein", "--encoders", "bag")
    code, _, err = run("compare", "data", "peptides.csv", "--quick", *words)
    assert code == 0, err
    raw = json.loads(Path("compare-data/raw.json").read_text())
    assert raw["command"].endswith("--alphabet protein --encoders bag --quick")
    assert raw["facts"]["alphabet"] == "protein"


def test_an_unknown_alphabet_is_named(run: Run) -> None:
    Path("rows.csv").write_text("sequence,label\n" + "ab,x\nba,y\n" * 20)
    code, _, err = run("compare", "data", "rows.csv", "--quick", "--alphabet", "greek")
    assert code == 1
    assert "alphabet 'greek': expected one of" in err


def test_rows_without_labels_give_the_error_of_train(run: Run) -> None:
    Path("rows.csv").write_text("text,label\na,p\nb,\n")
    code, _, err = run("compare", "data", "rows.csv", "--quick")
    assert code == 1
    assert err.splitlines()[-1].startswith("error: ")
    assert "rows.csv, row 2 (line 3), column 'label'" in err
    assert [path.name for path in Path().iterdir()] == ["rows.csv"]  # no folder of a report


def test_options_may_precede_the_name_of_the_comparison(run: Run) -> None:
    code, _, err = run("compare", "--quick", *FEW, "--out", "r", "speed")
    assert code == 0, err
    assert Path("r/report.html").exists()


def test_an_invalid_folder_is_reported_before_the_work(run: Run) -> None:
    Path("taken").write_text("")
    code, _, err = run("compare", "speed", "--out", "taken")
    assert code == 1
    assert "taken" in err


@pytest.mark.parametrize(("package", "extra"), [("torch", "torch"), ("matplotlib", "plots")])
def test_a_missing_extra_is_named_before_the_work(
    run: Run, monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    found = util.find_spec
    monkeypatch.setattr(compare, "find_spec", lambda name: None if name == package else found(name))
    code, _, err = run("compare", "speed")
    assert code == 1
    assert install_command(extra) in err


@pytest.mark.parametrize("subject", get_args(ComparisonName))
def test_every_subject_can_be_compared_at_every_scale(subject: ComparisonName) -> None:
    comparison = load_comparison(subject)
    assert set(comparison.presets) == {"quick", "default", "full"}
    assert comparison.title


def test_the_commands_of_the_page_are_valid() -> None:
    page = Path(__file__).parents[2] / "docs" / "why-self-attention.md"
    lines = re.findall(r"^bothways (compare .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    for line in lines:
        name, *words = shlex.split(line)
        with group.make_context("bothways", [name, *words]) as context:
            command = group.get_command(context, name)
            assert command is not None
            command.make_context(name, words, parent=context)  # raises if it is wrong
