import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.heads import head_layout
from bothways.model.layout import initialize
from bothways.model.spec import ModelSpec
from bothways.nn.heads import initialize_head
from bothways.training.objectives.heads import head_for
from bothways.training.setup.sizes import new_config

Configs = Callable[..., EncoderConfig]


def test_classes_are_read_off_the_mean_by_one_linear_layer(make_config: Configs) -> None:
    head = head_for("classes", make_config(), ["no", "yes"])
    assert head_layout(head, make_config()) == {
        "heads.classifier.weight": (2, 32),
        "heads.classifier.bias": (2,),
    }
    assert (head.pooling, head.labels) == ("mean", ("no", "yes"))


@pytest.mark.parametrize("task", ["classes", "multilabel", "values", "tags"])
def test_pre_norm_encoders_get_a_dense_layer_before_the_output(
    task: str, make_config: Configs
) -> None:
    config = make_config(norm_placement="pre", norm_bias=False, activation="silu")
    head = head_for(task, config, ["a"])  # type: ignore[arg-type]
    assert list(head_layout(head, config)) == [
        "heads.classifier.dense.weight",
        "heads.classifier.dense.bias",
        "heads.classifier.norm.weight",
        "heads.classifier.weight",
        "heads.classifier.bias",
    ]
    assert [layer.activation for layer in head.layers] == ["silu", "identity"]


@pytest.mark.parametrize("task", ["classes", "multilabel", "values"])
def test_cls_pooling_has_a_tanh_layer_first(task: str, make_config: Configs) -> None:
    head = head_for(task, make_config(), ["a"], pooling="cls")  # type: ignore[arg-type]
    assert list(head_layout(head, make_config())) == [
        "heads.pooler.weight",
        "heads.pooler.bias",
        "heads.classifier.weight",
        "heads.classifier.bias",
    ]
    assert [layer.activation for layer in head.layers] == ["tanh", "identity"]


def test_a_tag_head_has_outputs_for_each_position(make_config: Configs) -> None:
    head = head_for("tags", make_config(), ["N", "V"], pooling="cls")
    assert head.pooling is None
    assert list(head_layout(head, make_config())) == [
        "heads.classifier.weight",
        "heads.classifier.bias",
    ]


def test_tokens_come_from_the_embeddings_own_table_whatever_its_width(make_config: Configs) -> None:
    config = make_config(embedding_size=8, activation="relu", norm_eps=1e-5)
    head = head_for("masked_tokens", config)
    assert head_layout(head, config) == {
        "heads.masked_tokens.dense.weight": (8, 32),
        "heads.masked_tokens.dense.bias": (8,),
        "heads.masked_tokens.norm.weight": (8,),
        "heads.masked_tokens.norm.bias": (8,),
        "heads.masked_tokens.bias": (24,),
    }
    assert (head.layers[0].activation, head.layers[0].norm_eps) == ("relu", 1e-5)
    without = head_for("masked_tokens", make_config(norm_bias=False))
    assert "heads.masked_tokens.norm.bias" not in head_layout(without, config)


def test_values_of_a_series_have_an_output_for_each_channel(make_config: Configs) -> None:
    config = make_config(input="vectors", num_channels=3, vocab_size=0)
    assert head_for("masked_values", config).num_outputs == 3


def test_dropout_is_the_encoder_s_unless_another_is_given(make_config: Configs) -> None:
    config = make_config(dropout=0.25)
    assert head_for("tags", config, ["N"]).dropout == 0.25
    assert head_for("tags", config, ["N"], dropout=0.0).dropout == 0.0


def test_inconsistent_heads_and_encoders_are_refused(make_config: Configs) -> None:
    series = make_config(input="vectors", num_channels=3, vocab_size=0)
    with pytest.raises(ConfigError, match="input='vectors'"):
        head_for("masked_values", make_config())
    with pytest.raises(ConfigError, match="input='tokens'"):
        head_for("masked_tokens", series)
    with pytest.raises(ConfigError, match="at least one label"):
        head_for("classes", make_config())


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("task", ["masked_tokens", "classes", "multilabel", "values", "tags"])
def test_heads_of_a_new_encoder_can_be_exported(task: Any, pooling: Any, tmp_path: Path) -> None:
    config = new_config("tiny", vocab_size=24, fields={})
    labels = () if task == "masked_tokens" else ("a", "b")
    head = head_for(task, config, labels, pooling=pooling)
    folder = ModelBundle.of(
        ModelSpec(config=config, heads=(head,), max_length=config.max_length),
        {**initialize(config), **initialize_head(head, config)},
        path=tmp_path,
    )
    export(folder, tmp_path / "exported", "transformers")
    back = read_folder(tmp_path / "exported")
    assert [dataclasses.replace(found, dropout=head.dropout) for found in back.spec.heads] == [head]
