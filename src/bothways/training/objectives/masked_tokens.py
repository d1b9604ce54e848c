"""Masked language modeling: predict masked tokens from the rest of their sequence.

Devlin et al. 2019, section 3.1. T packed tokens; E content tokens; N selected tokens; V vocabulary.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional

from bothways.errors import ConfigError
from bothways.model.heads import Head
from bothways.training.data.dataset import Example
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.arrays import at_least_float32, pack, to_array
from bothways.training.objectives.masking import choose_positions, content_positions
from bothways.training.objectives.objective import Evaluation, Monitor, Objective, PreparedBatch

__all__ = ["MaskedTokens", "MaskingRecipe"]

_LARGEST_EXPONENT = 700.0
"""Largest exponent for a perplexity, which must fit float64."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskingRecipe:
    """How tokens are selected and replaced.

    rate: the fraction of a sequence's tokens that are selected, at least one. BERT uses 0.15; 0.3
        to 0.4 works as well or better (Wettig et al. 2023, "Should you mask 15% in masked language
        modeling?", section 3).
    masked, random: the fractions of selected tokens replaced by the mask token and by a random
        token of the vocabulary; the others stay unchanged.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    rate: float = 0.15
    masked: float = 0.8
    random: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ConfigError(f"rate={self.rate}: expected more than 0 and at most 1")
        for name in ("masked", "random"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected 0 to 1")
        if self.masked + self.random > 1:
            raise ConfigError(f"masked={self.masked} plus random={self.random} exceeds 1")


@dataclasses.dataclass(eq=False, kw_only=True)
class MaskedTokens(Objective):
    """Predict masked tokens from the rest of their sequence.

    vocab_size: of the encoder. mask_token: the id of the mask token; None if there is none.
    special_tokens: ids that are neither selected nor used as random tokens.
    continues: whether a token continues the word of the token before it, bool (vocab_size,), to
        select whole words (BERT's later "whole word masking"); None to select single tokens.

    Raises:
        ConfigError: if the recipe needs a mask token and there is none.
    """

    head: Head
    vocab_size: int
    mask_token: int | None
    special_tokens: frozenset[int] = frozenset()
    recipe: MaskingRecipe = MaskingRecipe()
    continues: np.ndarray | None = None

    name = "mlm"
    monitor = Monitor("loss", "lower")

    def __post_init__(self) -> None:
        if self.mask_token is None and self.recipe.masked > 0:
            raise ConfigError(
                "the vocabulary has no mask token; choose another vocabulary, or masked=0 to "
                "use only random tokens"
            )
        ids = np.arange(self.vocab_size)
        special = [*self.special_tokens, *([] if self.mask_token is None else [self.mask_token])]
        self._is_special = np.isin(ids, special)
        self._ordinary = ids[~self._is_special]
        if not len(self._ordinary):
            raise ConfigError("every token of the vocabulary is special; nothing can be masked")

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Mask tokens. Targets: `positions` (N,) in the packed batch, `tokens` (N,), their ids."""
        sequences = [example.sequences[0] for example in examples]
        packed = pack(sequences)
        position_E, sequence_E = content_positions(sequences)
        is_ordinary_E = ~self._is_special[packed.values[position_E]]
        position_E, sequence_E = position_E[is_ordinary_E], sequence_E[is_ordinary_E]
        begins_E = np.ones(len(position_E), dtype=bool)
        if self.continues is not None:
            follows_E = np.diff(position_E, prepend=-2) == 1
            begins_E = ~(self.continues[packed.values[position_E]] & follows_E)
        position_N = position_E[choose_positions(sequence_E, begins_E, self.recipe.rate, rng)]
        token_N = packed.values[position_N]
        values_T = packed.values.copy()
        values_T[position_N] = self._replace(token_N, rng)
        return PreparedBatch(
            packed=dataclasses.replace(packed, values=values_T),
            targets={"positions": position_N, "tokens": token_N},
            weight=float(len(position_N)),
            places=[example.place for example in examples],
        )

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """Cross-entropy, summed over the selected tokens. Only their logits are computed."""
        logit_NV = at_least_float32(model(batch, batch.targets["positions"]))
        return functional.cross_entropy(logit_NV, batch.targets["tokens"], reduction="sum")

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`loss` and `correct` of each selected token, (N,)."""
        logit_NV = at_least_float32(model(batch, batch.targets["positions"]))
        token_N = batch.targets["tokens"]
        loss_N = functional.cross_entropy(logit_NV, token_N, reduction="none")
        return {
            "loss": to_array(loss_N),
            "correct": to_array(logit_NV.argmax(1) == token_N),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Loss and perplexity per token, and accuracy."""
        loss = float(np.mean(evaluated["loss"], dtype=np.float64))
        return {
            "loss": loss,
            "perplexity": float(np.exp(min(loss, _LARGEST_EXPONENT))),
            "accuracy": float(np.mean(evaluated["correct"])),
        }

    def _replace(self, token_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        uniform_N = rng.random(len(token_N))
        drawn_N = rng.choice(self._ordinary, len(token_N))
        is_masked_N = uniform_N < self.recipe.masked
        is_random_N = ~is_masked_N & (uniform_N < self.recipe.masked + self.recipe.random)
        replaced_N: np.ndarray = np.where(is_random_N, drawn_N, token_N)
        return (
            replaced_N
            if self.mask_token is None
            else np.where(is_masked_N, self.mask_token, replaced_N)
        )
