"""Options of the command line are the fields of dataclasses: names, values, bounds and defaults."""

import dataclasses
from typing import Annotated, Any, Literal

import pytest

from bothways.cli.command import command
from bothways.cli.generated_options import GivenOptions, expand_options, to_arguments
from bothways.io.options import Option, check_options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    files: Annotated[tuple[str, ...], Option("Files.", unit="FILE")]
    out: Annotated[str, Option("Folder.", flags=("--out", "-o"))]
    rate: Annotated[float | None, Option("Rate (default: computed).", above=0)] = None
    steps: Annotated[int, Option("Steps.", minimum=1)] = 5
    mode: Annotated[Literal["fast", "slow"], Option("Mode.")] = "fast"
    seeds: Annotated[tuple[int, ...], Option("Seeds.", minimum=0)] = (0, 1)
    names: Annotated[tuple[str, ...], Option("Names.")] = ()
    lowercase: Annotated[bool | None, Option("Case.", flags=("--lowercase/--keep-case",))] = None
    quick: Annotated[bool, Option("Be quick.")] = False
    memory: Annotated[int | None, Option("Memory.", unit="SIZE")] = None
    weights: Annotated[
        Literal["balanced"] | None, Option("W.", flags=("--balanced",), flag_value="balanced")
    ] = None
    hidden: Annotated[int, Option("For files.", command_line=False)] = 3

    def __post_init__(self) -> None:
        check_options(self)


received: list[Any] = []


def take_instance(settings: Settings) -> None:
    """Receive an instance."""
    received.append(settings)


def take_given(settings: Annotated[dict[str, Any], GivenOptions(Settings)]) -> None:
    """Receive the given values."""
    received.append(settings)


def run(function: Any, *arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        command(function)(list(arguments))
    return int(end.value.code or 0)


def test_fields_without_an_option_on_the_command_line_keep_their_defaults() -> None:
    assert run(take_instance, "a", "b", "--out", "o") == 0
    assert received.pop() == Settings(files=("a", "b"), out="o")


def test_texts_are_utf_8_in_every_locale_and_paths_stay_as_they_are() -> None:
    undecoded = "é☃".encode().decode("ascii", "surrogateescape")
    assert run(take_instance, undecoded, "--out", "o", "--names", undecoded, "--names", "é") == 0
    assert received.pop() == Settings(files=(undecoded,), out="o", names=("é☃", "é"))


def test_every_type_of_value_reaches_its_field() -> None:
    words = (
        *("a", "-o", "o", "--rate", "1e-3", "--steps", "7", "--mode", "slow", "--seeds", "3,4"),
        *("--seeds", "5", "--names", "x,y", "--names", "z", "--keep-case", "--quick"),
        *("--memory", "2MB", "--balanced"),
    )
    assert run(take_instance, *words) == 0
    assert received.pop() == Settings(
        files=("a",), out="o", rate=1e-3, steps=7, mode="slow", seeds=(3, 4, 5),
        names=("x,y", "z"), lowercase=False, quick=True, memory=2 * 10**6, weights="balanced",
    )  # fmt: skip


def test_given_values_leave_out_options_that_the_user_did_not_give() -> None:
    assert run(take_given, "a", "--out", "o", "--seeds", "2") == 0
    assert received.pop() == {"files": ("a",), "out": "o", "seeds": (2,)}


def test_given_values_can_be_written_as_arguments_again() -> None:
    given: dict[str, Any] = {"out": "o", "rate": 0.001, "seeds": (3, 4), "names": ("x,y", "z")}
    given |= {"quick": True}
    words = to_arguments(Settings, given)
    assert words == [
        *("--out", "o", "--rate", "0.001", "--seeds", "3,4", "--names", "x,y", "--names", "z"),
        "--quick",
    ]
    assert run(take_given, "a", *words) == 0
    assert received.pop() == {"files": ("a",), **given}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rate", "0"), "'--rate': '0': expected a number, more than 0"),
        (("--rate", "nan"), "'--rate': 'nan': expected a number, more than 0"),
        (("--steps", "0"), "'--steps': '0': expected an integer, at least 1"),
        (("--steps", "1.5"), "'--steps': '1.5': expected an integer, at least 1"),
        (("--mode", "best"), "'--mode': 'best': expected one of fast, slow"),
        (("--seeds", "1,x"), "'--seeds': 'x': expected an integer, at least 0"),
        (("--memory", "lots"), "'--memory': 'lots': expected a size such as 512MB"),
    ],
)
def test_an_invalid_value_exits_with_2(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(take_instance, "a", "--out", "o", *words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [("a",), ("--out", "o")])
def test_fields_without_default_are_required(words: tuple[str, ...]) -> None:
    assert run(take_instance, *words) == 2


def test_help_states_the_default_of_a_field_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(take_instance, "--help") == 0
    text = capsys.readouterr().out
    assert "Steps (default 5)." in text
    assert "Seeds (default 0,1)." in text
    assert "Rate (default: computed)." in text
    assert "--mode fast|slow" in text
    assert "Be quick." in text
    assert "For files" not in text


def test_an_option_cannot_be_declared_twice() -> None:
    def twice(one: Settings, two: Settings) -> None: ...

    with pytest.raises(TypeError, match="'files' is declared twice"):
        expand_options(twice)
