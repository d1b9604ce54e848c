import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import bothways
from bothways.checkpoints import export
from bothways.checkpoints.export import Format
from bothways.checkpoints.folder import read_folder
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.model.pooling import Dense, Normalize, Pooling

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny

SetModules = Callable[[list[dict[str, Any]]], None]

TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
DENSE = {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}

FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last",
}


def pool(tiny: "Tiny", **settings: Any) -> Pooling:
    path = tiny.path / "1_Pooling" / "config.json"
    path.unlink()
    tiny.edit({"word_embedding_dimension": 8} | settings, "1_Pooling/config.json")
    return read_folder(tiny.path).spec.pooling


def add_dense(
    tiny: "Tiny", weight: np.ndarray, bias: np.ndarray | None, /, **settings: Any
) -> None:
    about = {"in_features": weight.shape[1], "out_features": weight.shape[0]}
    tiny.edit(about | {"bias": bias is not None} | settings, "2_Dense/config.json")
    arrays = {"linear.weight": weight} | ({} if bias is None else {"linear.bias": bias})
    tiny.save(arrays, "2_Dense/model.safetensors")


def test_a_folder_is_read_completely(tiny_sentences: "Tiny") -> None:
    tiny_sentences.edit(
        {
            "__version__": {"sentence_transformers": "6.2.0"},
            "model_type": "SentenceTransformer",
            "prompts": {"query": "find: ", "document": None},
            "default_prompt_name": "query",
            "similarity_fn_name": "dot",
            "truncate_dim": 4,
        },
        "config_sentence_transformers.json",
    )
    read = read_folder(tiny_sentences.path)
    assert read.family == "bert"
    assert read.spec.pooling == Pooling(("mean",), include_prompt=True)
    assert read.spec.modules == (Normalize(),)
    assert read.spec.prompts == {"query": "find: ", "document": ""}
    assert (read.spec.default_prompt, read.spec.similarity, read.spec.dimensions) == (
        "query",
        "dot",
        4,
    )
    assert (read.spec.max_length, read.spec.lowercase) == (10, False)
    assert read.path == read.reader_path == tiny_sentences.path


@pytest.mark.parametrize(
    "spelling",
    [
        "sentence_transformers.models.{0}",
        "sentence_transformers.models.{0}.{0}",
        "sentence_transformers.{1}.{0}",
    ],
)
def test_modules_are_known_in_every_spelling(
    spelling: str, tiny_sentences: "Tiny", set_modules: SetModules
) -> None:
    homes = {
        "Transformer": "base.modules.transformer",
        "Pooling": "sentence_transformer.modules.pooling",
        "Normalize": "base.modules.normalize",
    }
    set_modules(
        [
            module | {"type": spelling.format(name, home), "kwargs": []}
            for module, (name, home) in zip(
                (TRANSFORMER, POOLING, NORMALIZE), homes.items(), strict=True
            )
        ]
    )
    assert read_folder(tiny_sentences.path).spec.modules == (Normalize(),)


def test_the_transformer_can_be_in_a_subfolder(
    tiny_sentences: "Tiny", set_modules: SetModules
) -> None:
    inner = tiny_sentences.path / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "model.safetensors", "sentence_bert_config.json"):
        (tiny_sentences.path / name).rename(inner / name)
    set_modules([TRANSFORMER | {"path": "0_Transformer"}, POOLING])
    read = read_folder(tiny_sentences.path)
    assert (read.path, read.reader_path) == (tiny_sentences.path, inner)
    assert read.spec.max_length == 10


@pytest.mark.parametrize(("flag", "mode"), FLAGS.items())
def test_every_pooling_mode_is_read_from_its_flag(
    flag: str, mode: str, tiny_sentences: "Tiny"
) -> None:
    assert pool(tiny_sentences, **{flag: True}).modes == (mode,)


