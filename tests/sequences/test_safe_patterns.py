"""The dialect of patterns: what it supports and refuses, and that matching takes linear time."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.sequences.safe_patterns import (
    LONGEST_PATTERN,
    LONGEST_SYMBOL,
    PatternError,
    compile_pattern,
)
from bothways.sequences.splitters import Pattern, make_splitter

SOON_SECONDS = 30
"""For what takes a few seconds on a busy core; what backtracks without bound takes centuries."""


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("ab|a", "ab", "ab"),
        ("a|ab", "ab", "a"),  # the first that matches, not the longest
        (r"[A-Z][a-z]*", "Alpha beta", "Alpha"),
        (r"[^\]]+", "ab]", "ab"),
        (r"\d{3}|\d", "1234", "123"),
        (r"\d{2,}", "1234x", "1234"),
        (r"x{1,2}", "xxx", "xx"),
        (r"\[[^\[\]]+\]", "[C@H](N)", "[C@H]"),
        (r"[\-+]?1", "-1", "-1"),
        (r"\(|\)", "()", "("),
        (r".", "é", "é"),
        (r"\t\w", "\tx", "\tx"),
    ],
)
def test_patterns_match_as_in_python(pattern: str, text: str, expected: str) -> None:
    match = compile_pattern(pattern).match(text)
    assert match is not None
    assert match.group() == expected == re.match(pattern, text).group()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("(a+)+", r"character 0: '\('"),
        ("(?:a|a)*", r"character 0: '\('"),
        ("a)", r"character 1: '\)'"),
        (r"a+a+", "character 3: a second repeat"),
        (r"[ab]*c?", "character 6: a second repeat"),
        ("a+?", r"character 2: '\?'"),
        ("a**", r"character 2: '\*'"),
        ("a{1,2}{3}", r"character 6: '\{'"),
        ("a{257}", "is above 256"),
        ("a{1,999}", "is above 256"),
        ("a{1000}", r"character 1: '\{'"),
        ("a{,3}", r"character 1: '\{'"),
        ("^a", r"character 0: '\^'"),
        ("a$", r"character 1: '\$'"),
        ("a]", "character 1: ']'"),
        ("*", r"character 0: '\*'"),
        (r"a\b", r"character 1: the escape \\b"),
        (r"(a)\1", r"character 0: '\('"),
        (r"a\1", r"character 1: the escape \\1"),
        (r"\p", r"the escape \\p"),
        (r"\u0041", r"the escape \\u"),
        ("a\\", r"character 1: the escape \\"),
        ("[", "character 0: the class is not closed"),
        ("[^", "character 0: the class is not closed"),
        ("[a", "character 0: the class is not closed"),
        ("[]a]", "write .. for a bracket"),
        ("[^]a]", "write .. for a bracket"),
        ("[[a]", "write .. for a bracket"),
        ("[a--b]", "character 2: --"),
        ("[a&&b]", "character 2: &&"),
        ("[z-a]", "not a regular expression"),
        ("", "empty string"),
        ("a*", "empty string"),
        ("a|", "empty string"),
        ("a?|b", "empty string"),
        ("a{0}", "empty string"),
        ("a" * (LONGEST_PATTERN + 1), "at most"),
    ],
)
def test_slow_or_ambiguous_patterns_are_refused(pattern: str, named: str) -> None:
    with pytest.raises(PatternError, match=named):
        compile_pattern(pattern)


@settings(deadline=None)
@given(st.text(alphabet=r"ab01()[]{}|?*+\^$.-,&~dsw", max_size=12))
def test_every_pattern_is_compiled_or_refused(pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return
    assert compiled.match("") is None
    assert compiled.groups == 0


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"[^b]+b|z", "a" * 1_000_000),
        (r"\[[^x]*\]|z", "[" * 1_000_000),
        ("|".join(["a" * n + "b" for n in range(60, 1, -1)]), "a" * 200_000),
        (r".{255}b|a{200,256}c|z", "a" * 1_000_000),
    ],
)
def test_hostile_pattern_and_text_take_linear_time(pattern: str, text: str) -> None:
    split = make_splitter(Pattern(pattern), ())
    start = time.monotonic()
    pieces, _ = split(text)
    assert time.monotonic() - start < SOON_SECONDS
    assert "".join(pieces) == text


def test_a_symbol_beyond_the_length_limit_is_not_matched() -> None:
    split = make_splitter(Pattern(r"\[[^\]]+\]"), ())
    fits = "[" + "x" * (LONGEST_SYMBOL - 2) + "]"
    assert split(fits)[0] == [fits]
    assert split(f"[x{fits[1:]}")[0][0] == "["
