"""Regular expressions that may come from anybody's model folder, and yet never take for ever.

A backtracking matcher can need time exponential in the length of a hostile text (Davis et al. 2018,
"The impact of regular expression denial of service in practice"). Patterns here are of a small
dialect in which it cannot: alternatives of literals and character classes, and in each alternative
at most one repeat of variable length. A match is looked for in `LONGEST_SYMBOL` characters at a
time. So reading one symbol costs at most the alternatives times `LONGEST_SYMBOL` steps, whatever
the text, and a whole text time linear in its length.

    pattern      alternative | alternative | ...     the first that matches wins, as in Python
    alternative  item item ...
    item         atom, atom?, atom*, atom+, atom{m}, atom{m,}, atom{m,n}
    atom         a literal, an escape such as \\[ \\d \\w \\t, `.`, a class such as [A-Z] or [^\\]]
"""

import re

LONGEST_PATTERN = 2048
"""Characters of a pattern: room for many alternatives, few enough that each symbol is read soon."""

LONGEST_SYMBOL = 256
"""Characters of a symbol that a pattern can match; the longest bracket atoms have some 20."""

_CLASS_ESCAPES = "dDsSwW"
_CONTROL_ESCAPES = "tnrfv"
_REPEAT = re.compile(r"[?*+]|\{(\d{1,3})(,(\d{1,3})?)?\}")


class PatternError(ValueError):
    """A pattern is not of the dialect: says where and what to write instead."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern after seeing that it is of the dialect.

    >>> compile_pattern(r"Cl|[BCN]|\\[[^\\]]+\\]").match("[C@H]").group()
    '[C@H]'

    Raises:
        PatternError: naming the character of the pattern at fault.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise PatternError(f"{len(pattern)} characters; expected at most {LONGEST_PATTERN}")
    _check(pattern)
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError) as error:  # such as a range from high to low
        raise PatternError(f"no regular expression: {error}") from None
    if compiled.match("") is not None:
        raise PatternError("it matches the empty string; every alternative must need a character")
    return compiled


def _check(pattern: str) -> None:
    """Walk through the items of every alternative."""
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
            f"character {at}: {char!r}: groups are not supported and not needed; "
            "write alternatives side by side, or \\( and \\) for the characters themselves"
        )
    if char in "^$?*+{}]":
        raise PatternError(
            f"character {at}: {char!r} has no place here; write \\{char} for the character"
        )
    return at + 1


def _end_of_escape(pattern: str, at: int) -> int:
    """Past a class such as \\d, a control character such as \\t, or a punctuation mark."""
    char = pattern[at + 1 : at + 2]
    if not char or (char.isalnum() and char not in _CLASS_ESCAPES + _CONTROL_ESCAPES):
        raise PatternError(f"character {at}: the escape \\{char} is not supported")
    return at + 2


def _end_of_class(pattern: str, at: int) -> int:
    """Past [...]; brackets within it must be escaped, for people read them differently."""
    start, at = at, at + 1
    if pattern[at : at + 1] == "^":
        at += 1
    if pattern[at : at + 1] == "]":
        raise PatternError(f"character {at}: write \\] for a bracket within a class")
    while at < len(pattern):
        match pattern[at]:
            case "]":
                return at + 1
            case "[":
                raise PatternError(f"character {at}: write \\[ for a bracket within a class")
            case "\\":
                at = _end_of_escape(pattern, at)
            case "-" | "&" | "|" | "~" as char if pattern[at + 1 : at + 2] == char:
                raise PatternError(f"character {at}: {char * 2} within a class; write \\{char}")
            case _:
                at += 1
    raise PatternError(f"character {start}: this class has no end; write \\[ for a bracket")


def _is_variable(repeat: re.Match[str]) -> bool:
    """Whether the repeat leaves a choice of counts, as {2} does not.

    Raises:
        PatternError: for a count that no symbol is long enough for.
    """
    least, more, most = repeat.groups()
    if any(count is not None and int(count) > LONGEST_SYMBOL for count in (least, most)):
        raise PatternError(
            f"character {repeat.start()}: {repeat.group()} counts above {LONGEST_SYMBOL}, "
            "the longest symbol"
        )
    return least is None or more is not None