def test_flags_and_names_are_concatenated_in_their_order(tiny_sentences: "Tiny") -> None:
    every = dict.fromkeys(reversed(FLAGS), True)
    assert pool(tiny_sentences, **every).modes == tuple(FLAGS.values())
    assert pool(tiny_sentences, pooling_mode=["lasttoken", "mean"]).modes == ("last", "mean")
    assert pool(tiny_sentences, pooling_mode="mean_sqrt_len_tokens").modes == ("mean_sqrt_len",)
    assert pool(tiny_sentences).modes == ("mean",)
    assert not pool(tiny_sentences, include_prompt=False).include_prompt


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling_mode": "median"}, "pooling_mode='median': expected one of cls"),
        ({"pooling_mode": [{"a": 1}]}, "pooling_mode={'a': 1}"),
        ({"pooling_mode_mean_tokens": 1}, "pooling_mode_mean_tokens=1: expected true or false"),
        ({"word_embedding_dimension": 9}, "pools vectors of 9; the encoder has 8 dimensions"),
        ({"embedding_dimension": 7}, "pools vectors of 7; the encoder has 8 dimensions"),
    ],
)
def test_unknown_pooling_is_refused(
    settings: dict[str, Any], message: str, tiny_sentences: "Tiny"
) -> None:
    with pytest.raises(CheckpointError, match=rf"1_Pooling/config\.json: {re.escape(message)}"):
        pool(tiny_sentences, **settings)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("torch.nn.modules.activation.Tanh", "tanh"),
        ("torch.nn.modules.activation.Sigmoid", "sigmoid"),
        ("torch.nn.modules.activation.ReLU", "relu"),
        ("torch.nn.modules.activation.GELU", "gelu"),
        ("torch.nn.modules.activation.SiLU", "silu"),
        ("torch.nn.modules.linear.Identity", "identity"),
    ],
)
def test_a_dense_layer_is_read_with_its_activation(
    theirs: str, ours: str, tiny_sentences: "Tiny", set_modules: SetModules
) -> None:
    set_modules([TRANSFORMER, POOLING, DENSE])
    weight, bias = np.arange(24.0).reshape(3, 8), np.arange(3.0)
    add_dense(tiny_sentences, weight, bias, activation_function=theirs)
    read = read_folder(tiny_sentences.path)
    (dense,) = read.spec.modules
    assert isinstance(dense, Dense)
    assert (dense.inputs, dense.outputs, dense.bias, dense.activation) == (8, 3, True, ours)
    assert np.array_equal(read.module_weights["modules.0.weight"], weight)
    assert np.array_equal(read.module_weights["modules.0.bias"], bias)


def test_a_dense_layer_without_bias_in_the_old_format_is_read(
    tiny_sentences: "Tiny", set_modules: SetModules
) -> None:
    set_modules([TRANSFORMER, POOLING, DENSE, NORMALIZE])
    tiny_sentences.edit({"in_features": 8, "out_features": 2, "bias": False}, "2_Dense/config.json")
    torch.save(
        {"linear.weight": torch.ones(2, 8)}, tiny_sentences.path / "2_Dense/pytorch_model.bin"
    )
    dense, normalize = read_folder(tiny_sentences.path).spec.modules
    assert isinstance(dense, Dense)
    assert (dense.bias, dense.activation) == (False, "tanh")
    assert normalize == Normalize()


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((3, 7), {}, "in_features=7; its input has 8"),
        ((3, 8), {"out_features": 4}, "'linear.weight' has shape (3, 8); the config says (4, 8)"),
        ((3, 8), {"bias": False}, "weight 'linear.bias' is unexpected"),
        ((3, 8), {"use_residual": True}, "use_residual=True"),
        ((3, 8), {"module_input_name": "token_embeddings"}, "module_input_name='token_embeddings'"),
        ((3, 8), {"activation_function": "os.system"}, "activation_function='os.system'"),
        ((3, 8), {"activation_function": "torch.nn.modules.activation.Mish"}, "activation.Mish'"),
        ((3, 8), {"in_features": 0}, "in_features=0: expected at least 1"),
    ],
)
def test_an_unsupported_dense_layer_is_refused(
    shape: tuple[int, int],
    settings: dict[str, Any],
    message: str,
    tiny_sentences: "Tiny",
    set_modules: SetModules,
) -> None:
    set_modules([TRANSFORMER, POOLING, DENSE])
    add_dense(tiny_sentences, np.ones(shape), np.ones(shape[0]), **settings)
    with pytest.raises(CheckpointError, match=rf"2_Dense/.*{re.escape(message)}"):
        read_folder(tiny_sentences.path)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([], "the list of modules is empty"),
        ([POOLING], "expected Transformer, Pooling"),
        ([TRANSFORMER], "expected Transformer, Pooling"),
        ([TRANSFORMER, NORMALIZE, POOLING], "expected Transformer, Pooling"),
        ([TRANSFORMER, POOLING, POOLING], "Pooling after pooling"),
        ([TRANSFORMER, POOLING, TRANSFORMER], "Transformer after pooling"),
        ([TRANSFORMER, POOLING, {"path": "", "type": "sentence_transformers.models.CNN"}],
         "module 2 is 'sentence_transformers.models.CNN'"),
        ([TRANSFORMER, POOLING | {"kwargs": ["task"]}], "module 1: kwargs=['task']"),
        ([TRANSFORMER, POOLING | {"code": "x"}], "module 1: code='x'"),
        ([TRANSFORMER | {"path": 3}, POOLING], "module 0: path=3: expected a string"),
        ([TRANSFORMER, {"path": "1_Pooling"}], "module 1: field 'type' is missing"),
        ([TRANSFORMER | {"path": "0_Elsewhere"}, POOLING], "0_Elsewhere: not a model"),
    ],
)  # fmt: skip
def test_other_modules_are_refused_by_name(
    modules: list[dict[str, Any]], message: str, tiny_sentences: "Tiny", set_modules: SetModules
) -> None:
    set_modules(modules)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        read_folder(tiny_sentences.path)


