"""Regular expressions from untrusted model folders, with a bound on matching time.

A backtracking matcher can take time exponential in the length of a hostile text (Davis et al. 2018,
"The impact of regular expression denial of service in practice"). The dialect here excludes that:
alternatives of literals and character classes, each with at most one repeat of variable length. A
match is searched in `LONGEST_SYMBOL` characters. Reading one symbol therefore takes at most
`LONGEST_SYMBOL` steps per alternative, and reading a text takes time linear in its length.

    pattern      alternative | alternative | ...     the first that matches is taken, as in Python
    alternative  item item ...
    item         atom, atom?, atom*, atom+, atom{m}, atom{m,}, atom{m,n}
    atom         a literal, an escape such as \\[ \\d \\w \\t, `.`, a class such as [A-Z] or [^\\]]
"""

import re

LONGEST_PATTERN = 2048
"""Characters of the longest pattern, which limits the number of alternatives."""

LONGEST_SYMBOL = 256
"""Characters of the longest symbol; the longest bracket atoms of SMILES have about 20."""

_CLASS_ESCAPES = "dDsSwW"
_CONTROL_ESCAPES = "tnrfv"
_REPEAT = re.compile(r"[?*+]|\{(\d{1,3})(,(\d{1,3})?)?\}")


class PatternError(ValueError):
    """A pattern is not in the dialect. The message says where, and what to write instead."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the dialect.

    >>> compile_pattern(r"Cl|[BCN]|\\[[^\\]]+\\]").match("[C@H]").group()
    '[C@H]'

    Raises:
        PatternError: names the character of the pattern that is wrong.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise PatternError(f"{len(pattern)} characters; expected at most {LONGEST_PATTERN}")
    _check(pattern)
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError) as error:  # such as a range from high to low
        raise PatternError(f"not a regular expression: {error}") from None
    if compiled.match("") is not None:
        raise PatternError(
            "it matches the empty string; every alternative must match at least one character"
        )
    return compiled


def _check(pattern: str) -> None:
    """Check the items of every alternative."""
    at, variable = 0, False
    while at < len(pattern):
        if pattern[at] == "|":
            at, variable = at + 1, False
            continue
        at = _end_of_atom(pattern, at)
        repeat = _REPEAT.match(pattern, at)
        if repeat is None:
            continue
        if _is_variable(repeat):
            if variable:
                raise PatternError(
                    f"character {at}: a second repeat of variable length in one alternative; "
                    "write several alternatives, or a fixed count such as {2}"
                )
            variable = True
        at = repeat.end()


def _end_of_atom(pattern: str, at: int) -> int:
    char = pattern[at]
    if char == "\\":
        return _end_of_escape(pattern, at)
    if char == "[":
        return _end_of_class(pattern, at)
    if char in "()":
        raise PatternError(
            f"character {at}: {char!r}: groups are not supported; "
            "write separate alternatives, or \\( and \\) for the characters"
        )
    if char in "^$?*+{}]":
        raise PatternError(
            f"character {at}: {char!r} is not supported here; write \\{char} for the character"
        )
    return at + 1


def _end_of_escape(pattern: str, at: int) -> int:
    """The index after a class such as \\d, a control character such as \\t, or punctuation."""
    char = pattern[at + 1 : at + 2]
    if not char or (char.isalnum() and char not in _CLASS_ESCAPES + _CONTROL_ESCAPES):
        raise PatternError(f"character {at}: the escape \\{char} is not supported")
    return at + 2


def _end_of_class(pattern: str, at: int) -> int:
    """The index after [...]. Brackets in it must be escaped, as regex dialects disagree on them."""
    start, at = at, at + 1
    if pattern[at : at + 1] == "^":
        at += 1
    if pattern[at : at + 1] == "]":
        raise PatternError(f"character {at}: write \\] for a bracket in a class")
    while at < len(pattern):
        match pattern[at]:
            case "]":
                return at + 1
            case "[":
                raise PatternError(f"character {at}: write \\[ for a bracket in a class")
            case "\\":
                at = _end_of_escape(pattern, at)
            case "-" | "&" | "|" | "~" as char if pattern[at + 1 : at + 2] == char:
                raise PatternError(f"character {at}: {char * 2} in a class; write \\{char}")
            case _:
                at += 1
    raise PatternError(f"character {start}: the class is not closed; write \\[ for a bracket")


def _is_variable(repeat: re.Match[str]) -> bool:
    """Whether the repeat allows several counts; {2} does not.

    Raises:
        PatternError: for a count above `LONGEST_SYMBOL`.
    """
    least, more, most = repeat.groups()
    if any(count is not None and int(count) > LONGEST_SYMBOL for count in (least, most)):
        raise PatternError(
            f"character {repeat.start()}: {repeat.group()} is above {LONGEST_SYMBOL}, the "
            "length of the longest symbol"
        )
    return least is None or more is not None
