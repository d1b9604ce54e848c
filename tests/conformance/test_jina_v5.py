"""jina-embeddings-v5: models of transformers with the adapter of a task, merged here by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file

import bothways
from bothways.checkpoints import export, read_folder
from bothways.checkpoints.folder import fingerprint
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.errors import CheckpointError, InputError, UnsupportedModel
from bothways.inference.backends import BackendName

TOLERANCE = 1e-5
TASKS = ["retrieval", "text-matching"]
RANK, ALPHA = 2, 3
IDS = np.arange(4, 13)

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}
BASES = {
    "small": (transformers.Qwen3Model, SIZES | {"rope_theta": 3_500_000.0}),
    "nano": (
        transformers.EuroBertModel,
        SIZES | {"bos_token_id": 1, "eos_token_id": 2, "mask_token_id": 3},
    ),
}
PUBLISHED = {
    "architectures": ["JinaEmbeddingsV5Model"],
    "auto_map": {
        "AutoConfig": "configuration_jina_embeddings_v5.JinaEmbeddingsV5Config",
        "AutoModel": "modeling_jina_embeddings_v5.JinaEmbeddingsV5Model",
    },
    "model_type": "jina_embeddings_v5",
    "task_names": TASKS,
}
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ADAPTER = {
    "peft_type": "LORA",
    "task_type": "FEATURE_EXTRACTION",
    "base_model_name_or_path": "jinaai/jina-embeddings-v5",
    "bias": "none",
    "r": RANK,
    "lora_alpha": ALPHA,
    "lora_dropout": 0.1,
    "modules_to_save": None,
    "target_modules": list(TARGETS),
    "use_dora": False,
    "use_rslora": False,
}


def edit(file: Path, changes: dict[str, Any]) -> None:
    values = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values | changes))


def write(folder: Path, base: str) -> dict[str, Any]:
    """A folder as published, and the model of transformers of each task, in float64."""
    model_class, sizes = BASES[base]
    torch.manual_seed(1)
    model = model_class(model_class.config_class(**sizes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    edit(folder / "config.json", PUBLISHED)
    rng = np.random.default_rng(3)
    merged = {}
    for task in TASKS:
        place = folder / "adapters" / task
        edit(place / "adapter_config.json", ADAPTER)
        weights = {name: weight.double() for name, weight in model.state_dict().items()}
        arrays = {}
        for name, weight in weights.items():
            key = name.removesuffix(".weight")
            if key.endswith(TARGETS):
                a, b = (
                    rng.standard_normal((RANK, weight.shape[1])),
                    rng.standard_normal((weight.shape[0], RANK)),
                )
                arrays |= {
                    f"base_model.model.{key}.lora_{x}.weight": m for x, m in (("A", a), ("B", b))
                }
                weights[name] = weight + ALPHA / RANK * torch.from_numpy(b @ a)
        save_file(arrays, place / "adapter_model.safetensors")
        merged[task] = model_class(model.config).double().eval()
        merged[task].load_state_dict(weights)
    return merged


def add_modules(folder: Path) -> None:
    """The settings of sentence-transformers, as published."""
    modules = ["custom_st.Transformer"]
    modules += [f"sentence_transformers.models.{name}" for name in ("Pooling", "Normalize")]
    entries = [
        {"idx": i, "name": str(i), "path": f"{i}_M" if i else "", "type": name}
        for i, name in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    pooling = {"word_embedding_dimension": 16, "pooling_mode_lasttoken": True}
    edit(folder / "1_M/config.json", pooling)
    prompts = {"query": "Query: ", "document": "Document: "}
    about = {"prompts": prompts, "default_prompt_name": "document"}
    edit(folder / "config_sentence_transformers.json", about)


def last_state(model: Any) -> np.ndarray:
    with torch.no_grad():
        states: np.ndarray = model(torch.tensor(IDS[None])).last_hidden_state[0].numpy()
    return states[-1]


@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
@pytest.mark.parametrize("base", BASES)
def test_vectors_are_those_of_the_base_with_the_adapter_of_the_task(
    base: str, backend: BackendName, tmp_path: Path
) -> None:
    models = write(tmp_path / "model", base)
    for task in TASKS:
        encoder = bothways.load(tmp_path / "model", backend=backend, adapter=task)
        want = last_state(models[task])
        found = encoder.encode(IDS)  # pooled by the last position, without settings that say so
        np.testing.assert_allclose(found, want, rtol=0, atol=TOLERANCE * np.abs(want).max())


@pytest.mark.parametrize("base", BASES)
def test_a_folder_of_sentence_transformers_has_the_published_module(
    base: str, tmp_path: Path
) -> None:
    models = write(tmp_path / "model", base)
    add_modules(tmp_path / "model")
    folder = read_folder(tmp_path / "model", adapter="retrieval")
    assert folder.spec.pooling.modes == ("last",)
    assert folder.spec.default_prompt == "document"
    assert not UnreadFields.of(folder.source_settings)
    want = last_state(models["retrieval"])
    found = bothways.load(tmp_path / "model", adapter="retrieval").encode(IDS)
    np.testing.assert_allclose(found, want / np.linalg.norm(want), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("base", BASES)
def test_an_export_is_a_model_of_the_base(base: str, tmp_path: Path) -> None:
    models = write(tmp_path / "model", base)
    export(read_folder(tmp_path / "model", adapter="retrieval"), tmp_path / "out", "transformers")
    model = transformers.AutoModel.from_pretrained(tmp_path / "out").double().eval()
    assert type(model) is BASES[base][0]
    want = last_state(models["retrieval"])
    np.testing.assert_allclose(last_state(model), want, rtol=0, atol=TOLERANCE * np.abs(want).max())
    assert "auto_map" not in json.loads((tmp_path / "out/config.json").read_text())


def test_the_base_says_which_model_it_is(tmp_path: Path) -> None:
    write(tmp_path / "small", "small")
    assert read_folder(tmp_path / "small", adapter="retrieval").family == "qwen3"
    write(tmp_path / "nano", "nano")
    assert read_folder(tmp_path / "nano", adapter="retrieval").family == "eurobert"
    edit(tmp_path / "nano/config.json", {"model_type": "eurobert"})
    assert read_folder(tmp_path / "nano", adapter="retrieval").spec.pooling.modes == ("last",)
    # The weights of the one are not taken for those of the other.
    edit(tmp_path / "small/config.json", {"mlp_bias": False})
    with pytest.raises(CheckpointError, match="_norm"):
        read_folder(tmp_path / "small", adapter="retrieval")


def test_a_task_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write(path, "small")
    known = "'retrieval', 'text-matching'"
    with pytest.raises(InputError, match=f"choose one with adapter= .*{known}"):
        read_folder(path)
    with pytest.raises(InputError, match=f"adapter='queries': expected one of {known}"):
        read_folder(path, adapter="queries")


def test_adapters_that_are_missing_or_elsewhere_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write(path, "small")
    for names, message in (
        (["retrieval", "lost"], "adapters/lost: no adapter"),
        (["../lost"], "leaves the folder"),
        ([], "expected names"),
        ([1], "expected names"),
    ):
        edit(path / "config.json", {"task_names": names})
        with pytest.raises(CheckpointError, match=message):
            read_folder(path, adapter=str(names[-1]) if names else "retrieval")
    edit(path / "config.json", {"auto_map": {"AutoModel": "other.JinaEmbeddingsV5Model"}})
    with pytest.raises(UnsupportedModel, match="never runs the code"):
        read_folder(path, adapter="retrieval")


def test_the_fingerprint_covers_the_adapter_of_the_task(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write(path, "small")
    before = {task: fingerprint(path, task) for task in TASKS}
    assert len(set(before.values())) == len(TASKS)
    file = path / "adapters/retrieval/adapter_model.safetensors"
    save_file({name: 2 * array for name, array in load_file(file).items()}, file)
    assert fingerprint(path, "retrieval") != before["retrieval"]
    assert fingerprint(path, "text-matching") == before["text-matching"]