def test_modules_json_must_be_a_list_of_objects(tiny_sentences: "Tiny") -> None:
    for content in ("{}", "[3]", '"x"'):
        (tiny_sentences.path / "modules.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"modules\.json: expected a list"):
            read_folder(tiny_sentences.path)


@pytest.mark.parametrize(
    ("settings", "length", "lowercase"),
    [
        ({"max_seq_length": 10, "do_lower_case": True}, 10, True),
        ({"max_seq_length": 512}, 16, False),
        ({"max_seq_length": None}, 12, False),
        (
            {
                "transformer_task": "feature-extraction",
                "modality_config": {
                    "text": {"method": "forward", "method_output_name": "last_hidden_state"}
                },
                "module_output_name": "token_embeddings",
                "unpad_inputs": True,
            },
            12,
            False,
        ),
    ],
)
def test_settings_of_length_and_case_take_precedence_over_the_tokenizer(
    settings: dict[str, Any], length: int, lowercase: bool, tiny_sentences: "Tiny"
) -> None:
    (tiny_sentences.path / "sentence_bert_config.json").unlink()
    tiny_sentences.edit(settings, "sentence_roberta_config.json")
    tiny_sentences.edit({"model_max_length": 12}, "tokenizer_config.json")
    read = read_folder(tiny_sentences.path)
    assert (read.spec.max_length, read.spec.lowercase) == (length, lowercase)


@pytest.mark.parametrize(
    "settings",
    [
        {"transformer_task": "fill-mask"},
        {"modality_config": {"image": {"method": "forward"}}},
        {"query_length": 32},
        {"model_args": {"trust_remote_code": True}},
        {"max_seq_length": 0},
        {"do_lower_case": "yes"},
    ],
)
def test_unknown_settings_are_refused(settings: dict[str, Any], tiny_sentences: "Tiny") -> None:
    tiny_sentences.edit(settings, "sentence_bert_config.json")
    with pytest.raises(
        CheckpointError, match=rf"sentence_bert_config\.json: {next(iter(settings))}"
    ):
        read_folder(tiny_sentences.path)


@pytest.mark.parametrize(
    "settings",
    [
        {"prompts": ["find: "]},
        {"prompts": {"query": 3}},
        {"default_prompt_name": "query"},
        {"similarity_fn_name": "maxsim"},
        {"model_type": "SparseEncoder"},
        {"truncate_dim": 0},
    ],
)
def test_unknown_fields_of_the_model_description_are_refused(
    settings: dict[str, Any], tiny_sentences: "Tiny"
) -> None:
    tiny_sentences.edit(settings, "config_sentence_transformers.json")
    name = next(iter(settings))
    with pytest.raises(CheckpointError, match=rf"config_sentence_transformers\.json: {name}"):
        read_folder(tiny_sentences.path)


def test_layer_norm_and_dropout_are_those_of_sentence_transformers(
    tiny_sentences: "Tiny", set_modules: SetModules, tmp_path: Path
) -> None:
    from sentence_transformers.sentence_transformer.modules import LayerNorm

    module = LayerNorm(8)
    torch.nn.init.normal_(module.norm.weight)
    torch.nn.init.normal_(module.norm.bias)
    (tiny_sentences.path / "3_LayerNorm").mkdir()
    module.save(str(tiny_sentences.path / "3_LayerNorm"))
    tiny_sentences.edit({"dropout": 0.5}, "2_Dropout/config.json")
    home = "sentence_transformers.models"
    dropout = {"path": "2_Dropout", "type": f"{home}.Dropout"}
    norm = {"path": "3_LayerNorm", "type": f"{home}.LayerNorm"}
    set_modules([TRANSFORMER, POOLING, dropout, norm])

    plain = bothways.load(tiny_sentences.path, backend="reference")
    tokens = plain.contextualize([np.array([3, 4])])
    pooled = tokens[0].vectors.mean(0)
    with torch.no_grad():
        want = module({"sentence_embedding": torch.from_numpy(pooled)})["sentence_embedding"]
    np.testing.assert_allclose(plain.encode(np.array([3, 4])), want.numpy(), atol=1e-5)

    kinds: tuple[Format, ...] = ("bothways", "sentence-transformers")
    for kind in kinds:
        export(read_folder(tiny_sentences.path), tmp_path / kind, kind)
        again = bothways.load(tmp_path / kind, backend="reference")
        assert (again.encode(np.array([3, 4])) == plain.encode(np.array([3, 4]))).all()


@pytest.mark.parametrize("dimension", [7, "8", None])
def test_a_layer_norm_of_another_width_is_refused(
    dimension: Any, tiny_sentences: "Tiny", set_modules: SetModules
) -> None:
    norm = {"path": "2_LayerNorm", "type": "sentence_transformers.models.LayerNorm"}
    set_modules([TRANSFORMER, POOLING, norm])
    tiny_sentences.edit({"dimension": dimension}, "2_LayerNorm/config.json")
    with pytest.raises(CheckpointError, match=r"2_LayerNorm/config\.json: dimension="):
        read_folder(tiny_sentences.path)


def test_normalization_of_other_outputs_is_refused(tiny_sentences: "Tiny") -> None:
    tiny_sentences.edit({"module_input_name": "token_embeddings"}, "2_Normalize/config.json")
    with pytest.raises(UnsupportedModel, match=r"2_Normalize/config\.json: module_input_name"):
        read_folder(tiny_sentences.path)


def for_terms(tiny_sentences: "Tiny", set_modules: SetModules) -> None:
    home = "sentence_transformers.sparse_encoder.models"
    splade = {"path": "1_SpladePooling", "type": f"{home}.SpladePooling"}
    set_modules([{"path": "", "type": f"{home}.MLMTransformer"}, splade])
    settings = {"pooling_strategy": "max", "activation_function": "relu"}
    tiny_sentences.edit(settings, "1_SpladePooling/config.json")


def test_a_sparse_encoder_folder_is_read(tiny_sentences: "Tiny", set_modules: SetModules) -> None:
    for_terms(tiny_sentences, set_modules)
    about = {"model_type": "SparseEncoder", "prompts": {"query": "find: "}}
    tiny_sentences.edit(about, "config_sentence_transformers.json")
    read = read_folder(tiny_sentences.path)
    assert read.path == tiny_sentences.path
    assert (read.spec.max_length, read.spec.prompts) == (10, {"query": "find: "})


@pytest.mark.parametrize(
    ("changes", "file", "message"),
    [
        ({"pooling_strategy": "mean"}, "1_SpladePooling/config.json", "pooling_strategy='mean'"),
        ({"activation_function": "gelu"}, "1_SpladePooling/config.json", "'gelu'"),
        ({"model_type": "CrossEncoder"}, "config_sentence_transformers.json", "'CrossEncoder'"),
    ],
)
def test_other_kinds_of_sparse_encoders_are_refused(
    changes: dict[str, Any],
    file: str,
    message: str,
    tiny_sentences: "Tiny",
    set_modules: SetModules,
) -> None:
    for_terms(tiny_sentences, set_modules)
    tiny_sentences.edit(changes, file)
    with pytest.raises(UnsupportedModel, match=message):
        read_folder(tiny_sentences.path)


def test_a_cross_encoder_folder_is_read_unless_it_has_an_activation(
    tiny_sentences: "Tiny", set_modules: SetModules
) -> None:
    set_modules([TRANSFORMER])
    sigmoid = {"activation_fn": "torch.nn.modules.activation.Sigmoid"}
    about = {"model_type": "CrossEncoder", **sigmoid}
    tiny_sentences.edit(about, "config_sentence_transformers.json")
    assert read_folder(tiny_sentences.path).spec.max_length == 10
    relu = {"activation_fn": "torch.nn.modules.activation.ReLU"}
    tiny_sentences.edit(relu, "config_sentence_transformers.json")
    with pytest.raises(UnsupportedModel, match=r"activation_fn='torch\.nn.*ReLU'"):
        read_folder(tiny_sentences.path)
