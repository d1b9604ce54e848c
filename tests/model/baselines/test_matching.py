import math
from typing import Any

import pytest

from bothways.errors import ConfigError
from bothways.model import layout as transformer_layout
from bothways.model.baselines import BASELINES, BaselineName, matched_config
from bothways.model.baselines.layout import layout
from bothways.model.baselines.matching import TOLERANCE
from bothways.model.config import EncoderConfig
from bothways.training.setup.sizes import new_config

LIKE: dict[str, EncoderConfig] = {
    "tiny": new_config("tiny", vocab_size=8192, fields={}),
    "small": new_config("small", vocab_size=16384, fields={}),
    "base": new_config("base", vocab_size=30528, fields={}),
    "classic": new_config("tiny", architecture="classic", vocab_size=1000, fields={}),
    "few symbols": new_config("tiny", vocab_size=20, max_length=64, fields={"d_model": 32}),
    "narrow": new_config("tiny", vocab_size=12, max_length=16, fields={"d_model": 16}),
    "series": new_config("tiny", num_channels=12, max_length=29, fields={}),
    "narrow series": new_config("tiny", num_channels=1, fields={"d_model": 16, "num_layers": 1}),
    "shared blocks": new_config(
        "tiny",
        vocab_size=1000,
        fields={"block_of_layer": [0, 0, 0], "num_layers": 3, "embedding_size": 32},
    ),
}


def count(names: dict[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in names.values())


@pytest.mark.parametrize("like", LIKE)
@pytest.mark.parametrize("name", BASELINES)
def test_a_matched_baseline_has_as_many_weights(name: BaselineName, like: str) -> None:
    transformer = LIKE[like]
    target = count(transformer_layout.layout(transformer))
    assert abs(count(layout(matched_config(name, transformer))) - target) <= TOLERANCE * target


@pytest.mark.parametrize("like", ["tiny", "series", "shared blocks"])
@pytest.mark.parametrize("name", BASELINES)
def test_all_but_the_widths_is_the_transformers(name: BaselineName, like: str) -> None:
    transformer = LIKE[like]
    found = matched_config(name, transformer)
    for field in ("input", "vocab_size", "num_channels", "max_length", "dropout"):
        assert getattr(found, field) == getattr(transformer, field)
    if name != "convolution":
        assert found.num_layers == transformer.num_layers


@pytest.mark.parametrize("like", ["tiny", "series", "base"])
def test_a_convolution_is_deep_enough_to_see_everything(like: str) -> None:
    found = matched_config("convolution", LIKE[like])
    reach = sum(found.dilation(layer) for layer in range(found.num_layers))
    assert reach >= found.max_length - 1
    assert found.num_layers >= LIKE[like].num_layers


@pytest.mark.parametrize("name", BASELINES)
def test_embeddings_are_nearly_as_wide_as_the_transformers(name: BaselineName) -> None:
    for like in ("tiny", "small", "base", "few symbols"):
        transformer = LIKE[like]
        found = matched_config(name, transformer)
        assert 0 <= found.embedding_width - transformer.d_model <= transformer.d_model / 4


@pytest.mark.parametrize("name", BASELINES)
def test_another_depth_has_as_many_weights(name: BaselineName) -> None:
    target = count(transformer_layout.layout(LIKE["tiny"]))
    found = matched_config(name, LIKE["tiny"], num_layers=3)
    assert found.num_layers == 3
    assert abs(count(layout(found)) - target) <= TOLERANCE * target


def test_a_transformer_too_small_to_match_is_refused() -> None:
    fields: dict[str, Any] = {"num_layers": 1, "num_heads": 1, "d_model": 1, "d_ff": 1}
    with pytest.raises(ConfigError, match="no lstm has within 5%"):
        matched_config("lstm", EncoderConfig(**fields, vocab_size=1, position_embedding="none"))
