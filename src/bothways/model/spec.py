"""`ModelSpec`: everything that defines a model except its weights and its reader."""

import dataclasses
from collections.abc import Mapping

from bothways.model.baselines import AnyConfig
from bothways.model.heads import Head
from bothways.model.late_interaction import LateInteraction
from bothways.model.pair_template import PairTemplate
from bothways.model.pooling import MEAN, Dense, Module, Normalize, Pooling
from bothways.model.terms import TermWeighting

__all__ = ["SIMILARITIES", "ModelSpec"]

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
"""Similarity functions that a model may be trained for; distances count negatively."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model without its weights: the encoder, its heads, and the way to one vector.

    config: the encoder, a Transformer or a baseline.
    pooling, modules: how hidden states become one vector, and what follows, in order.
    heads: task heads; at most one of each task.
    prompts: texts to put before a sequence, by name. default_prompt: the name of the one used by
        default.
    similarity: the function that the model's vectors are compared with, one of `SIMILARITIES`.
    lowercase: whether text is lowercased before it is tokenized.
    max_length: the longest sequence, in tokens, special tokens included.
    dimensions: how many leading dimensions of a vector are kept by default; None for all.
    empty_token: for a model that puts no special tokens around a text (static embeddings), the id,
        after those of the tokenizer, that stands for a text without tokens; None for others.
    late_interaction: for a model of one vector per token (ColBERT), whose `modules` are applied to
        the vectors of tokens; None for others.
    terms: for a model that weighs the terms of a vocabulary, how; None if it does not say.
    layer_weights: for a model whose vectors of tokens are a weighted mean of hidden states, the
        weights of the embeddings and of each layer; None for the last layer alone.
    pair_template: how a pair of a query and a document is written as one text; None for two.
    """

    config: AnyConfig
    pooling: Pooling = MEAN
    modules: tuple[Module, ...] = ()
    heads: tuple[Head, ...] = ()
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str | None = None
    similarity: str | None = None
    lowercase: bool = False
    max_length: int
    dimensions: int | None = None
    empty_token: int | None = None
    late_interaction: LateInteraction | None = None
    terms: TermWeighting | None = None
    layer_weights: tuple[float, ...] | None = None
    pair_template: PairTemplate | None = None

    @property
    def width(self) -> int:
        """Dimensions of a vector after pooling and modules, before any are cut off."""
        widths = [module.outputs for module in self.modules if isinstance(module, Dense)]
        return widths[-1] if widths else self.pooling.width(self.config.d_model)

    @property
    def normalizes(self) -> bool:
        """Whether the last module gives vectors unit length."""
        return bool(self.modules) and isinstance(self.modules[-1], Normalize)
