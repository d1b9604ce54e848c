import statistics

import pytest

from bothways.errors import InputError
from bothways.lab.tasks.listops import ALPHABET, ANSWERS, OPERATIONS, Lists, solve

PYTHON = {"[MAX": "max([", "[MIN": "min([", "[MED": "median([", "[SM": "total([", "]": "]),"}


def evaluate(symbols: list[str]) -> int:
    """The value as Python finds it, from the expression written as Python's own."""
    text = " ".join(PYTHON.get(symbol, f"{symbol},") for symbol in symbols).rstrip(",")
    names = {
        "max": max,
        "min": min,
        "median": lambda digits: int(statistics.median(digits)),
        "total": lambda digits: int(str(sum(digits))[-1]),
    }
    return int(eval(text, {"__builtins__": {}}, names))  # noqa: S307


def test_answers_are_what_python_finds_of_the_same_expression() -> None:
    pairs = Lists(max_depth=4).pairs(300, seed=0, step=0)
    seen = set()
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        symbols = ALPHABET.spell(source)
        assert ANSWERS.spell(target) == [str(evaluate(symbols))], " ".join(symbols)
        seen.update(symbols)
    assert seen == set(ALPHABET.symbols)


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


def test_trees_are_as_deep_and_wide_as_asked() -> None:
    pairs = Lists(max_depth=2, max_arguments=3, nesting=0.5).pairs(200, seed=0, step=0)
    depths, lengths = set(), set()
    for source in pairs.sources:
        depth = deepest = 0
        for symbol in ALPHABET.spell(source):
            depth += (symbol in OPERATIONS) - (symbol == "]")
            deepest = max(deepest, depth)
        assert depth == 0
        depths.add(deepest)
        lengths.add(len(source))
    assert depths == {1, 2}
    assert min(lengths) == 4  # an operation, two digits, a bracket
    assert max(lengths) <= 2 + 3 * 5


@pytest.mark.parametrize("broken", ["[MAX 1 2", "1 2", "]", "[MAX ]", "[MAX 1 ] ]", "[AVG 1 2 ]"])
def test_what_is_no_expression_is_refused(broken: str) -> None:
    with pytest.raises(InputError):
        solve(broken.split())


def test_a_sample_is_a_function_of_seed_step_and_stream() -> None:
    def spelled(seed: int, step: int) -> list[list[int]]:
        return [source.tolist() for source in Lists().pairs(5, seed=seed, step=step).sources]

    assert spelled(0, 0) == spelled(0, 0)
    assert spelled(0, 0) != spelled(0, 1)
    assert spelled(0, 0) != spelled(1, 0)
