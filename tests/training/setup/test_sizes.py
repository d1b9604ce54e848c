"""The configs of new encoders."""

import itertools
from typing import Any, get_args

import pytest

from bothways.checkpoints.families import FAMILIES
from bothways.errors import ConfigError
from bothways.model.inputs import InputKind
from bothways.training.options.new_model import Architecture, NewModelOptions, SizeName
from bothways.training.options.objective import TrainingTask
from bothways.training.setup.sizes import SIZES, DataShape, choose_defaults, new_config

SIZE_NAMES: tuple[SizeName, ...] = get_args(SizeName)
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


@pytest.mark.parametrize("architecture", ["modern", "classic"])
@pytest.mark.parametrize("size", SIZE_NAMES)
def test_every_new_text_encoder_can_be_exported_to_transformers(
    size: SizeName, architecture: Architecture
) -> None:
    config = new_config(size, architecture=architecture, vocab_size=100, fields={})
    assert any(not family.obstacle(config) for family in FAMILIES.values())


def test_larger_sizes_have_more_layers_width_and_tokens() -> None:
    sizes = [SIZES[name] for name in SIZE_NAMES]
    for smaller, larger in itertools.pairwise(sizes):
        assert all(a < b for a, b in zip(smaller, larger, strict=True))


def test_gated_and_plain_feed_forwards_have_as_many_weights() -> None:
    modern, classic = (
        new_config("base", architecture=a, vocab_size=9, fields={}) for a in ARCHITECTURES[:2]
    )
    assert 3 * modern.d_ff == 2 * classic.d_ff
    assert modern.gated
    assert not classic.gated


def test_aligned_sequences_have_learned_positions_in_modern_blocks() -> None:
    modern, _, aligned = (
        new_config("tiny", architecture=a, vocab_size=9, fields={}) for a in ARCHITECTURES
    )
    positions = {"position_embedding": "learned", "attention_positions": "none"}
    assert aligned.to_dict() == modern.to_dict() | positions


@pytest.mark.parametrize(
    ("kind", "task", "lengths", "expected"),
    [
        ("symbols", "classify", (60, 60), "aligned"),
        ("series", "regress", (60, 60), "aligned"),
        ("symbols", "classify", (59, 60), "modern"),
        ("symbols", "tag", (60, 60), "modern"),
        ("series", "mlm", (60, 60), "modern"),
        ("text", "classify", (60, 60), "modern"),
    ],
)
def test_learned_positions_are_the_default_for_aligned_sequences(
    kind: InputKind, task: TrainingTask, lengths: tuple[int, int], expected: str
) -> None:
    chosen = choose_defaults(NewModelOptions(), kind, task, DataShape(5000, *lengths))
    assert chosen.architecture == expected
    by_user = NewModelOptions(architecture="modern")
    assert choose_defaults(by_user, kind, task, DataShape(9, *lengths)).architecture == "modern"


@pytest.mark.parametrize(
    ("task", "rows", "expected"),
    [("classify", 999, "tiny"), ("regress", 5, "tiny"), ("classify", 1000, "small"),
     ("mlm", 5, "small"), ("tag", 5, "small")],
)  # fmt: skip
def test_few_rows_have_a_tiny_model(task: TrainingTask, rows: int, expected: str) -> None:
    shape = DataShape(rows, 3, 9)
    assert choose_defaults(NewModelOptions(), "text", task, shape).size == expected
    assert choose_defaults(NewModelOptions(size="base"), "text", task, shape).size == "base"


@pytest.mark.parametrize(
    ("kind", "task", "shape", "expected"),
    [
        ("series", "classify", DataShape(999, 9, 49), True),
        ("series", "classify", DataShape(1000, 9, 49), False),
        ("series", "regress", DataShape(999, 48, 48), False),
        ("series", "tag", DataShape(999, 9, 49), False),
        ("symbols", "classify", DataShape(999, 9, 49), False),
    ],
)
def test_few_long_series_are_read_through_a_stem(
    kind: InputKind, task: TrainingTask, shape: DataShape, expected: bool
) -> None:
    assert choose_defaults(NewModelOptions(), kind, task, shape).series_stem is expected
    by_user = NewModelOptions(series_stem=not expected)
    assert choose_defaults(by_user, kind, task, shape).series_stem is not expected


@pytest.mark.parametrize("d_model", [2, 32, 100, 130, 1000, 1022])
def test_heads_and_feed_forward_follow_the_width(d_model: int) -> None:
    config = new_config("tiny", vocab_size=9, fields={"d_model": d_model})
    assert config.head_width % 2 == 0
    assert abs(config.d_ff - 8 * d_model / 3) <= 32


def test_fields_of_the_user_replace_the_defaults() -> None:
    fields: dict[str, Any] = {"num_layers": 3, "d_ff": 7, "activation": "silu", "dropout": 0.3}
    config = new_config("tiny", vocab_size=9, max_length=77, fields=fields)
    assert {name: getattr(config, name) for name in fields} == fields
    assert config.max_length == 77


def test_series_have_channels_and_no_vocabulary() -> None:
    config = new_config("tiny", num_channels=3, fields={})
    assert (config.input, config.num_channels, config.vocab_size) == ("vectors", 3, 0)
    classic = new_config("tiny", architecture="classic", num_channels=3, fields={})
    assert classic.num_segments == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocab_size": 5}, "vocab_size is determined by the data"),
        ({"depth": 5}, "unknown field 'depth'"),
        ({"d_model": 100, "num_heads": 7}, "does not divide"),
        ({"d_model": "wide"}, "d_model='wide': expected int"),
        ({"position_embedding": "rotating"}, "expected one of learned"),
    ],
)
def test_errors_name_the_place_of_an_invalid_value(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        new_config("tiny", vocab_size=9, fields=fields)
