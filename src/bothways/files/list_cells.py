"""Lists in the cells of tables, as pandas and NumPy print them: `['B-PER', 'O']`."""

import ast
import json
import re
from typing import Any, Literal

from bothways.errors import DataFileError
from bothways.files.rows import Place

__all__ = ["list_cell", "parse_list"]

ListItems = Literal["strings", "numbers", "any"]
"""Which lists to recognize by their first item: of strings, of numbers or lists, or both."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])|[+-]?(?:nan|inf)\b)
    |(?P<word>None|True|False)\b
    |(?P<mark>[\[\],)])
    |(?P<call>np\.\w+\())\s*""",
    re.VERBOSE | re.DOTALL,
)
_STARTS: dict[ListItems, re.Pattern[str]] = {
    "strings": re.compile(r"""\[\s*(?:np\.str_\()?['"]"""),
    "numbers": re.compile(r"\[\s*(?:np\.\w+\(|\[|[+-]?[\d.])"),
    "any": re.compile(r"""\[\s*(?:np\.\w+\(|\[|['"]|[+-]?[\d.])"""),
}
_MAX_DEPTH = 3
_WORDS = {"None": None, "True": True, "False": False}


def list_cell(value: Any, place: Place, items: ListItems = "any") -> list[Any] | None:
    """The list that a cell holds as text; None if the value is not such a text.

    Raises:
        DataFileError: if the text begins and ends like a list, and is not one.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not (text.endswith("]") and _STARTS[items].match(text)):
        return None
    parsed = parse_list(text)
    if parsed is None:
        raise DataFileError(
            f"{place}: {text[:40]!r} looks like a list and is not complete or not quoted as one; "
            "write ['a', 'b'] or [1, 2] in full, or a .jsonl or .parquet file, which hold lists"
        )
    return parsed


def parse_list(text: str) -> list[Any] | None:
    """Parse a list as JSON, Python or NumPy write it; None if the text is something else.

    Items are strings, numbers, None, booleans and lists of these, up to three levels; commas
    between them may be missing, as in NumPy's arrays. Nothing is evaluated.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _parse(text)
    return value if isinstance(value, list) else None


def _parse(text: str) -> list[Any] | None:
    stack: list[list[Any]] = [[]]
    position, calls = 0, 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        position = token.end()
        match token.lastgroup, token[token.lastgroup or 0]:
            case "mark", "[":
                if len(stack) > _MAX_DEPTH or (len(stack) == 1 and stack[0]):
                    return None
                stack.append([])
            case "mark", "]":
                if len(stack) == 1:
                    return None
                closed = stack.pop()
                stack[-1].append(closed)
            case "mark", ")":
                calls -= 1
            case "call", _:
                calls += 1
            case "mark", _ if len(stack) == 1:
                return None
            case "mark", _:
                pass
            case kind, content:
                if len(stack) == 1:
                    return None
                try:
                    stack[-1].append(_item(kind, content))
                except (ValueError, SyntaxError):
                    return None
        if calls not in (0, 1):
            return None
    complete = len(stack) == 1 and len(stack[0]) == 1 and calls == 0
    return stack[0][0] if complete else None


def _item(kind: str | None, content: str) -> Any:
    match kind:
        case "string":
            return ast.literal_eval(content) if "\\" in content else content[1:-1]
        case "word":
            return _WORDS[content]
        case _:
            return int(content) if re.fullmatch(r"[+-]?\d+", content) else float(content)
