from typing import Any

import pytest

from bothways.errors import ConfigError
from bothways.model.baselines import BASELINES, BaselineConfig

FIELDS: dict[str, Any] = {
    "kind": "lstm",
    "num_layers": 2,
    "width": 4,
    "embedding_width": 6,
    "vocab_size": 9,
}


@pytest.mark.parametrize("kind", BASELINES)
def test_a_config_is_the_same_after_json(kind: str) -> None:
    config = BaselineConfig(**FIELDS | {"kind": kind})
    assert BaselineConfig.from_dict(config.to_dict()) == config


def test_the_width_of_the_output_counts_both_directions() -> None:
    widths = {kind: BaselineConfig(**FIELDS | {"kind": kind}).d_model for kind in BASELINES}
    assert widths["lstm"] == widths["gru"] == widths["rnn"] == 8
    assert widths["lstm-forward"] == widths["gru-forward"] == widths["rnn-forward"] == 4
    assert widths["convolution"] == widths["bag"] == 6


@pytest.mark.parametrize("max_length", [1, 2, 7, 8, 9, 512])
def test_dilation_doubles_until_all_positions_are_seen_and_begins_again(max_length: int) -> None:
    config = BaselineConfig(**FIELDS | {"kind": "convolution", "max_length": max_length})
    dilations = [config.dilation(layer) for layer in range(20)]
    cycle = dilations.index(1, 1)
    assert dilations[:cycle] == [2**layer for layer in range(cycle)]
    assert dilations[cycle : 2 * cycle] == dilations[:cycle]
    reach = sum(dilations[:cycle])
    assert reach >= max_length - 1
    assert cycle == 1 or sum(dilations[: cycle - 1]) < max_length - 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "transformer"}, "kind='transformer': expected one of rnn, lstm"),
        ({"kind": ["lstm"]}, r"kind=\['lstm'\]: expected one of"),
        ({"width": 0}, "width=0: expected at least 1"),
        ({"width": 2.0}, "width=2.0: expected int"),
        ({"num_layers": True}, "num_layers=True: expected int"),
        ({"dropout": 1}, "dropout=1: expected at least 0, below 1"),
        ({"dropout": float("nan")}, "dropout=nan"),
        ({"vocab_size": 0}, "input='tokens' needs vocab_size >= 1 and num_channels=0"),
        ({"num_channels": 3}, "input='tokens' needs vocab_size >= 1 and num_channels=0"),
        ({"input": "vectors"}, "input='vectors' needs num_channels >= 1 and vocab_size=0"),
        ({"hidden": 3}, "unknown field 'hidden'"),
    ],
)
def test_wrong_fields_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BaselineConfig.from_dict(FIELDS | changes)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ConfigError, match="field 'width' of BaselineConfig is missing"):
        BaselineConfig.from_dict({name: v for name, v in FIELDS.items() if name != "width"})
