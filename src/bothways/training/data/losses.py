"""What training examples lack of the rows that they were made from."""

import dataclasses
import warnings

from bothways.errors import TruncationWarning, UnknownTokenWarning

__all__ = ["Losses"]


@dataclasses.dataclass
class Losses:
    """Numbers of sequences and words that a model does not see as they are.

    truncated: sequences that were truncated. words_without_token: tagged words without a token,
    which training ignores. unknown: sequences that consist mostly of unknown tokens. first_unknown:
    the place of the first of them, and what to do about it.
    """

    truncated: int = 0
    words_without_token: int = 0
    unknown: int = 0
    first_unknown: str = ""

    def __add__(self, other: "Losses") -> "Losses":
        return Losses(
            self.truncated + other.truncated,
            self.words_without_token + other.words_without_token,
            self.unknown + other.unknown,
            self.first_unknown or other.first_unknown,
        )

    def describe_truncation(self, rows: int, *, max_length: int, longest: int) -> str | None:
        """The share of rows that were truncated, and what to do about it; None if none was.

        rows: that were read. max_length: at which they were truncated. longest: the highest
        `max_length` that the model allows.
        """
        if not self.truncated:
            return None
        share = 100 * self.truncated / rows
        text = (
            f"{share:.1f} % of the rows ({self.truncated:,} of {rows:,}) are longer than "
            f"{max_length} positions and were cut there: model and scores ignore the rest."
        )
        more = f"--max-length {longest} reads more of them, and " if longest > max_length else ""
        return f"{text} {more}--on-overflow window reads all."

    def warn(self, *, max_length: int, new_vocabulary: bool = False) -> None:
        """Warn of each kind that there is.

        max_length: of the model, in positions. new_vocabulary: whether the vocabulary was made for
        these rows, and lacks only what is rare in them.
        """
        if self.truncated:
            warnings.warn(
                f"{self.truncated:,} sequences are longer than {max_length} positions and were "
                "truncated",
                TruncationWarning,
                stacklevel=3,
            )
        if self.words_without_token:
            warnings.warn(
                f"{self.words_without_token:,} tagged words have no token in this vocabulary, and "
                "are ignored",
                stacklevel=3,
            )
        if self.unknown and not new_vocabulary:
            place, _, advice = self.first_unknown.partition("; ")
            message = (
                f"{self.unknown:,} sequences consist mostly of tokens that the model does not "
                f"know, the first is {place}: different sequences may look equal to it; {advice}"
            )
            warnings.warn(
                UnknownTokenWarning(message, count=self.unknown, first=0, advice=advice),
                stacklevel=3,
            )
