import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig
from bothways.model.layout import layout

TOY: Rows = {
    "tokens.weight": "embedding.token.weight",
    "layer.{i}.qkv.{p}": ("blocks.{i}.query.{p}", "blocks.{i}.key.{p}", "blocks.{i}.value.{p}"),
    "layer.{i}.norm.{p}": "blocks.{i}.norm.{p}",
    "layer.{i}.positions": None,
}
HEADS: Rows = {"lm.bias": "heads.bias"}


def toy(rows: Rows = TOY) -> KeyTable:
    return KeyTable(rows, heads=HEADS, prefixes=("", "toy."), aliases={"gamma": "weight"})


def arrays(*keys: str) -> dict[str, np.ndarray]:
    return {key: np.arange(6.0) + number for number, key in enumerate(keys)}


def test_names_are_translated_and_fused_arrays_split_by_rows() -> None:
    theirs = arrays(
        "toy.tokens.weight", "toy.layer.11.qkv.bias", "toy.layer.3.positions", "lm.bias"
    )
    expected = {
        "embedding.token.weight",
        *(f"blocks.11.{n}.bias" for n in ("query", "key", "value")),
    }
    ours = toy().read(theirs.keys(), expected).apply(theirs, "file")
    assert ours.keys() == expected | {"heads.bias"}
    assert ours["blocks.11.query.bias"].tolist() == [1.0, 2.0]
    assert ours["blocks.11.value.bias"].tolist() == [5.0, 6.0]


def test_old_parameter_names_are_read() -> None:
    theirs = arrays("layer.0.norm.gamma")
    assert toy().read(theirs.keys(), {"blocks.0.norm.weight"}).problems == ()


@pytest.mark.parametrize(
    ("keys", "expected", "problem"),
    [
        (["tokens.weight", "what.weight"], {"embedding.token.weight"}, "'what.weight' is unknown"),
        (["layer.x.norm.bias"], set(), "'layer.x.norm.bias' is unknown"),
        (["layer.00.norm.bias"], set(), "'layer.00.norm.bias' is unknown"),
        (["layer.0.norm.scale"], set(), "'layer.0.norm.scale' is unknown"),
        (["xtokens.weight"], set(), "'xtokens.weight' is unknown"),
        (["tokens_weight"], set(), "'tokens_weight' is unknown"),
        (["layer.7.norm.bias"], set(), "'layer.7.norm.bias' is unexpected"),
        (["layer.0.norm.gamma", "layer.0.norm.weight"], {"blocks.0.norm.weight"}, "same weight"),
        (["tokens.weight", "toy.tokens.weight"], {"embedding.token.weight"}, "same weight"),
        ([], {"embedding.token.weight"}, "'tokens.weight' is missing"),
        (["toy.layer.0.norm.bias"], {"blocks.0.norm.bias", "blocks.1.norm.bias"},
         "'toy.layer.1.norm.bias' is missing"),
        (["lm.bias"], {"blocks.1.key.bias"}, "'layer.1.qkv.bias' is missing"),
        ([], {"elsewhere.weight"}, "'elsewhere.weight', for which this family has no name"),
        (["w" * 10_000], set(), "is unknown"),
        ([f"k{i}" for i in range(5000)], {"embedding.token.weight"}, "5000 weights"),
    ],
)  # fmt: skip
def test_unexpected_weights_are_reported_by_their_names_in_the_file(
    keys: list[str], expected: set[str], problem: str
) -> None:
    reading = toy().read(keys, expected)
    assert any(problem in found for found in reading.problems)
    with pytest.raises(CheckpointError, match=rf"model\.file: .*{re.escape(problem)}") as raised:
        reading.apply(arrays(*keys), "model.file")
    assert len(str(raised.value)) < 1000


def test_a_fused_array_without_equal_parts_is_an_error() -> None:
    for array in (np.zeros((7, 2)), np.zeros(())):
        reading = toy().read(
            ["layer.0.qkv.weight"], {f"blocks.0.{n}.weight" for n in ("query", "key", "value")}
        )
        with pytest.raises(CheckpointError, match=r"'layer\.0\.qkv\.weight' has shape"):
            reading.apply({"layer.0.qkv.weight": array}, "file")


