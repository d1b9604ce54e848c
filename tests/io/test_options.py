import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from bothways.errors import ConfigError
from bothways.io.options import Option, check_options, from_table, options_of, read_toml


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    rate: Annotated[float | None, Option("Rate.", group="A", unit="RATE", above=0, maximum=1)] = (
        None
    )
    mode: Annotated[Literal["fast", "slow"], Option("Mode.")] = "fast"
    names: Annotated[tuple[str, ...], Option("Names.", flags=("--name",))] = ()
    verbose: Annotated[bool, Option("Print more.")] = False
    count: Annotated[int, Option("Count.", minimum=1)] = 1
    extra: int = 0

    def __post_init__(self) -> None:
        check_options(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Narrowed(Sample):
    rate: float


def test_options_are_listed_in_order_with_their_types_and_defaults() -> None:
    fields = options_of(Sample)
    assert [field.name for field in fields] == ["rate", "mode", "names", "verbose", "count"]
    rate, mode, names, *_ = fields
    assert (rate.type, rate.default, rate.option.unit) == (float | None, None, "RATE")
    assert (mode.choices, mode.default) == (("fast", "slow"), "fast")
    assert names.is_repeatable
    assert (names.item_type, names.choices) == (str, ())


def test_a_subclass_that_narrows_a_type_keeps_the_option() -> None:
    (rate, *_) = options_of(Narrowed)
    assert (rate.type, rate.option.help) == (float, "Rate.")
    with pytest.raises(ConfigError, match=r"rate=2\.0: expected more than 0 and at most 1"):
        Narrowed(rate=2.0)
    with pytest.raises(ConfigError, match=r"rate=None: expected a number$"):
        Narrowed(rate=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": "high"}, r"rate='high': expected a number or None"),
        ({"rate": True}, r"rate=.*: expected a number or None"),
        ({"rate": float("nan")}, "rate=nan: expected more than 0 and at most 1"),
        ({"mode": ["fast"]}, r"mode=.*: expected fast, slow"),
        ({"names": ["a", 3]}, r"names\[1\]=3: expected a string"),
        ({"names": 3}, "names=3: expected a string"),
        ({"verbose": 1}, "verbose=1: expected true or false"),
        ({"count": 1.0}, r"count=1.0: expected an integer"),
        ({"count": 0}, "count=0: expected at least 1"),
        ({"extra": 1}, "unknown option 'extra'; available: rate, mode, names, verbose, count"),
    ],
)
def test_an_invalid_table_is_refused_with_its_source(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^\[sample\] {message}"):
        from_table(Sample, values, "[sample]")


def test_a_table_may_hold_a_list_or_one_value_for_a_tuple() -> None:
    assert from_table(Sample, {"names": ["a", "b"]}, "").names == ("a", "b")
    assert from_table(Sample, {"names": "a"}, "").names == ("a",)
    assert from_table(Sample, {"rate": 1}, "").rate == 1


def test_tables_of_a_toml_file_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[sample]\ncount = 3\nmode = "slow"\n')
    tables = read_toml(file, ("sample", "other"))
    assert tables == {"sample": {"count": 3, "mode": "slow"}, "other": {}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[optimizer]\nbeta = 1\n", r"optimizer: expected one of the tables \[training\]"),
        ("training = 3\n", "training: expected one of the tables"),
        ("[training\n", "not valid TOML: .*line 1"),
        ("[training]\nseed = 1\nseed = 2\n", "not valid TOML"),
    ],
)
def test_an_invalid_toml_file_is_refused_by_name(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=f"a.toml: {message}"):
        read_toml(file, ("training",))
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        read_toml(tmp_path / "none.toml", ("training",))
