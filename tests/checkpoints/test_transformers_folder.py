import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bothways.checkpoints import export, read_folder
from bothways.checkpoints.transformers_folder import read_transformers
from bothways.checkpoints.weight_files import read_safetensors
from bothways.errors import CheckpointError, UnsupportedModel

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

EMBEDDING = "embeddings.word_embeddings.weight"


def masked_tokens(tiny: "Tiny", **decoder: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a model with a masked-token head."""
    rng = np.random.default_rng(4)
    arrays = {f"bert.{key}": array for key, array in tiny.arrays().items()}
    for name in ("dense.weight", "dense.bias", "LayerNorm.gamma", "LayerNorm.beta"):
        shape = (8, 8) if name == "dense.weight" else (8,)
        arrays[f"cls.predictions.transform.{name}"] = rng.standard_normal(shape)
    arrays["cls.predictions.bias"] = rng.standard_normal(20)
    return arrays | {f"cls.predictions.decoder.{name}": a for name, a in decoder.items()}


def test_an_encoder_is_read_completely(tiny: "Tiny") -> None:
    read = read_transformers(tiny.path)
    assert read.family == "bert"
    assert read.config == tiny.config
    assert list(read.weights) == list(tiny.weights)
    assert all(np.array_equal(read.weights[name], tiny.weights[name]) for name in tiny.weights)
    assert read.head_weights == {}
    assert (read.spec.pooling.modes, read.spec.modules, read.spec.max_length) == (("mean",), (), 16)


def test_heads_are_kept_with_their_settings(tiny: "Tiny") -> None:
    tiny.edit({"architectures": ["BertForMaskedLM"], "id2label": {"0": "good"}})
    arrays = masked_tokens(tiny)
    tiny.save(arrays)
    read = read_transformers(tiny.path)
    assert sorted(read.head_weights) == [
        "heads.masked_tokens.bias",
        "heads.masked_tokens.dense.bias",
        "heads.masked_tokens.dense.weight",
        "heads.masked_tokens.norm.bias",
        "heads.masked_tokens.norm.weight",
    ]
    norm = arrays["cls.predictions.transform.LayerNorm.gamma"].astype(np.float32)
    assert np.array_equal(read.head_weights["heads.masked_tokens.norm.weight"], norm)
    assert read.source_settings["architectures"] == ["BertForMaskedLM"]
    assert read.source_settings["id2label"] == {"0": "good"}


def test_a_tied_decoder_is_optional_in_the_file(tiny: "Tiny") -> None:
    tiny.save(masked_tokens(tiny))
    without = read_transformers(tiny.path)
    bias = masked_tokens(tiny)["cls.predictions.bias"]
    tiny.save(masked_tokens(tiny, weight=tiny.weights["embedding.token.weight"], bias=bias))
    with_both = read_transformers(tiny.path)
    assert with_both.head_weights.keys() == without.head_weights.keys()
    assert with_both.source_settings == without.source_settings


def test_an_untied_decoder_is_kept(tiny: "Tiny") -> None:
    decoder = np.ones((20, 8), dtype=np.float32)
    tiny.save(masked_tokens(tiny, weight=decoder))
    read = read_transformers(tiny.path)
    assert np.array_equal(read.head_weights["heads.masked_tokens.weight"], decoder)
    assert read.source_settings["tie_word_embeddings"] is False


def test_buffers_are_dropped_by_name(tiny: "Tiny") -> None:
    arrays = tiny.arrays() | {"embeddings.position_ids": np.arange(16.0)[None]}
    tiny.save(arrays)
    assert read_transformers(tiny.path).weights.keys() == tiny.weights.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({EMBEDDING: None}, f"'{EMBEDDING}' is missing"),
        ({"encoder.layer.1.output.dense.bias": None}, "1.output.dense.bias' is missing"),
        ({"encoder.layer.2.output.dense.bias": np.zeros(8)}, "2.output.dense.bias' is unexpected"),
        ({"encoder.layer.0.adapter.weight": np.zeros(8)}, "0.adapter.weight' is unknown"),
        ({EMBEDDING: np.zeros((21, 8))}, "has shape (21, 8); the config says (20, 8)"),
        ({EMBEDDING: np.zeros(8)}, "has shape (8,)"),
        ({EMBEDDING: np.full((20, 8), np.nan)}, "holds NaN or infinity"),
        ({"pooler.dense.weight": np.full((8, 8), np.inf)}, "'heads.pooler.weight' holds NaN"),
    ],
)  # fmt: skip
def test_a_wrong_weight_is_named_with_its_file(
    change: dict[str, np.ndarray | None], message: str, tiny: "Tiny"
) -> None:
    arrays = tiny.arrays()
    for name, array in change.items():
        if array is None:
            del arrays[name]
        else:
            arrays[name] = array
    tiny.save(arrays)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: .*{re.escape(message)}"):
        read_transformers(tiny.path)


def prefixed(tiny: "Tiny") -> dict[str, np.ndarray]:
    return {f"bert.{name}": array for name, array in tiny.arrays().items()}


UNKNOWN_HEADS: dict[str, dict[str, np.ndarray]] = {
    "colbert": {"linear.weight": np.ones((4, 8))},
    "a head of proteins": {"cls.species.bias": np.ones(3), "cls.chain.{i}.weight": np.ones((2, 8))},
    "a CRF": {"crf.transitions": np.ones((5, 5)), "crf.start": np.ones(5)},
    "distillation": {"fit_denses.0.weight": np.ones((8, 8)), "fit_denses.0.bias": np.ones(8)},
}


@pytest.mark.parametrize("name", UNKNOWN_HEADS)
def test_weights_of_unknown_heads_are_kept_unread_and_exported(
    name: str, tiny: "Tiny", tmp_path: Path
) -> None:
    head = UNKNOWN_HEADS[name]
    tiny.edit({"architectures": ["Custom"]})
    tiny.save(prefixed(tiny) | head)
    read = read_transformers(tiny.path)
    assert read.spec.heads == ()
    assert all(repr(key) in read.unread_heads for key in head)
    export(read, tmp_path / "own", "bothways")
    again = read_folder(tmp_path / "own")
    export(again, tmp_path / "theirs", "transformers")
    written = read_safetensors(tmp_path / "theirs/model.safetensors")
    assert written.keys() == (prefixed(tiny) | head).keys()
    assert all(np.array_equal(written[key], head[key]) for key in head)


@pytest.mark.parametrize(
    "key",
    ["bert.adapter.weight", "bert.encoder.layer.0.new.bias", "encoder.layer.0.new.bias"],
)
def test_an_unknown_weight_inside_a_prefixed_encoder_is_an_error(key: str, tiny: "Tiny") -> None:
    tiny.save(prefixed(tiny) | {key: np.zeros(8)})
    with pytest.raises(CheckpointError, match=f"weight '{re.escape(key)}' is unknown"):
        read_transformers(tiny.path)


def test_an_unknown_weight_beside_an_encoder_without_a_prefix_is_an_error(tiny: "Tiny") -> None:
    tiny.save(tiny.arrays() | {"norm.weight": np.zeros(8)})  # it may be part of the encoder
    with pytest.raises(CheckpointError, match=r"weight 'norm\.weight' is unknown"):
        read_transformers(tiny.path)


def test_buffers_of_unknown_heads_are_dropped(tiny: "Tiny") -> None:
    state = {name: torch.from_numpy(array) for name, array in prefixed(tiny).items()}
    state["bn.num_batches"] = torch.tensor([3])
    save_file(state, tiny.path / "model.safetensors")
    assert not read_transformers(tiny.path).head_weights


def test_weights_too_large_for_float32_are_detected(tiny: "Tiny") -> None:
    state = {name: torch.from_numpy(array) for name, array in tiny.arrays().items()}
    state[EMBEDDING] = torch.full((20, 8), 1e300, dtype=torch.float64)
    (tiny.path / "model.safetensors").unlink()
    torch.save(state, tiny.path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: .*NaN or infinity"):
        read_transformers(tiny.path)


def test_integer_weights_are_refused(tiny: "Tiny") -> None:
    state = {name: torch.from_numpy(array) for name, array in tiny.arrays().items()}
    state[EMBEDDING] = torch.zeros(20, 8, dtype=torch.int64)
    (tiny.path / "model.safetensors").unlink()
    torch.save(state, tiny.path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="int64, not floating point"):
        read_transformers(tiny.path)


@pytest.mark.parametrize("model_type", ["llama", "BERT", "", ["bert"], {"a": 1}, 3])
def test_the_error_for_an_unknown_model_type_lists_the_known_ones(
    model_type: Any, tiny: "Tiny"
) -> None:
    tiny.edit({"model_type": model_type})
    with pytest.raises(UnsupportedModel, match=r"model_type=.*bert, roberta, .*nomic_bert"):
        read_transformers(tiny.path)


def test_a_missing_model_type_is_named(tiny: "Tiny") -> None:
    tiny.edit({"model_type": None})
    with pytest.raises(CheckpointError, match=r"config\.json: field 'model_type' is missing"):
        read_transformers(tiny.path)


def test_the_tokenizer_can_shorten_the_maximum_length_only(tiny: "Tiny") -> None:
    for stated, length in ((9, 9), (512, 16), (10**30, 16), (None, 16), (1e30, 16), (True, 16)):
        tiny.edit({"model_max_length": stated}, "tokenizer_config.json")
        assert read_transformers(tiny.path).spec.max_length == length
