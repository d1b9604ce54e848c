import dataclasses
import types
from typing import Any, Literal

import pytest

from bothways.errors import ConfigError
from bothways.model.fields import check_field_names, check_field_types, fits, literal_fields

Color = Literal["red", "green"]


@dataclasses.dataclass
class Paint:
    """An example of a config."""

    color: Color
    liters: float = 1.0
    coats: int | None = None
    finish: Literal["matte"] | Color | None = None
    layers: tuple[int, ...] = ()
    tags: list[str] = dataclasses.field(default_factory=list)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, int, True),
        (True, int, False),
        (True, bool, True),
        (1, float, True),
        (True, float, False),
        ("1", float, False),
        (None, int | None, True),
        (None, int, False),
        ("red", Color, True),
        ("blue", Color, False),
        (["red"], Color, False),
        (None, Color | None, True),
        ("green", Literal["matte"] | Color, True),
        ((1,), tuple[int, ...], True),
        ([1], tuple[int, ...], False),
    ],
)
def test_values_fit_their_annotations(value: Any, annotation: Any, expected: bool) -> None:
    assert fits(value, annotation) is expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"color": "blue"}, "color='blue' of a paint: expected one of red, green"),
        ({"liters": "2"}, "liters='2' of a paint: expected float or int"),
        ({"coats": True}, "coats=True of a paint: expected int or None"),
        ({"finish": "oil"}, "finish='oil' of a paint: expected one of matte, red, green, None"),
        ({"layers": [1]}, "layers=[1] of a paint: expected tuple"),
    ],
)
def test_a_value_of_another_type_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_field_types(Paint(**{"color": "red"} | changes), owner=" of a paint")
    assert str(raised.value) == message


def test_names_must_be_fields_and_all_required_fields_must_be_present() -> None:
    check_field_names(Paint, {"color": "red", "coats": 2})
    with pytest.raises(ConfigError, match="unknown field 'shade'; Paint has color, liters, "):
        check_field_names(Paint, {"color": "red", "shade": 2})
    with pytest.raises(ConfigError, match="field 'color' of Paint is missing; it has no default"):
        check_field_names(Paint, types.MappingProxyType({"coats": 2}))


def test_fields_of_one_literal_are_listed_with_their_choices() -> None:
    assert literal_fields(Paint) == {"color": ("red", "green")}
