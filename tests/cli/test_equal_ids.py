"""Equal ids of rows are noticed, in bounded memory."""

import pytest

from bothways.cli import equal_ids
from bothways.cli.equal_ids import IdWatch
from bothways.files import Place, Row


def report(*rows: tuple[str, str, int]) -> None:
    watch = IdWatch()
    given = [Row(row_id, "", Place(file, row)) for row_id, file, row in rows]
    assert list(watch.watch(given)) == given
    watch.report()


def test_equal_ids_are_counted_with_the_first_two_places(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report(("a", "x.csv", 1), ("b", "x.csv", 2), ("b", "y.csv", 7), ("a", "y.csv", 8))
    assert capsys.readouterr().err == (
        "warning: rows with the id of an earlier row: 2, the first is "
        "'b' in x.csv, row 2 and y.csv, row 7\n"
    )


def test_different_ids_need_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    report(("a", "x.csv", 1), ("b", "y.csv", 1))
    assert capsys.readouterr().err == ""


def test_row_numbers_take_no_memory(capsys: pytest.CaptureFixture[str]) -> None:
    watch = IdWatch()
    rows = [Row(str(i), "", Place("x", i + 1), is_numbered=True) for i in range(9)]
    assert list(watch.watch(rows)) == rows
    assert watch._places == {}


def test_rows_are_compared_with_the_first_ones(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equal_ids, "MAX_IDS", 1)
    report(("a", "x.csv", 1), ("b", "x.csv", 2), ("b", "x.csv", 3), ("a", "x.csv", 4))
    assert capsys.readouterr().err == (
        "warning: rows with the id of an earlier row: 1, the first is "
        "'a' in x.csv, row 1 and x.csv, row 4; ids after the first 1 are not compared\n"
    )
