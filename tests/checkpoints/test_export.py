import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bothways.checkpoints import transformers_export
from bothways.checkpoints.export import Format, export
from bothways.checkpoints.folder import read_folder
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.errors import DataFileError, UnsupportedModel
from bothways.model.config import EncoderConfig, PoolingMode
from bothways.model.layout import initialize
from bothways.model.pooling import Dense, Normalize, Pooling
from bothways.model.spec import ModelSpec

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

FORMATS: tuple[Format, ...] = ("bothways", "transformers", "sentence-transformers")


def trained(path: Path, **changes: Any) -> ModelBundle:
    """A model that was not made by another library."""
    fields = {"num_layers": 2, "num_heads": 2, "d_model": 8, "d_ff": 12, "vocab_size": 20}
    config = EncoderConfig(**(fields | changes))
    return ModelBundle.of(
        ModelSpec(config=config, max_length=config.max_length), initialize(config), path=path
    )


@pytest.mark.parametrize("to", FORMATS)
def test_exported_weights_are_read_unchanged(to: Format, tiny: "Tiny", tmp_path: Path) -> None:
    export(read_folder(tiny.path), tmp_path / "new" / "out", to)
    back = read_folder(tmp_path / "new" / "out")
    assert back.config == tiny.config
    assert all(np.array_equal(back.weights[name], tiny.weights[name]) for name in tiny.weights)


@pytest.mark.parametrize("to", FORMATS)
def test_tokenizer_files_are_exported(to: Format, tiny: "Tiny", tmp_path: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (tiny.path / name).write_text("{}")
    (tiny.path / "README.md").write_text("stays behind")
    export(read_folder(tiny.path), tmp_path / "out", to)
    copied = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tokenizer.json", "vocab.txt", "tokenizer_config.json"} < copied
    assert "README.md" not in copied


def test_a_graph_of_a_model_with_fast_bpe_has_no_tokenizer_json(
    tiny: "Tiny", tmp_path: Path
) -> None:
    (tiny.path / "vocab.txt").write_text("a 3\nb 2\n")
    (tiny.path / "bpe.codes").write_text("a b</w> 3\n")
    tiny.edit({"tokenizer_class": "PhobertTokenizer"}, "tokenizer_config.json")
    left_out = export(read_folder(tiny.path), tmp_path / "out", "onnx")
    assert [part for part in left_out if "fastBPE" in part]
    assert (tmp_path / "out" / "bpe.codes").is_file()


@pytest.mark.parametrize(
    "modes", [("mean",), ("cls", "max"), ("last", "mean"), ("weighted_mean", "mean_sqrt_len")]
)
def test_exported_sentence_transformers_settings_are_read_unchanged(
    modes: tuple[PoolingMode, ...], tiny: "Tiny", tmp_path: Path
) -> None:
    width = 8 * len(modes)
    read = read_folder(tiny.path)
    arrays = {
        "modules.0.weight": np.full((4, width), 2, np.float32),
        "modules.0.bias": np.ones(4, np.float32),
        "modules.1.weight": np.full((2, 4), 3, np.float32),
    }
    folder = read.with_weights(
        {**read.weights, **arrays},
        pooling=Pooling(modes, include_prompt=False),
        modules=(
            Dense(width, 4, bias=True, activation="silu"),
            Dense(4, 2, bias=False),
            Normalize(),
        ),
        prompts={"query": "find: "},
        default_prompt="query",
        similarity="euclidean",
        lowercase=True,
        max_length=9,
        dimensions=2,
    )
    export(folder, tmp_path / "out", "sentence-transformers")
    back = read_folder(tmp_path / "out")
    assert back.spec == folder.spec
    assert back.module_weights.keys() == arrays.keys()
    assert all(np.array_equal(back.module_weights[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("to", ["transformers", "sentence-transformers"])
def test_the_tokenizer_of_transformers_gets_the_length_of_the_model(
    to: Format, tiny: "Tiny", tmp_path: Path
) -> None:
    """Without one, `truncation=True` cuts nothing, and the model fails."""
    (tiny.path / "vocab.txt").write_text("[PAD]")
    export(read_folder(tiny.path).with_spec(max_length=11), tmp_path / "out", to)
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == 11
    assert read_folder(tmp_path / "out").spec.max_length == 11


def test_pooling_is_written_as_flags_if_they_can_express_it(tiny: "Tiny", tmp_path: Path) -> None:
    folder = read_folder(tiny.path)
    spellings: dict[str, tuple[PoolingMode, ...]] = {
        "pooling_mode_cls_token": ("cls", "mean"),
        "pooling_mode": ("mean", "cls"),  # not the order of the flags
    }
    for key, modes in spellings.items():
        out = tmp_path / key
        export(folder.with_spec(pooling=Pooling(modes)), out, "sentence-transformers")
        assert key in json.loads((out / "1_Pooling" / "config.json").read_text())


def test_a_dense_layer_that_sentence_transformers_does_not_support_is_refused(
    tiny: "Tiny", tmp_path: Path
) -> None:
    read = read_folder(tiny.path)
    dense = Dense(8, 2, bias=False, activation="gelu_tanh")
    arrays = {**read.weights, "modules.0.weight": np.ones((2, 8))}
    folder = read.with_weights(arrays, modules=(dense,))
    with pytest.raises(UnsupportedModel, match="activation 'gelu_tanh'"):
        export(folder, tmp_path / "out", "sentence-transformers")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


@pytest.mark.parametrize(
    ("changes", "model_type"),
    [
        ({"num_segments": 2}, "bert"),
        ({"norm_placement": "pre", "final_norm": True, "position_embedding": "none",
          "attention_positions": "rotary"}, "esm"),
        ({"embedding_size": 4, "block_of_layer": (0, 0)}, "albert"),
        ({"embedding_size": 4}, "electra"),
        ({"position_embedding": "none", "attention_positions": "rotary", "gated": True,
          "activation": "silu", "attention_bias": False, "feed_forward_bias": False,
          "rotary_base": 500.0}, "nomic_bert"),
    ],
)  # fmt: skip
def test_a_model_of_bothways_is_exported_as_a_family_that_can_express_it(
    changes: dict[str, Any], model_type: str, tmp_path: Path
) -> None:
    folder = trained(tmp_path, **changes)
    export(folder, tmp_path / "out", "transformers")
    back = read_folder(tmp_path / "out")
    assert back.family == model_type
    own = folder.transformer
    assert dataclasses.replace(back.transformer, num_segments=own.num_segments) == own


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"norm": "rms"}, "norm='rms'"),
        ({"position_embedding": "sinusoidal"}, "position_embedding='sinusoidal'"),
        ({"input": "vectors", "vocab_size": 0, "num_channels": 3}, "vocab"),
    ],
)
def test_an_export_names_the_field_that_no_family_can_express(
    changes: dict[str, Any], word: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModel, match=f"no family of transformers can .*{word}"):
        export(trained(tmp_path, **changes), tmp_path / "out", "transformers")
    assert not (tmp_path / "out").exists()
    export(trained(tmp_path, **changes), tmp_path / "own", "bothways")
    assert read_folder(tmp_path / "own").config == trained(tmp_path, **changes).config


