"""Nested-list operations: `[MAX 2 9 [MIN 4 7 ] 0 ]` is 9 (Nangia and Bowman 2018, "ListOps").

The answer needs the whole tree, level by level: distant symbols can be neighbors in the tree.
"""

import dataclasses
from typing import Literal, assert_never, get_args

import numpy as np

from bothways.errors import InputError
from bothways.lab.tasks.base import SequencePairs, Split, TaskAlphabet, task_rng

__all__ = ["SOURCE_ALPHABET", "TARGET_ALPHABET", "ListOpsTask", "Operation", "apply", "solve"]

Operation = Literal["[MAX", "[MIN", "[MED", "[SM"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
"""In the notation of the paper, where the bracket is part of the name. `[SM`: sum modulo 10."""
CLOSE = "]"
DIGITS = tuple("0123456789")
SOURCE_ALPHABET = TaskAlphabet((*OPERATIONS, CLOSE, *DIGITS))
TARGET_ALPHABET = TaskAlphabet(DIGITS)


@dataclasses.dataclass(frozen=True)
class ListOpsTask:
    """Expressions with operations nested at most `max_depth` deep.

    An operation has 2 to `max_arguments` arguments. An argument is an operation with probability
    `nesting`, and a digit otherwise. The paper's generator uses up to 5 arguments, probability 0.25
    and depth 20, and rejects long samples; bounding the tree instead rejects none, which keeps the
    distribution of answers.
    """

    max_depth: int = 3
    max_arguments: int = 4
    nesting: float = 0.35

    def pairs(self, count: int, *, seed: int, step: int, split: Split = "train") -> SequencePairs:
        """Expressions, and the value of each as an array of one digit."""
        rng = task_rng(seed, step, split)
        expressions = [self._expression(rng, self.max_depth) for _ in range(count)]
        return SequencePairs(
            [SOURCE_ALPHABET.encode(symbols) for symbols in expressions],
            [TARGET_ALPHABET.encode([str(solve(symbols))]) for symbols in expressions],
        )

    def _expression(self, rng: np.random.Generator, depth: int) -> list[str]:
        symbols: list[str] = [OPERATIONS[rng.integers(len(OPERATIONS))]]
        for _ in range(rng.integers(2, self.max_arguments + 1)):
            if depth > 1 and rng.random() < self.nesting:
                symbols += self._expression(rng, depth - 1)
            else:
                symbols.append(DIGITS[rng.integers(len(DIGITS))])
        return [*symbols, CLOSE]


def solve(symbols: list[str]) -> int:
    """Evaluate an expression with a stack.

    Raises:
        InputError: for unbalanced brackets, an operation without arguments, or several values.
    """
    stack: list[tuple[Operation | None, list[int]]] = [(None, [])]
    for symbol in symbols:
        if symbol == CLOSE:
            operation, arguments = stack.pop()
            if operation is None or not arguments:
                raise InputError(f"{' '.join(symbols)}: a bracket closes no operation")
            stack[-1][1].append(apply(operation, arguments))
        elif symbol in DIGITS:
            stack[-1][1].append(int(symbol))
        else:
            stack.append((_operation(symbol), []))
    operation, values = stack.pop()
    if operation is not None or len(values) != 1:
        raise InputError(f"{' '.join(symbols)}: expected one expression with all brackets closed")
    return values[0]


def apply(operation: Operation, arguments: list[int]) -> int:
    """Apply an operation to digits.

    The median of an even number of digits is the mean of the middle two, rounded down, as in the
    paper's code.
    """
    match operation:
        case "[MAX":
            return max(arguments)
        case "[MIN":
            return min(arguments)
        case "[MED":
            ordered, middle = sorted(arguments), len(arguments) // 2
            if len(arguments) % 2:
                return ordered[middle]
            return (ordered[middle - 1] + ordered[middle]) // 2
        case "[SM":
            return sum(arguments) % 10
        case unknown:
            assert_never(unknown)


def _operation(symbol: str) -> Operation:
    for operation in OPERATIONS:
        if symbol == operation:
            return operation
    raise InputError(
        f"{symbol!r} is not a ListOps symbol; expected one of {SOURCE_ALPHABET.symbols}"
    )
