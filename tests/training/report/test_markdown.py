import pytest

from bothways.training.report.markdown import MAX_TEXT, code_block, number, plain, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words.", "plain words."),
        ("two\nlines\tand  spaces", "two lines and spaces"),
        ("a|b", r"a\|b"),
        ("<script>", r"\<script\>"),
        ("[x](http://y)", r"\[x\](http://y)"),
        ("\x1b[31m\u202e", r"\\x1b\[31m\\u202e"),
        ("\ud800", r"\\ud800"),  # no UTF-8 file could hold it
        ("日本", "日本"),
        ("a\u200bb \u2066c", r"a\\u200bb \\u2066c"),
        ("👩\u200d💻", "👩\u200d💻"),  # a joiner within an emoji
    ],
)
def test_a_text_stays_a_text_in_a_cell(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_long_text_is_truncated_with_an_ellipsis() -> None:
    assert plain("x" * 1000) == "x" * (MAX_TEXT - 1) + "…"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.97123, "0.9712"), (12345.0, "12,345"), (1234.56, "1,234.6"), (-0.5, "-0.5"),
        (1e-9, "1e-09"), (float("nan"), "nan"), (float("inf"), "inf"), (0, "0"),
    ],
)  # fmt: skip
def test_a_number_is_short(value: float, shown: str) -> None:
    assert number(value) == shown


def test_columns_of_numbers_are_right_aligned() -> None:
    assert table(["a", "b"], [["x", "1,000"], ["1", "nan"]]).split("\n")[1] == "| :-- | --: |"


def test_a_fence_is_longer_than_those_inside() -> None:
    assert code_block("sh", "a ```` b") == "`````sh\na ```` b\n`````"


def test_code_has_no_invisible_characters() -> None:
    assert code_block("sh", "run a\u202eb\nrun c") == "```sh\nrun a\\u202eb\nrun c\n```"
