"""The kinds of sequences that models read."""

from typing import Literal

__all__ = ["InputKind"]

InputKind = Literal["text", "symbols", "series"]
"""What one sequence is: a text, symbols of an alphabet, or a numeric series."""
