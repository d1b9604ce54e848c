import statistics

import pytest

from bothways.errors import InputError
from bothways.lab.tasks.listops import (
    OPERATIONS,
    SOURCE_ALPHABET,
    TARGET_ALPHABET,
    ListOpsTask,
    solve,
)

PYTHON = {"[MAX": "max([", "[MIN": "min([", "[MED": "median([", "[SM": "total([", "]": "]),"}


def evaluate(symbols: list[str]) -> int:
    """Translate the expression to Python and evaluate it."""
    text = " ".join(PYTHON.get(symbol, f"{symbol},") for symbol in symbols).rstrip(",")
    names = {
        "max": max,
        "min": min,
        "median": lambda digits: int(statistics.median(digits)),
        "total": lambda digits: int(str(sum(digits))[-1]),
    }
    return int(eval(text, {"__builtins__": {}}, names))  # noqa: S307


def test_answers_equal_those_of_python() -> None:
    pairs = ListOpsTask(max_depth=4).pairs(300, seed=0, step=0)
    seen = set()
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        symbols = SOURCE_ALPHABET.decode(source)
        assert TARGET_ALPHABET.decode(target) == [str(evaluate(symbols))], " ".join(symbols)
        seen.update(symbols)
    assert seen == set(SOURCE_ALPHABET.symbols)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[MAX 2 9 [MIN 4 7 ] 0 ]", 9),  # Nangia and Bowman 2018, figure 1
        ("[SM 9 8 7 ]", 4),
        ("[MED 1 9 8 ]", 8),
        ("[MED 1 2 ]", 1),
        ("[MIN [SM 5 5 ] [MAX 3 4 ] ]", 0),
        ("7", 7),
    ],
)
def test_known_expressions_have_known_values(expression: str, value: int) -> None:
    assert solve(expression.split()) == value


def test_trees_have_the_requested_depth_and_width() -> None:
    pairs = ListOpsTask(max_depth=2, max_arguments=3, nesting=0.5).pairs(200, seed=0, step=0)
    depths, lengths = set(), set()
    for source in pairs.sources:
        depth = deepest = 0
        for symbol in SOURCE_ALPHABET.decode(source):
            depth += (symbol in OPERATIONS) - (symbol == "]")
            deepest = max(deepest, depth)
        assert depth == 0
        depths.add(deepest)
        lengths.add(len(source))
    assert depths == {1, 2}
    assert min(lengths) == 4  # an operation, two digits, a bracket
    assert max(lengths) <= 2 + 3 * 5


@pytest.mark.parametrize("broken", ["[MAX 1 2", "1 2", "]", "[MAX ]", "[MAX 1 ] ]", "[AVG 1 2 ]"])
def test_invalid_expressions_raise(broken: str) -> None:
    with pytest.raises(InputError):
        solve(broken.split())


def test_a_sample_is_a_function_of_seed_and_step() -> None:
    def spelled(seed: int, step: int) -> list[list[int]]:
        return [source.tolist() for source in ListOpsTask().pairs(5, seed=seed, step=step).sources]

    assert spelled(0, 0) == spelled(0, 0)
    assert spelled(0, 0) != spelled(0, 1)
    assert spelled(0, 0) != spelled(1, 0)
