"""Seeded mutations of the bytes of a file; of its structure too, where it holds JSON."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["mutate"]

_TOKENS = (
    *(b"\x00", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\n", b'"', b"\\"),
    *(b"{", b"}", b"[", b"]", b":", b",", b"\t", b";", b">", b"#", b"="),
    *(b"-1", b"0", b"1e999", b"9" * 5_000, b"NaN", b"null", b"true", b'"\\ud800"', b"\\u0000"),
    *(b"[" * 3_000, b'{"a":' * 3_000, b"(" * 3_000, b"\xe2\x80\xa8", "ä".encode("latin-1")),
)
"""Bytes that readers of text treat specially."""

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308),
    *("", " ", "\ud800", "\x00", "a" * 1_000, "../../x", "[PAD]", "\u202e", "1", "NaN"),
    *([], {}, [[]], [None], {"": None}, ["\ud800"], [0.5], {"a": {"b": []}}),
)
"""JSON values that differ from what a field expects."""


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Apply one to three mutations to the content of a file."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = _mutate_once(content, rng)
    return content


def _mutate_once(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.6:
        changed = _mutate_json(content, rng)
        if changed is not None:
            return changed
    mutation = rng.choice(_ON_BYTES)
    return mutation(content, rng)


def _mutate_json(content: bytes, rng: random.Random) -> bytes | None:
    """Change a node of a JSON document, of a line of JSON Lines, or of a safetensors header."""
    header, rest = content[:8], content[8:]
    size = int.from_bytes(header, "little")
    if len(header) == 8 and 2 <= size <= len(rest) and rest[:1] == b"{":  # safetensors
        changed = _mutate_document(rest[:size], rng)
        return changed and len(changed).to_bytes(8, "little") + changed + rest[size:]
    changed = _mutate_document(content, rng)
    if changed is not None:
        return changed
    lines = content.split(b"\n")
    number = rng.randrange(len(lines))
    line = _mutate_document(lines[number], rng)
    return line and b"\n".join([*lines[:number], line, *lines[number + 1 :]])


def _mutate_document(content: bytes, rng: random.Random) -> bytes | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    places = list(_places(document))
    if not places:
        return None
    container, key = rng.choice(places)
    match rng.randrange(4):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container[rng.choice(("", "\ud800", "a", "__proto__"))] = container[key]
        case _:
            container[key] = rng.choice(_VALUES)
    return json.dumps(document).encode("utf-8", "surrogatepass")


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys or indices."""
    if not isinstance(node, dict | list):
        return
    for key, child in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        yield from _places(child)


def _flip_bit(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return b"\x01"
    changed = bytearray(content)
    changed[_early(len(content), rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _insert_token(content: bytes, rng: random.Random) -> bytes:
    place = _early(len(content) + 1, rng)
    return content[:place] + rng.choice(_TOKENS) + content[place:]


def _replace_by_token(content: bytes, rng: random.Random) -> bytes:
    start, stop = _span(content, rng)
    return content[:start] + rng.choice(_TOKENS) + content[stop:]


def _delete(content: bytes, rng: random.Random) -> bytes:
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def _duplicate(content: bytes, rng: random.Random) -> bytes:
    start, stop = _span(content, rng)
    return content[:stop] + content[start:stop] * rng.choice((1, 2, 100)) + content[stop:]


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _early(size: int, rng: random.Random) -> int:
    """An index, often near the start, where headers are."""
    return rng.randrange(min(size, 200) if rng.random() < 0.5 else size)


def _span(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = _early(len(content) + 1, rng)
    return start, min(len(content), start + rng.choice((1, 2, 4, 8, 16, 64)))


_ON_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip_bit, _flip_bit, _insert_token, _replace_by_token),
    *(_delete, _duplicate, _truncate),
)
