"""Pair templates: how a decoder that reranks reads a query and a document, as one text."""

import dataclasses
from typing import Any, Self

from bothways.errors import ConfigError

__all__ = ["PairTemplate"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairTemplate:
    """The text that stands for a query and a document: `prefix`, instruction and both, `suffix`.

    prefix, suffix: texts that stay where a long pair is cut; tokenized apart from the rest.
    instruction: what to judge by, where a call gives none.
    """

    prefix: str
    suffix: str
    instruction: str

    def content(self, query: str, document: str, instruction: str = "") -> str:
        """The text between prefix and suffix."""
        return (
            f"<Instruct>: {instruction or self.instruction}\n<Query>: {query}\n"
            f"<Document>: {document}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON stores it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Read what `to_dict` gives.

        Raises:
            ConfigError: if a field is unknown, missing or no string.
        """
        try:
            template = cls(**values)
        except TypeError as error:
            raise ConfigError(f"pair_template: {error}") from None
        for name, text in template.to_dict().items():
            if not isinstance(text, str):
                raise ConfigError(f"pair_template: {name}={text!r:.100}: expected a string")
        return template
