"""Reading the wire format of Protocol Buffers: the fields of one message, in order.

https://protobuf.dev/programming-guides/encoding. A message is untrusted: lengths are checked before
anything is taken, and every field is a view of the bytes of the file.
"""

from collections.abc import Iterator

__all__ = ["MalformedMessage", "fields"]

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED_64: 8, _FIXED_32: 4}
_MAX_VARINT_BYTES = 10


class MalformedMessage(ValueError):
    """The bytes are not a message, or a field has another type than its message says."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number and value of each field: an integer, or the bytes of anything else.

    Raises:
        MalformedMessage: if the bytes end within a field, or have groups, which no longer exist.
    """
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise MalformedMessage(f"byte {place}: a field of the unknown type {kind}")
        if size > len(message) - place:
            raise MalformedMessage(f"byte {place}: a field of {size:,} bytes goes beyond the end")
        yield number, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """An integer of seven bits per byte, and the place after it."""
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if place + index >= len(message):
            raise MalformedMessage("ends within a number")
        byte = message[place + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, place + index + 1
    raise MalformedMessage(f"byte {place}: a number of more than {_MAX_VARINT_BYTES} bytes")