@pytest.mark.parametrize(
    "rows",
    [
        {"a.{i}.weight": "x.{i}.weight", "a.0.{p}": "y.0.{p}"},
        {"a.weight": "x.weight", "toy.a.weight": "y.weight"},
        {"a.weight": "x.{p}"},
        {"a.{i}.weight": "x.weight"},
        {"a.{j}.weight": "x.{j}.weight"},
        {"a.weight": "x.weight", "b.weight": "x.weight"},
        {"a.{p}": "x.{p}", "b.weight": "x.weight"},
        {"lm.bias": "x.bias"},
    ],
)
def test_an_ambiguous_table_is_refused_at_construction(rows: Rows) -> None:
    with pytest.raises(
        ValueError, match=r"could match both|different placeholders|placeholders are"
    ):
        toy(rows)


def test_heads_determine_the_written_prefix() -> None:
    ours = {"embedding.token.weight": np.zeros(1)}
    assert toy().write(ours, {"buffer": np.ones(1)}).keys() == {"tokens.weight", "buffer"}
    with_head = toy().write(ours | {"heads.bias": np.zeros(1)}, {"buffer": np.ones(1)})
    assert with_head.keys() == {"toy.tokens.weight", "lm.bias", "toy.buffer"}


def test_a_part_of_a_fused_weight_cannot_be_written() -> None:
    with pytest.raises(CheckpointError, match=r"'layer\.0\.qkv\.bias' is fused"):
        toy().write({"blocks.0.key.bias": np.zeros(1)}, {})
    with pytest.raises(CheckpointError, match=r"has no weight for 'blocks\.0\.other\.bias'"):
        toy().write({"blocks.0.other.bias": np.zeros(1)}, {})


# What holds for the table of every family.

FAMILY_TABLES = [(f.model_type, n) for f in FAMILIES.values() for n in range(len(f.tables))]


def a_config(model_type: str, num_layers: int) -> EncoderConfig:
    """A tiny encoder of a family."""
    family = FAMILIES[model_type]
    config = EncoderConfig(
        num_layers=num_layers, num_heads=2, d_model=4, d_ff=6, vocab_size=5, position_offset=2
    )
    config, _ = family.read_config(family.write_config(config, {}), "config.json")
    return config


@settings(deadline=None, max_examples=25)
@given(
    table=st.sampled_from(FAMILY_TABLES),
    num_layers=st.integers(1, 12),
    prefix=st.integers(0, 1),
    seed=st.integers(0, 2**20),
)
def test_a_written_model_of_every_family_is_read_unchanged(
    table: tuple[str, int], num_layers: int, prefix: int, seed: int
) -> None:
    model_type, number = table
    config = a_config(model_type, num_layers)
    names = layout(config)
    rng = np.random.default_rng(seed)
    ours = {name: rng.standard_normal(shape) for name, shape in names.items()}
    key_table = FAMILIES[model_type].tables[number]
    if not key_table.knows(names):  # a table of another variant of the family
        assert any(other.knows(names) for other in FAMILIES[model_type].tables)
        return
    theirs = key_table.write(ours, {})
    written, other = key_table.prefixes[0], key_table.prefixes[prefix % len(key_table.prefixes)]
    theirs = {other + key.removeprefix(written): array for key, array in theirs.items()}

    shuffled = rng.permutation(list(theirs)).tolist()
    reading = key_table.read(shuffled, names.keys())
    assert reading.problems == ()
    back = reading.apply(theirs, "file")
    assert back.keys() == ours.keys()
    assert all(np.array_equal(back[name], ours[name]) for name in ours)


@settings(deadline=None, max_examples=25)
@given(model_type=st.sampled_from(list(FAMILIES)), data=st.data())
def test_a_missing_or_additional_weight_is_always_detected(
    model_type: str, data: st.DataObject
) -> None:
    config = a_config(model_type, 3)
    names = layout(config)
    family = FAMILIES[model_type]
    table = next(table for table in family.tables if table.knows(names))
    keys = list(table.write({name: np.zeros((6, 1)) for name in names}, {}))
    lost = data.draw(st.sampled_from(keys))
    assert any(lost in p for p in family.fit(set(keys) - {lost}, config).problems)
    extra = re.sub(r"\b[012]\b", "3", lost)  # of a missing layer
    if extra == lost:
        extra += "x"
    assert any(extra in p for p in family.fit(set(keys) | {extra}, config).problems)
