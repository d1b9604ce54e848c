"""`HeadRun`: sequences through an encoder to one of its heads.

A head that pools takes the vectors that the backend pools; any other takes the hidden states of
each position. The windows of a long sequence are merged before either, so that a head sees long
and short sequences alike.

n sequences; L positions of one; N vectors; D model width; O outputs.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bothways.inference import runner
from bothways.inference.finite import check_head_outputs
from bothways.inference.options import RunOptions
from bothways.inference.session import Session
from bothways.model.heads import TIED_WEIGHT, Head, HeadLayer, HeadTask
from bothways.model.linear_terms import NAMES
from bothways.model.weights import Weights
from bothways.reference.heads import apply_layer, probabilities
from bothways.reference.linear_terms import add_linear_term
from bothways.reference.pooling import pool
from bothways.sequences import FittedSequence

__all__ = ["HeadRun", "without_default_prompt"]


@dataclasses.dataclass(frozen=True, eq=False)
class HeadRun:
    """Fitted sequences and the head that they run to, with its weights."""

    session: Session
    head: Head
    weights: Weights
    fitted: Sequence[FittedSequence]
    options: RunOptions

    @classmethod
    def start(
        cls,
        session: Session,
        tasks: Sequence[HeadTask],
        rows: Sequence[Any],
        options: RunOptions,
        *,
        purpose: str,
    ) -> "HeadRun":
        """Prepare sequences for the first head that the model has for one of `tasks`.

        Heads are trained without prompts, so none is used unless the options choose one. Warns of
        truncation.

        purpose: the method that needs the head, for the message.

        Raises:
            InputError: naming the sequence that is invalid, or if the model has no such head.
        """
        head = session.heads.find(*tasks, purpose=purpose)
        options = without_default_prompt(options)
        fitted = session.prepare(rows, options)
        run = cls(session, head, session.heads.weights(head), fitted, options)
        session.warn(rows, fitted, options)
        return run

    @property
    def truncated(self) -> np.ndarray:
        """Whether each sequence was cut, bool (n,)."""
        return runner.truncated(self.fitted)

    def sequence_outputs(self) -> np.ndarray:
        """The outputs of a head that pools, for each sequence, float32 (n, O).

        Raises:
            InputError: naming a sequence with outputs that are not finite.
        """
        if self.head.pooling is None:
            raise ValueError(f"a head for {self.head.task} has outputs for each position")
        if self.head.pools_outputs:
            outputs = dict(self.last_hidden_states())
            return self.outputs_of_states([outputs[i] for i in range(len(self.fitted))])
        return self.outputs_of_pooled(
            self.session.pool(self.fitted, [self.head.pooling], self.options)
        )

    def outputs_of_pooled(self, pooled: np.ndarray) -> np.ndarray:
        """The outputs of a head that pools, float32 (n, O), from pooled vectors (n, D).

        Raises:
            InputError: naming a sequence with outputs that are not finite.
        """
        output_nO = _apply(pooled.astype(np.float64), self._wide_weights(), self.head.layers)
        output_nO = self._with_linear_term(output_nO)
        check_head_outputs(output_nO, self.head.task, range(len(output_nO)))
        return output_nO

    def outputs_of_states(self, states: Sequence[np.ndarray]) -> np.ndarray:
        """The outputs of a head that pools its outputs, float32 (n, O), from hidden states (L, D).

        Raises:
            InputError: naming a sequence with outputs that are not finite.
        """
        pooling = self.head.pooling
        if pooling is None:
            raise ValueError(f"a head for {self.head.task} has outputs for each position")
        wide = self._wide_weights()
        rows = [
            pool(_apply(x_LD.astype(np.float64), wide, self.head.layers), pooling)
            for x_LD in states
        ]
        output_nO = np.array(rows, np.float32).reshape(len(states), self.head.num_outputs)
        output_nO = self._with_linear_term(output_nO)
        check_head_outputs(output_nO, self.head.task, range(len(output_nO)))
        return output_nO

    def _with_linear_term(self, output_nO: np.ndarray) -> np.ndarray:
        """The outputs with the linear term of the head, if it has one, float32 (n, O)."""
        term = self.head.linear_term
        if term is None:
            return output_nO
        contents = [fitted.content for fitted in self.fitted]
        return add_linear_term(output_nO, contents, self.weights, term).astype(np.float32)

    def _wide_weights(self) -> Weights:
        """The weights in float64: the rounding of a float32 product may depend on other rows."""
        return {
            name: weight.astype(np.float64)
            for name, weight in self.weights.items()
            if name not in NAMES
        }

    def last_hidden_states(self) -> Iterator[tuple[int, np.ndarray]]:
        """Index and last hidden states, float32 (L, D), of each sequence, in any order."""
        last = [self.session.spec.config.num_layers]
        for i, states in self.session.hidden_states(self.fitted, last, self.options):
            yield i, states[0]

    def outputs(self, x_ND: np.ndarray, index: int) -> np.ndarray:
        """The outputs of the head for each vector of a sequence, float32 (N, O).

        Raises:
            InputError: naming the sequence, if they are not finite.
        """
        output_NO = _apply(x_ND, self.weights, self.head.layers)
        check_head_outputs(output_NO, self.head.task, [index] * len(output_NO))
        return output_NO

    def outputs_by_column(
        self, x_ND: np.ndarray, columns: int
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """The outputs for all vectors, `columns` at a time: which, and float32 (N, columns).

        They may be NaN or infinite.
        """
        *inner, last = self.head.layers
        x_ND = _apply(x_ND, self.weights, inner)
        if last.norm is not None:  # a norm needs all outputs of a vector
            columns = last.outputs
        names = [f"{last.name}.weight", f"{last.name}.bias", f"{last.norm}.weight",
                 f"{last.norm}.bias", TIED_WEIGHT]  # fmt: skip
        matrices = {name: self.weights[name] for name in names if name in self.weights}
        for start in range(0, last.outputs, columns):
            rows = slice(start, start + columns)
            weights = {name: weight[rows] for name, weight in matrices.items()}
            yield rows, _apply(x_ND, weights, [last])

    def probabilities(self, logit_NO: np.ndarray) -> np.ndarray:
        """Outputs as the task of the head reads them, float32 (N, O): softmax, sigmoid or as is."""
        return np.asarray(probabilities(logit_NO, self.head.task), dtype=np.float32)


def without_default_prompt(options: RunOptions) -> RunOptions:
    """The options with no prompt, unless they choose one: heads are trained without prompts."""
    if (options.prompt, options.prompt_name, options.role) == (None, None, None):
        return dataclasses.replace(options, prompt="")
    return options


def _apply(x_ND: np.ndarray, weights: Weights, layers: Sequence[HeadLayer]) -> np.ndarray:
    """The outputs of layers for each vector, float32 (N, O); NaN or infinite without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in layers:
            x_ND = apply_layer(x_ND, weights, layer)
        return np.asarray(x_ND, dtype=np.float32)
