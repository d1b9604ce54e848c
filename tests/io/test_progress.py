"""Progress goes to a callback, to a bar, or nowhere."""

import pytest

from bothways.io.progress import show_progress


def test_a_callback_gets_the_running_total() -> None:
    calls: list[tuple[int, int]] = []
    with show_progress(lambda done, total: calls.append((done, total)), 5) as advance:
        advance(2)
        advance(3)
    assert calls == [(2, 5), (5, 5)]


def test_nothing_is_printed_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(False, 5) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")


def test_a_bar_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(True, 5) as advance:
        advance(5)
    assert capsys.readouterr().out == ""
