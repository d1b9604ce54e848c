"""LoRA adapters beside the weights of a folder, against the same updates merged by hand."""

import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bothways
from bothways.checkpoints.folder import fingerprint, read_folder
from bothways.errors import CheckpointError, UnsupportedModel

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

RANK, ALPHA = 2, 6
CONFIG: dict[str, Any] = {
    "peft_type": "LORA",
    "task_type": "FEATURE_EXTRACTION",
    "base_model_name_or_path": "somebody/base",
    "target_modules": ["query", "dense"],
    "r": RANK,
    "lora_alpha": ALPHA,
    "lora_dropout": 0.1,
    "bias": "none",
    "fan_in_fan_out": False,
    "init_lora_weights": True,
    "inference_mode": True,
    "modules_to_save": None,
    "rank_pattern": {},
    "use_dora": False,
}
TARGETS = {"encoder.layer.0.attention.self.query": (8, 8), "encoder.layer.1.output.dense": (8, 12)}


def adapter() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {}
    for name, (outputs, inputs) in TARGETS.items():
        arrays[f"base_model.model.{name}.lora_A.weight"] = rng.standard_normal((RANK, inputs))
        arrays[f"base_model.model.{name}.lora_B.weight"] = rng.standard_normal((outputs, RANK))
    return arrays


@pytest.fixture
def adapted(tiny: "Tiny") -> "Tiny":
    tiny.edit(CONFIG, "adapter_config.json")
    tiny.save(adapter(), "adapter_model.safetensors")
    return tiny


def merged_by_hand(tiny: "Tiny", scaling: float) -> dict[str, np.ndarray]:
    weights, updates = tiny.arrays(), adapter()
    for name in TARGETS:
        a, b = (updates[f"base_model.model.{name}.lora_{x}.weight"] for x in "AB")
        weights[f"{name}.weight"] = weights[f"{name}.weight"] + scaling * b @ a
    return weights


@pytest.mark.parametrize("stabilized", [False, True])
def test_an_adapter_beside_the_weights_is_merged_into_them(
    adapted: "Tiny", stabilized: bool
) -> None:
    adapted.edit({"use_rslora": stabilized}, "adapter_config.json")
    found = read_folder(adapted.path)
    adapted.save(merged_by_hand(adapted, ALPHA / (math.sqrt(RANK) if stabilized else RANK)))
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (adapted.path / name).unlink()
    expected = read_folder(adapted.path)
    for name, array in expected.weights.items():
        np.testing.assert_allclose(found.weights[name], array, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("prefix", ["bert.", ""])
def test_names_in_the_adapter_may_have_another_prefix_than_in_the_weights(
    tiny: "Tiny", prefix: str
) -> None:
    other = "" if prefix else "bert."
    tiny.save({prefix + name: array for name, array in tiny.arrays().items()})
    tiny.edit(CONFIG, "adapter_config.json")
    tiny.save(
        {
            f"base_model.model.{other}{name.removeprefix('base_model.model.')}": array
            for name, array in adapter().items()
        },
        "adapter_model.safetensors",
    )
    expected = merged_by_hand(tiny, ALPHA / RANK)["encoder.layer.1.output.dense.weight"]
    found = read_folder(tiny.path).weights["blocks.1.feed_forward.down.weight"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_an_adapter_changes_the_fingerprint_and_the_vectors(tiny: "Tiny") -> None:
    ids = [np.array([2, 5, 3])]
    before, plain = fingerprint(tiny.path), bothways.load(tiny.path).encode(ids)
    tiny.edit(CONFIG, "adapter_config.json")
    tiny.save(adapter(), "adapter_model.safetensors")
    assert fingerprint(tiny.path) != before
    assert np.abs(bothways.load(tiny.path).encode(ids) - plain).max() > 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type='IA3'"),
        ({"use_dora": True}, "use_dora=True"),
        ({"rank_pattern": {"query": 4}}, "rank_pattern={'query': 4}"),
        ({"alpha_pattern": {"query": 4}}, "alpha_pattern={'query': 4}"),
        ({"bias": "all"}, "bias='all'"),
        ({"modules_to_save": ["classifier"]}, "modules_to_save=['classifier']"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out=True"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
        ({"layer_replication": [[0, 2]]}, "layer_replication=[[0, 2]]"),
        ({"something_new": "yes"}, "something_new='yes'"),
    ],
)
def test_an_adapter_that_is_no_plain_lora_is_refused_by_name(
    adapted: "Tiny", changes: dict[str, Any], message: str
) -> None:
    adapted.edit(changes, "adapter_config.json")
    with pytest.raises(UnsupportedModel, match=re.escape(message) + ".*plain LoRA only"):
        read_folder(adapted.path)


def test_a_weight_of_the_adapter_that_is_no_update_is_refused_by_name(adapted: "Tiny") -> None:
    extra = {"base_model.model.embeddings.word_embeddings.lora_embedding_A": np.ones((2, 20))}
    adapted.save(adapter() | extra, "adapter_model.safetensors")
    with pytest.raises(UnsupportedModel, match=r"lora_embedding_A.*plain LoRA"):
        read_folder(adapted.path)


def test_updates_that_do_not_fit_their_weights_are_refused(adapted: "Tiny") -> None:
    key = "base_model.model.encoder.layer.0.attention.self.query"
    for changes, message in (
        ({f"{key}.lora_A.weight": np.ones((3, 8))}, r"A \(3, 8\) and B \(8, 2\) do not fit"),
        ({f"{key}.lora_A.weight": np.ones(8)}, r"A \(8,\) and B \(8, 2\) do not fit"),
        ({f"{key.replace('0', '7')}.lora_A.weight": np.ones((2, 8))}, "lora_B.weight' is missing"),
        (
            {f"{key.replace('0', '7')}.lora_{x}.weight": np.ones((8, 8)) for x in "AB"},
            "has no such weight",
        ),
    ):
        adapted.save(adapter() | changes, "adapter_model.safetensors")
        with pytest.raises(CheckpointError, match=message):
            read_folder(adapted.path)
    (adapted.path / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="an adapter without weights: looked for adapter_m"):
        read_folder(adapted.path)


def test_an_adapter_beside_a_folder_of_bothways_is_refused(tiny: "Tiny") -> None:
    bothways.checkpoints.export(read_folder(tiny.path), tiny.path.parent / "ours", "bothways")
    (tiny.path.parent / "ours" / "adapter_config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(UnsupportedModel, match="an adapter beside a folder of bothways"):
        read_folder(tiny.path.parent / "ours")
