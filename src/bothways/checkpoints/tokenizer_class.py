"""Classes of tokenizers that model folders name, where a vocabulary alone does not say enough."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

__all__ = ["TokenizerClass", "VocabularyAlgorithm"]

VocabularyAlgorithm = Literal["word_piece", "byte_pair", "symbols"]


@dataclasses.dataclass(frozen=True)
class TokenizerClass:
    """What the name of a tokenizer's class says about the vocabulary in its folder.

    name: of the class in transformers, without `Fast`.
    algorithm: what the entries of the vocabulary are.
    special_tokens: the usual token of each role, such as `mask_token`.
    separators: the number of separator tokens between the two texts of a pair.
    """

    name: str
    algorithm: VocabularyAlgorithm
    special_tokens: Mapping[str, str]
    separators: Literal[1, 2] = 1
