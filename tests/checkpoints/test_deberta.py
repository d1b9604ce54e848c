"""DeBERTa's folders: configs that are refused, and files with more than the encoder's weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints import read_folder
from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.weight_files import write_safetensors
from bothways.errors import CheckpointError
from bothways.io.json_files import write_json
from bothways.model.layout import initialize

V3: dict[str, Any] = {
    "model_type": "deberta-v2",
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 8,
    "initializer_range": 0.02,
    "intermediate_size": 12,
    "max_position_embeddings": 512,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "layer_norm_eps": 1e-7,
    "max_relative_positions": -1,
    "position_biased_input": False,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "type_vocab_size": 0,
    "vocab_size": 30,
}
"""The config.json of v3, with small sizes."""
FAMILY = FAMILIES["deberta-v2"]


def test_the_published_config_is_read() -> None:
    config, _ = FAMILY.read_config(V3, "config.json")
    assert (config.relative_buckets, config.relative_max_distance) == (512, 512)
    assert config.content_to_position
    assert config.position_to_content
    assert config.position_embedding == "none"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conv_kernel_size": 4}, "convolution_kernel_size=4: expected 0, or an odd number"),
        ({"conv_kernel_size": 3, "conv_act": "mish"}, "conv_act='mish'"),
        ({"conv_kernel_size": 3, "conv_groups": 3}, "convolution_groups=3: expected a divisor"),
        ({"conv_kernel_size": 3, "conv_groups": 0}, "conv_groups=0: expected at least 1"),
        ({"pos_att_type": "p2c|p2p"}, "pos_att_type=.*expected c2p or p2c"),
        ({"pos_att_type": [["c2p"]]}, "pos_att_type="),
        ({"pos_att_type": 3}, "pos_att_type=3"),
        ({"pos_att_type": None}, "relative_attention needs a pos_att_type"),
        ({"relative_attention": False}, "pos_att_type=.*needs relative_attention"),
        ({"relative_attention": 1}, "relative_attention=1: expected true or false"),
        ({"norm_rel_ebd": "batch_norm"}, "norm_rel_ebd='batch_norm'"),
        ({"embedding_size": 4}, "embedding_size=4: it differs from hidden_size=8"),
        ({"attention_head_size": 8}, "attention_head_size=8"),
        ({"position_buckets": "256"}, "position_buckets='256'"),
        ({"position_buckets": 2**31}, "position_buckets=2147483648"),
        ({"position_buckets": 1}, "relative_buckets=2"),
        ({"max_relative_positions": 128}, "relative_max_distance=128"),
        ({"num_attention_heads": 0}, "num_heads=0"),
    ],
)
def test_other_configs_are_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        FAMILY.read_config(V3 | fields, "config.json")


def test_the_fields_of_a_convolution_mean_nothing_without_its_size() -> None:
    fields = {"conv_kernel_size": 0, "conv_act": "mish", "conv_groups": 3}
    config, _ = FAMILY.read_config(V3 | fields, "config.json")
    assert config.convolution_kernel_size == 0


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 5)])
def test_kernels_of_another_size_are_named(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = V3 | {"conv_kernel_size": 3, "conv_act": "gelu"}
    config, _ = FAMILY.read_config(values, "config.json")
    arrays = FAMILY.unfold(config, FAMILY.tables[0].write(initialize(config), {}))
    assert arrays["encoder.conv.conv.weight"].shape == (8, 8, 3)
    arrays["encoder.conv.conv.weight"] = np.zeros(shape, np.float32)
    write_json(tmp_path / "config.json", values)
    write_safetensors(tmp_path / "model.safetensors", arrays)
    with pytest.raises(CheckpointError, match="kernels of conv_kernel_size=3 positions"):
        read_folder(tmp_path)


V1: dict[str, Any] = {
    name: value
    for name, value in V3.items()
    if name not in ("position_buckets", "norm_rel_ebd", "share_att_key")
} | {"model_type": "deberta", "pos_att_type": "c2p|p2c"}
"""The config.json of the first version, with small sizes."""


def test_the_published_config_of_the_first_version_is_read() -> None:
    config, _ = FAMILIES["deberta"].read_config(V1, "config.json")
    assert (config.relative_buckets, config.relative_log_buckets) == (1024, False)
    assert not config.has_attention_key_bias
    assert not config.shared_position_projections


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"talking_head": True}, "talking_head"),
        ({"pos_att_type": "c2p|c2p"}, "pos_att_type='c2p|c2p': expected each term once"),
        ({"pos_att_type": ""}, "pos_att_type='': expected each term once"),
        ({"pos_att_type": None}, "pos_att_type=None: expected terms with relative_attention"),
        ({"relative_attention": False}, "and none without"),
        ({"pos_att_type": "p2p"}, "pos_att_type=['p2p']"),
        ({"embedding_size": 4}, "embedding_size=4: it differs from hidden_size=8"),
    ],
)
def test_other_configs_of_the_first_version_are_refused_by_name(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        FAMILIES["deberta"].read_config(V1 | fields, "config.json")


def test_a_fused_matrix_that_heads_do_not_divide_is_named(tmp_path: Path) -> None:
    family = FAMILIES["deberta"]
    config, _ = family.read_config(V1, "config.json")
    arrays = family.unfold(config, family.tables[0].write(initialize(config), {}))
    name = "encoder.layer.0.attention.self.in_proj.weight"
    assert arrays[name].shape == (24, 8)
    arrays[name] = np.zeros((23, 8), np.float32)
    write_json(tmp_path / "config.json", V1)
    write_safetensors(tmp_path / "model.safetensors", arrays)
    with pytest.raises(CheckpointError, match=r"in_proj\.weight' has shape .*of 2 heads"):
        read_folder(tmp_path)


def test_weights_of_pretraining_are_left_out_or_kept_unread(tmp_path: Path) -> None:
    """The discriminator's head, the generator's, and a table of positions that nothing reads."""
    config, _ = FAMILY.read_config(V3, "config.json")
    arrays = FAMILY.tables[0].write(initialize(config), {})
    arrays = {f"deberta.{name}": array for name, array in arrays.items()}
    arrays["deberta.embeddings.position_embeddings.weight"] = np.zeros((512, 8), np.float32)
    arrays["mask_predictions.dense.weight"] = np.zeros((8, 8), np.float32)
    arrays["lm_predictions.lm_head.bias"] = np.zeros(30, np.float32)
    write_json(tmp_path / "config.json", V3)
    write_safetensors(tmp_path / "model.safetensors", arrays)

    folder = read_folder(tmp_path)
    assert folder.spec.heads == ()
    assert set(folder.head_weights) == {
        "heads.unread.mask_predictions.dense.weight",
        "heads.lm_head.bias",
    }
