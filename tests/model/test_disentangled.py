"""The rows of distances in disentangled attention."""

import pytest

from bothways import EncoderConfig
from bothways.errors import ConfigError
from bothways.model.disentangled import relative_rows


def config(**fields: object) -> EncoderConfig:
    sizes = {"num_layers": 1, "num_heads": 2, "d_model": 8, "d_ff": 8, "vocab_size": 9}
    return EncoderConfig(**sizes | {"attention_positions": "disentangled"} | fields)  # type: ignore[arg-type]


def test_rows_fall_as_the_key_moves_away_and_end_with_the_table() -> None:
    near = config(relative_buckets=6, relative_log_buckets=False)
    assert relative_rows(near, 5) == (5, 5, 5, 4, 3, 2, 1, 0, 0)
    assert relative_rows(near, 1) == (3,)


def test_far_distances_share_rows_on_a_logarithmic_scale() -> None:
    """Published sizes: 256 buckets for each direction, up to distance 512."""
    rows = relative_rows(config(relative_buckets=512, relative_max_distance=512), 700)
    row_of = dict(zip(range(-699, 700), rows, strict=True))
    assert [row_of[-d] for d in (0, 1, 128, 256, 510, 511, 699)] == [
        *(256, 257, 384, 448, 511, 511, 511)
    ]
    assert [row_of[d] for d in (1, 128, 256, 510, 511, 512, 699)] == [255, 128, 64, 1, 1, 0, 0]
    assert list(rows) == sorted(rows, reverse=True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"relative_buckets": 7}, "relative_buckets=7: expected a multiple of 2"),
        ({"relative_buckets": 2}, "relative_buckets=2: expected a multiple of 2"),
        ({"relative_buckets": 64, "relative_max_distance": 17}, "relative_max_distance=17"),
        (
            {"content_to_position": False, "position_to_content": False},
            "needs content_to_position or position_to_content",
        ),
        ({"query_key_norm": "head"}, "query_key_norm='head': expected 'none'"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**fields)
