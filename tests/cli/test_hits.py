"""Lines of hits on a terminal, in pipes and as JSON."""

import json
import sys
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from bothways.cli.hits import Query, print_hits, snippet
from bothways.files import SearchHit

LONG = (
    "The report begins with the weather of the whole year, and with the fields. "
    "An umbrella keeps the rain off. The rest of the report is about money, rain and the harvest."
)
HITS = [
    SearchHit(1, 0.75, 4, "id-4", LONG),
    SearchHit(2, -0.125, 1, "a\u202eb", "two\n lines\x1b[2J"),
    SearchHit(3, -0.25, 0, "x", None),
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make standard output a terminal; to be called in the test, for pytest sets it before."""

    def switch() -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", "60")

    return switch


def test_on_a_terminal_each_line_fits_and_shows_the_nearest_part(
    terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal()
    print_hits(HITS, Query("0", "keeps the rain off", ""), many=False, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        " 0.7500  id-4      ...keeps the rain off. The rest of the...",
        "-0.1250  a\\u202eb  two lines\\x1b[2J",
        "-0.2500  x",
    ]


def test_on_a_terminal_each_query_has_a_block(
    terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal()
    for row_id in ("q\n1", "q2"):
        print_hits(HITS[2:], Query(row_id, ["M", "K"], ""), many=True, as_json=False)
    assert capsys.readouterr().out == "q 1: M K\n  -0.2500  x\n\nq2: M K\n  -0.2500  x\n\n"


def test_in_a_pipe_a_line_holds_the_whole_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_hits(HITS[:2], Query("q\t1", "rain", ""), many=True, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        f"q\\t1\t0.7500\tid-4\t{LONG}",
        "q\\t1\t-0.1250\ta\\u202eb\ttwo\\n lines\\x1b[2J",
    ]


@pytest.mark.parametrize("many", [True, False])
def test_json_holds_everything(many: bool, capsys: pytest.CaptureFixture[str]) -> None:
    print_hits(HITS[1:2], Query("7", ["M", "K"], ""), many=many, as_json=True)
    named = {"query_id": "7", "query": ["M", "K"]} if many else {}
    expected = named | {"rank": 2, "score": -0.125, "row": 1, "id": "a\u202eb"}
    assert json.loads(capsys.readouterr().out) == expected | {"text": "two\n lines\x1b[2J"}


@pytest.mark.parametrize(
    ("query", "width", "expected"),
    [
        ("keeps the rain off", 500, LONG),
        ("An UMBRELLA", 30, "...An umbrella keeps the ra..."),
        ("harvest money", 40, "...money, rain and the harvest."),
        ("the money of it", 40, "...of the report is about money, rain..."),
        ("the weather", 30, "...with the weather of the..."),
        ("nothing", 30, "The report begins with the..."),
        ("", 30, "The report begins with the..."),
    ],
)
def test_a_snippet_is_the_part_with_the_query_or_most_of_its_words(
    query: str, width: int, expected: str
) -> None:
    assert snippet(LONG, query, width) == expected


@pytest.mark.parametrize("query", ["rain", "harvest", "the report", "傘 雨"])
@pytest.mark.parametrize("text", [LONG, "雨が降るので傘を持って行きます。" * 9, "MKVLAT" * 30])
def test_a_snippet_fits(text: str, query: str) -> None:
    for width in range(20, 60):
        assert cell_len(snippet(text, query, width)) <= width


def test_a_snippet_of_a_script_without_spaces_is_found_by_characters() -> None:
    text = "今日は天気がとても良いので、" * 5 + "傘は要りません。" + "今日は天気がとても良い。" * 5
    assert "傘" in snippet(text, "雨傘", 30)


def test_a_snippet_of_symbols_is_where_the_query_occurs() -> None:
    assert "LLL" in snippet("MKV" * 40 + "LLL" + "MKV" * 40, "LLL", 30)
