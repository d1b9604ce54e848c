"""DeBERTa's folders: configs that are refused, and files with more than the encoder's weights."""

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
        ({"conv_kernel_size": 3}, "conv_kernel_size=3: a convolution beside the first layer"),
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