def test_a_model_keeps_its_family_through_a_bothways_folder(tiny: "Tiny", tmp_path: Path) -> None:
    tiny.edit({"model_type": "xlm-roberta", "pad_token_id": 1, "max_position_embeddings": 18})
    arrays = tiny.arrays()
    arrays["embeddings.position_embeddings.weight"] = np.ones((18, 8))
    tiny.save(arrays)
    export(read_folder(tiny.path), tmp_path / "own", "bothways")
    export(read_folder(tmp_path / "own"), tmp_path / "out", "transformers")
    assert read_folder(tmp_path / "out").family == "xlm-roberta"


def test_an_export_names_and_omits_weights_that_the_family_does_not_have(
    tiny: "Tiny", tmp_path: Path
) -> None:
    heads = {"heads.contacts.weight": np.ones((1, 4), np.float32)}
    read = read_folder(tiny.path)
    folder = read.with_weights({**read.weights, **heads})
    left_out = export(folder, tmp_path / "out", "transformers")
    assert left_out == ("the weight 'heads.contacts.weight': bert has no place for it",)
    assert read_folder(tmp_path / "out").head_weights == {}
    assert export(folder, tmp_path / "own", "bothways") == ()


def test_an_export_never_overwrites_files(tiny: "Tiny", tmp_path: Path) -> None:
    folder = read_folder(tiny.path)
    before = sorted(path.name for path in tiny.path.iterdir())
    with pytest.raises(DataFileError, match="tiny: exists already"):
        export(folder, tiny.path, "transformers")
    assert sorted(path.name for path in tiny.path.iterdir()) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataFileError, match="file: exists already"):
        export(folder, tmp_path / "file", "transformers")
    (tmp_path / "empty").mkdir()
    export(folder, tmp_path / "empty", "transformers")
    assert read_folder(tmp_path / "empty").family == "bert"


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
        (OSError(28, "No space left on device"), DataFileError, "out: writing failed: No space"),
    ],
)
def test_an_interrupted_export_leaves_no_files(
    error: BaseException,
    raised: type[BaseException],
    message: str,
    tiny: "Tiny",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_off(*_: Any) -> None:
        raise error

    monkeypatch.setattr(transformers_export, "write_safetensors", break_off)
    with pytest.raises(raised, match=message):
        export(read_folder(tiny.path), tmp_path / "out", "transformers")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


def test_an_output_below_a_file_is_refused(tiny: "Tiny", tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFileError, match="out: writing failed"):
        export(read_folder(tiny.path), tmp_path / "file" / "out", "transformers")


@pytest.mark.parametrize("to", ["bothways", "transformers", "sentence-transformers", "onnx"])
def test_an_export_is_synced_before_it_is_renamed(
    to: Format, tiny: "Tiny", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure must not leave a folder with empty files."""
    out = tmp_path / "out"
    synced: dict[int, bool] = {}
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.setdefault(os.fstat(descriptor).st_ino, out.exists())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    (tiny.path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na")
    export(read_folder(tiny.path), out, to)
    for path in (out, *out.rglob("*")):
        assert synced[path.stat().st_ino] is False, path
    assert tmp_path.stat().st_ino in synced
