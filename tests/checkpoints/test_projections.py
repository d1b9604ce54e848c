"""Models whose published class ends with a linear layer, which becomes a dense layer after pooling.

The encoders are those of their families, which conformance tests compare with transformers.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.checkpoints import export, read_folder
from bothways.checkpoints.export import Format
from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.checkpoints.weight_files import read_safetensors, write_safetensors
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.inference.backends import BackendName
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.reference.backend import ReferenceBackend

WIDTH, OUTPUTS = 16, 6
IDS = np.arange(4, 13)

Layer = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Published:
    """A published class on the encoder of a family.

    encoder: the config.json of the encoder alone. config: what the published one says instead.
    prefix: of the names of the encoder's weights. name: of the layer. vector(states_LD, layer): of
    the states of one sequence.
    """

    family: str
    encoder: dict[str, Any]
    config: dict[str, Any]
    prefix: str
    name: str
    parts: tuple[str, ...]
    vector: Callable[[np.ndarray, Layer], np.ndarray]


def mean_of_projected(states_LD: np.ndarray, layer: Layer) -> np.ndarray:
    mean: np.ndarray = (states_LD @ layer["weight"].T).mean(0)
    return mean


def projected_first(states_LD: np.ndarray, layer: Layer) -> np.ndarray:
    vector = states_LD[0] @ layer["weight"].T + layer["bias"]
    unit: np.ndarray = vector / np.linalg.norm(vector)
    return unit


MODELS = {
    "voyage-4-nano": Published(
        "qwen3",
        {
            "model_type": "qwen3",
            "vocab_size": 40,
            "hidden_size": WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 24,
            "is_causal": False,
            "use_sliding_window": False,
        },
        {
            "architectures": ["Qwen3ForCausalLM"],
            "auto_map": {"AutoModel": "modeling_qwen3_bidirectional.Qwen3BidirectionalModel"},
            "is_causal": True,  # which the published code does not read
            "num_labels": OUTPUTS,
            "use_bidirectional_attention": True,
        },
        "model.",
        "linear",
        ("weight",),
        mean_of_projected,
    ),
    "codet5p-110m-embedding": Published(
        "t5",
        {
            "model_type": "t5",
            "vocab_size": 40,
            "d_model": WIDTH,
            "d_kv": 4,
            "d_ff": 24,
            "num_layers": 2,
            "num_heads": 4,
        },
        {
            "architectures": ["CodeT5pEmbeddingModel"],
            "auto_map": {
                "AutoConfig": "configuration_codet5p_embedding.CodeT5pEmbeddingConfig",
                "AutoModel": "modeling_codet5p_embedding.CodeT5pEmbeddingModel",
            },
            "embed_dim": OUTPUTS,
            "is_encoder_decoder": False,
            "model_type": "codet5p_embedding",
            "n_positions": 512,
        },
        "",
        "proj",
        ("weight", "bias"),
        projected_first,
    ),
}


def write(model: Published, folder: Path, **changes: Any) -> np.ndarray:
    """A folder with the published names and fields; returns the vector of `IDS`, in float64."""
    family = FAMILIES[model.family]
    config, _ = family.read_config(model.encoder, "config.json")
    weights = initialize(config, seed=1, scale=0.4)
    arrays = family.tables[0].write(weights, {})
    shapes = {"weight": (OUTPUTS, WIDTH), "bias": (OUTPUTS,)}
    rng = np.random.default_rng(2)
    layer = {part: rng.standard_normal(shapes[part], dtype=np.float32) for part in model.parts}
    published = {model.prefix + name: array for name, array in arrays.items()}
    published |= {f"{model.name}.{part}": array for part, array in layer.items()}
    folder.mkdir()
    write_safetensors(folder / "model.safetensors", published)
    (folder / "config.json").write_text(json.dumps(model.encoder | model.config | changes))
    backend = ReferenceBackend(config, weights, dtype=np.float64)
    (states_LD,) = backend.hidden_states(PackedBatch.of([IDS]), [config.num_layers])
    return model.vector(states_LD, layer)


def add_modules(folder: Path, mode: str = "pooling_mode_mean_tokens") -> None:
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(
            (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
        )
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": OUTPUTS, mode: True}
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))


def check_vector(folder: Path, want: np.ndarray, backend: BackendName = "reference") -> None:
    found = bothways.load(folder, backend=backend).encode(IDS)
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("backend", ["reference", "native"])
@pytest.mark.parametrize("name", MODELS)
def test_vectors_are_those_of_the_published_class(
    name: str, backend: BackendName, tmp_path: Path
) -> None:
    want = write(MODELS[name], tmp_path / "model")
    check_vector(tmp_path / "model", want, backend)
    folder = read_folder(tmp_path / "model")
    assert folder.family == MODELS[name].family
    assert not folder.unread_heads
    assert not UnreadFields.of(folder.source_settings)


def test_modules_follow_the_linear_layer(tmp_path: Path) -> None:
    want = write(MODELS["voyage-4-nano"], tmp_path / "model")
    add_modules(tmp_path / "model")
    check_vector(tmp_path / "model", want / np.linalg.norm(want))


@pytest.mark.parametrize("to", ["bothways", "sentence-transformers"])
@pytest.mark.parametrize("name", MODELS)
def test_an_export_has_a_dense_layer_after_pooling(name: str, to: Format, tmp_path: Path) -> None:
    want = write(MODELS[name], tmp_path / "model")
    export(read_folder(tmp_path / "model"), tmp_path / "out", to)
    check_vector(tmp_path / "out", want)
    if to == "sentence-transformers":
        values = json.loads((tmp_path / "out/config.json").read_text())
        assert values["model_type"] == MODELS[name].family
        assert "auto_map" not in values


def test_what_is_not_the_same_after_pooling_is_refused(tmp_path: Path) -> None:
    write(MODELS["voyage-4-nano"], tmp_path / "voyage")
    add_modules(tmp_path / "voyage", "pooling_mode_max_tokens")
    write(MODELS["codet5p-110m-embedding"], tmp_path / "code")
    add_modules(tmp_path / "code")  # of vectors that the class has pooled itself
    for name in ("voyage", "code"):
        with pytest.raises(UnsupportedModel, match="ends with a linear layer"):
            read_folder(tmp_path / name)


@pytest.mark.parametrize("name", MODELS)
def test_a_file_without_a_fitting_linear_layer_is_refused(name: str, tmp_path: Path) -> None:
    model, file = MODELS[name], tmp_path / "model/model.safetensors"
    write(model, tmp_path / "model")
    arrays = dict(read_safetensors(file))
    weight = arrays.pop(f"{model.name}.weight")
    for bad in (None, weight[:, 1:], weight[0], weight[:0]):
        more = {} if bad is None else {f"{model.name}.weight": bad}
        write_safetensors(tmp_path / "bad.safetensors", arrays | more)
        (tmp_path / "bad.safetensors").replace(file)
        with pytest.raises(CheckpointError, match=rf"{model.name}\.weight|modules\.0\.weight"):
            read_folder(tmp_path / "model")


def test_windows_and_other_code_are_refused(tmp_path: Path) -> None:
    model = MODELS["voyage-4-nano"]
    write(model, tmp_path / "windows", use_sliding_window=True)
    with pytest.raises(UnsupportedModel, match="use_sliding_window=True"):
        read_folder(tmp_path / "windows")
    code = {"AutoModel": "somebody/model--modeling_qwen3_bidirectional.Qwen3BidirectionalModel"}
    write(model, tmp_path / "code", auto_map=code)
    with pytest.raises(UnsupportedModel, match="never runs the code"):
        read_folder(tmp_path / "code")
