import re
from collections.abc import Callable
from typing import Any

import pytest

from bothways.checkpoints.json_fields import Fields, same
from bothways.errors import CheckpointError, UnsupportedModel


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (Fields.integer, [0, 7], [True, 1.0, "7", None, [], -1, 2**31, 10**3000]),
        (Fields.number, [0, 7, 0.5, -2.5], [True, "7", None, 10**300]),
        (Fields.flag, [True, False], [0, 1, "true", None]),
        (Fields.text, ["", "x"], [1, None, ["x"]]),
        (Fields.list, [[], [1]], [{}, "x", None]),
        (Fields.mapping, [{}, {"a": 1}], [[], "x", None]),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_file_and_field(
    read: Callable[[Fields, str], Any], good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        assert read(Fields({"size": value}, "config.json"), "size") == value
    for value in bad:
        with pytest.raises(CheckpointError, match=r"config\.json: size"):
            read(Fields({"size": value}, "config.json"), "size")
    with pytest.raises(CheckpointError, match=r"config\.json: field 'size' is missing"):
        read(Fields({}, "config.json"), "size")


def test_a_missing_field_has_its_default() -> None:
    fields = Fields({}, "config.json")
    assert fields.integer("a", 3) == 3
    assert fields.flag("b", False) is False
    assert fields.optional_integer("c") is None


def test_optional_texts_can_be_missing_or_null() -> None:
    assert Fields({"prompts": {"a": "b", "c": None}}, "x").texts("prompts") == {
        "a": "b",
        "c": "",
    }
    assert Fields({"prompts": None}, "x").texts("prompts") == {}
    assert Fields({}, "x").texts("prompts") == {}
    bads: list[Any] = [[], {"a": 1}]
    for bad in bads:
        with pytest.raises(CheckpointError, match="x: prompts"):
            Fields({"prompts": bad}, "x").texts("prompts")


def test_other_values_are_refused_with_a_reason() -> None:
    Fields({}, "config.json").only("decoder", False)
    Fields({"decoder": False}, "config.json").only("decoder", False)
    with pytest.raises(UnsupportedModel, match=r"config\.json: decoder=True: it looks one way"):
        Fields({"decoder": True}, "config.json").only("decoder", False, because="it looks one way")
    with pytest.raises(UnsupportedModel, match="decoder=0"):
        Fields({"decoder": 0}, "config.json").only("decoder", False)


def test_unread_fields_are_refused_by_name() -> None:
    fields = Fields({"a": 1, "b": 2, "c": 3, "d": {"x": "y" * 1000}}, "config.json")
    fields.integer("a")
    fields.drop(["b"])
    assert fields.keep(["c", "absent"]) == {"c": 3}
    with pytest.raises(UnsupportedModel, match=r"config\.json: d=.*of a toy") as raised:
        fields.finish("a toy")
    assert len(str(raised.value)) < 300


def test_true_is_not_accepted_as_an_integer() -> None:
    assert same(1, 1.0)
    assert same([], [])
    assert not same(True, 1)
    assert not same(0, False)


def test_a_choice_is_one_of_its_values() -> None:
    assert Fields({"how": "dot"}, "x").one_of("how", ("dot", "cosine")) == "dot"
    assert Fields({"how": None}, "x").one_of("how", ("dot",)) is None
    with pytest.raises(UnsupportedModel, match=re.escape("how={'a': 1}: expected dot")):
        Fields({"how": {"a": 1}}, "x").one_of("how", ("dot",))
