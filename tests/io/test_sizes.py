"""Sizes in bytes are read and written in the units that people use."""

import pytest

from bothways.io.sizes import format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4096", 4096),
        ("512MB", 512 * 10**6),
        ("512m", 512 * 10**6),
        ("2 GB", 2 * 10**9),
        ("1.5GiB", 3 << 29),
        ("100KiB", 100 << 10),
        ("1T", 10**12),
    ],
)
def test_sizes_are_parsed(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "lots", "-1GB", "1XB", "1iB", "GB", "1e9", "nan"])
def test_an_invalid_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"512MB, 2GB or 1\.5GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (90_261_504, "90 MB"),
        (2.5e9, "2.5 GB"),
        (1e15, "1000 TB"),
    ],
)
def test_sizes_are_written_in_readable_units(count: float, text: str) -> None:
    assert format_bytes(count) == text
