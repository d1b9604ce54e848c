"""Terms: how a model weighs the tokens of a vocabulary for a text (learned sparse retrieval)."""

import dataclasses
from typing import Any, Literal, Self, get_args

from bothways.errors import ConfigError

__all__ = ["SPLADE_V2", "TermActivation", "TermPooling", "TermSource", "TermWeighting"]

TermSource = Literal["logits", "tokens"]
TermPooling = Literal["max", "sum"]
TermActivation = Literal["relu", "log1p_relu"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TermWeighting:
    """How a model weighs the terms of a text; the words are those of sentence-transformers.

    source: `logits`, those of a head for masked tokens; or `tokens`, where each token that a text
        has gets its number in a table, however often it occurs, which is an encoder of one
        dimension without layers (`SparseStaticEmbedding`).
    pooling: of the weights at all positions, for `logits`: `max` (SPLADE v2, Formal et al. 2021) or
        `sum` (SPLADE, Formal et al. 2021).
    activation: of a logit z, for `logits`: `relu` for log(1 + relu(z)); `log1p_relu` for
        log(1 + log(1 + relu(z))) (Geng et al. 2024, "Towards competitive search relevance for
        inference-free learned sparse retrievers").
    max_terms: how many terms of a text are kept by default, the heaviest; None for all.
    """

    source: TermSource = "logits"
    pooling: TermPooling = "max"
    activation: TermActivation = "relu"
    max_terms: int | None = None

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
            terms = cls(**values)
        except TypeError as error:
            raise ConfigError(f"terms: {error}") from None
        variants = {"source": TermSource, "pooling": TermPooling, "activation": TermActivation}
        for name, variant in variants.items():
            if getattr(terms, name) not in get_args(variant):
                raise ConfigError(
                    f"terms: {name}={getattr(terms, name)!r:.100}: expected one of "
                    f"{', '.join(get_args(variant))}"
                )
        if terms.max_terms is not None and (
            type(terms.max_terms) is not int or terms.max_terms < 1
        ):
            raise ConfigError(f"terms: max_terms={terms.max_terms!r:.100}: expected at least 1")
        return terms


SPLADE_V2 = TermWeighting()
"""What a head for masked tokens computes where its model does not say."""
