"""Nested-list operations: `[MAX 2 9 [MIN 4 7 ] 0 ]` is 9 (Nangia and Bowman 2018, "ListOps").

An answer needs the whole tree, level by level: what is far apart in the sequence may be near in it.
"""

import dataclasses
from typing import Literal, assert_never, get_args

import numpy as np

from bothways.errors import InputError
from bothways.lab.tasks.base import Alphabet, Pairs, Stream, generator

__all__ = ["ALPHABET", "ANSWERS", "Lists", "Operation", "apply", "solve"]

Operation = Literal["[MAX", "[MIN", "[MED", "[SM"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
"""As the paper writes them: the bracket belongs to its name. `[SM` is the sum modulo 10."""
CLOSE = "]"
DIGITS = tuple("0123456789")
ALPHABET = Alphabet((*OPERATIONS, CLOSE, *DIGITS))
ANSWERS = Alphabet(DIGITS)


@dataclasses.dataclass(frozen=True)
class Lists:
    """Expressions of at most `max_depth` operations within one another.

    Each has 2 to `max_arguments` arguments, which are operations with the chance `nesting`, and
    else digits (the paper's generator: 0.25, up to 5, depth 20, cut by length; here the tree is
    bounded, so that no sample is thrown away and the answers keep their shares).
    """

    max_depth: int = 3
    max_arguments: int = 4
    nesting: float = 0.35

    def pairs(self, count: int, *, seed: int, step: int, stream: Stream = "train") -> Pairs:
        """Expressions, and the digit that each is, an array of one."""
        chance = generator(seed, step, stream)
        expressions = [self._expression(chance, self.max_depth) for _ in range(count)]
        return Pairs(
            [ALPHABET.ids(symbols) for symbols in expressions],
            [ANSWERS.ids([str(solve(symbols))]) for symbols in expressions],
        )

    def _expression(self, chance: np.random.Generator, depth: int) -> list[str]:
        symbols: list[str] = [OPERATIONS[chance.integers(len(OPERATIONS))]]
        for _ in range(chance.integers(2, self.max_arguments + 1)):
            if depth > 1 and chance.random() < self.nesting:
                symbols += self._expression(chance, depth - 1)
            else:
                symbols.append(DIGITS[chance.integers(len(DIGITS))])
        return [*symbols, CLOSE]


def solve(symbols: list[str]) -> int:
    """The value of an expression, by a stack.

    Raises:
        InputError: if it is none: a bracket that is not opened or not closed, an operation of
            nothing, or more than one value.
    """
    stack: list[tuple[Operation | None, list[int]]] = [(None, [])]
    for symbol in symbols:
        if symbol == CLOSE:
            operation, arguments = stack.pop()
            if operation is None or not arguments:
                raise InputError(f"{' '.join(symbols)}: a bracket closes nothing")
            stack[-1][1].append(apply(operation, arguments))
        elif symbol in DIGITS:
            stack[-1][1].append(int(symbol))
        else:
            stack.append((_operation(symbol), []))
    operation, values = stack.pop()
    if operation is not None or len(values) != 1:
        raise InputError(f"{' '.join(symbols)}: expected one expression, all brackets closed")
    return values[0]


def apply(operation: Operation, arguments: list[int]) -> int:
    """An operation on digits.

    The median of an even number of digits is the mean of the two in the middle, rounded down, as in
    the paper's code.
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
    raise InputError(f"{symbol!r} is no symbol of ListOps; expected one of {ALPHABET.symbols}")
