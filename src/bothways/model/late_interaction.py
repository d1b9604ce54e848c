"""Late interaction: how a model makes one vector per token of a query or of a document.

Khattab and Zaharia 2020, "ColBERT: efficient and effective passage search via contextualized late
interaction over BERT"; in the fields of sentence-transformers.
"""

import dataclasses
from typing import Any, Self

from bothways.errors import ConfigError

__all__ = ["LateInteraction", "QueryExpansion"]


@dataclasses.dataclass(frozen=True)
class QueryExpansion:
    """Positions after a query that get vectors too (ColBERT, section 3.2).

    length: positions of a query, special tokens and expansion included.
    token: the token at the added positions; None for the mask token.
    is_attended: whether other positions attend to them; if not, they attend to the query alone.
    is_minimum: whether longer queries are encoded whole; if not, they are cut to `length`.
    """

    length: int
    token: str | None = None
    is_attended: bool = False
    is_minimum: bool = False


@dataclasses.dataclass(frozen=True)
class LateInteraction:
    """How a model makes vectors of tokens; `ModelSpec.modules` are applied to each of them.

    expansion: of queries; None for none.
    query_length, document_length: the longest of each, in tokens; None for the model's.
    skipped_words: tokens that get no vector. skipping_roles: the roles of texts they are left out
        of.
    has_markers: whether a prompt that begins with a token of the vocabulary, such as `[unused0]`,
        stands for that token.
    """

    expansion: QueryExpansion | None = None
    query_length: int | None = None
    document_length: int | None = None
    skipped_words: tuple[str, ...] = ()
    skipping_roles: tuple[str, ...] = ("document",)
    has_markers: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON stores it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Read what `to_dict` gives.

        Raises:
            ConfigError: if a field is unknown or malformed.
        """
        try:
            fields = dict(values)
            expansion = fields.pop("expansion", None)
            for name in ("skipped_words", "skipping_roles"):
                fields[name] = tuple(str(word) for word in fields.get(name, ()))
            settings = cls(None if expansion is None else QueryExpansion(**expansion), **fields)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"late_interaction: {error}") from None
        for name, length in (
            ("query_length", settings.query_length),
            ("document_length", settings.document_length),
            ("expansion.length", settings.expansion and settings.expansion.length),
        ):
            if length is not None and (type(length) is not int or length < 1):
                raise ConfigError(f"late_interaction: {name}={length!r}: expected at least 1")
        return settings
