import dataclasses
import re
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.checkpoints.families import FAMILIES
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.model.config import EncoderConfig
from bothways.model.variants import Norm

SECONDS = 2.0
"""Time limit for refusing a config with giant sizes, generous for a busy machine."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)

PLAIN = EncoderConfig(num_layers=2, num_heads=2, d_model=8, d_ff=12, vocab_size=20)


def written(model_type: str, **changes: Any) -> dict[str, Any]:
    config = dataclasses.replace(PLAIN, position_offset=2)
    return FAMILIES[model_type].write_config(config, {}) | changes


def read(model_type: str, values: dict[str, Any]) -> EncoderConfig:
    return FAMILIES[model_type].read_config(values, "config.json")[0]


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_written_config_is_read_unchanged(model_type: str) -> None:
    family = FAMILIES[model_type]
    config = read(model_type, written(model_type))
    assert family.obstacle(config) == ""
    settings = {"architectures": ["X"], "id2label": {"0": "no"}, "problem_type": "regression"}
    again, kept = family.read_config(family.write_config(config, settings), "config.json")
    assert again == config
    assert settings.items() <= kept.items()


@pytest.mark.parametrize("model_type", FAMILIES)
def test_irrelevant_fields_are_dropped_by_name(model_type: str) -> None:
    bookkeeping = {
        "_name_or_path": "somebody/model",
        "transformers_version": "4.8.2",
        "torch_dtype": "float16",
        "use_cache": True,
        "output_attentions": False,
        "max_length": 20,
        "do_sample": False,
        "gradient_checkpointing": False,
        "is_decoder": False,
        "pruned_heads": {},
        "auto_map": {},
    }
    values = written(model_type)
    irrelevant = {n: v for n, v in bookkeeping.items() if n not in FAMILIES[model_type].rows}
    assert read(model_type, values | irrelevant) == read(model_type, values)


@pytest.mark.parametrize("model_type", FAMILIES)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"is_decoder": True}, "is_decoder=True: decoders"),
        ({"add_cross_attention": True}, "add_cross_attention=True: cross-attention"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads={'0': [1]}: heads have been removed"),
        ({"rope_scaling": {"rope_type": "spiral", "factor": 2}}, "'spiral'"),
        ({"quantization_config": {"bits": 4}}, "quantization_config={'bits': 4}: its weights are"),
        ({"auto_map": {"AutoModel": "modeling.Model"}}, "auto_map={'AutoModel': 'modeling.Model'}"),
        ({"auto_map": ["modeling.Model"]}, "never runs the code of a model folder"),
        ({"trust_remote_code": True}, "trust_remote_code=True: bothways never runs"),
        ({"custom_pipelines": {"x": {"impl": "code.py"}}}, "custom_pipelines="),
    ],
)
def test_unsupported_values_are_refused_with_a_reason(
    model_type: str, changes: dict[str, Any], message: str
) -> None:
    if model_type == "neobert" and "trust_remote_code" in changes:
        pytest.skip("its published config.json has this field")
    with pytest.raises(UnsupportedModel, match=rf"config\.json: .*{re.escape(message)}"):
        read(model_type, written(model_type) | changes)


@pytest.mark.parametrize("model_type", [name for name in FAMILIES if name != "t5"])
def test_encoders_beside_a_decoder_are_refused_but_for_t5(model_type: str) -> None:
    with pytest.raises(UnsupportedModel, match=r"config\.json: .*is_encoder_decoder=True"):
        read(model_type, written(model_type, is_encoder_decoder=True))


def test_the_encoder_of_t5_is_read_whether_or_not_a_decoder_is_beside_it() -> None:
    assert read("t5", written("t5", is_encoder_decoder=True)) == read("t5", written("t5"))


@pytest.mark.parametrize(
    "model_type",
    [name for name, family in FAMILIES.items() if "position_embedding_type" in family.only],
)
def test_relative_keys_are_refused(model_type: str) -> None:
    with pytest.raises(UnsupportedModel, match="position_embedding_type='relative_key'"):
        read(model_type, written(model_type, position_embedding_type="relative_key"))


@pytest.mark.parametrize(
    ("model_type", "changes", "message"),
    [
        ("bert", {"hidden_size": "8"}, "hidden_size='8': expected a whole number"),
        ("bert", {"hidden_size": 8.0}, "hidden_size=8.0: expected a whole number"),
        ("bert", {"vocab_size": True}, "vocab_size=True: expected a whole number"),
        ("bert", {"num_hidden_layers": -1}, "num_hidden_layers=-1: expected at least 0"),
        ("bert", {"num_hidden_layers": 10**9}, "1,000,000,000 layers"),
        ("bert", {"num_hidden_layers": 10**30}, "expected at least 0"),
        ("albert", {"num_hidden_layers": 2**31 - 1}, "layers; refused"),
        ("modernbert", {"num_hidden_layers": 2**31 - 1}, "layers; refused"),
        ("bert", {"num_attention_heads": 3}, "num_heads=3 does not divide d_model=8"),
        ("bert", {"num_attention_heads": 2**31 - 1}, "does not divide d_model=8"),
        ("bert", {"layer_norm_eps": "tiny"}, "layer_norm_eps='tiny': expected a number"),
        ("bert", {"hidden_dropout_prob": 1.5}, "dropout=1.5"),
        ("bert", {"hidden_act": "mish"}, "hidden_act='mish': bothways has no such activation"),
        ("bert", {"hidden_act": None}, "hidden_act=None: expected a string"),
        ("roberta", {"pad_token_id": None}, "pad_token_id=None: expected a whole number"),
        ("roberta", {"max_position_embeddings": 1}, "max_length=-1"),
        ("mpnet", {"relative_attention_num_buckets": 64}, "relative_attention_num_buckets=64"),
        ("albert", {"inner_group_num": 2}, "inner_group_num=2"),
        ("albert", {"num_hidden_groups": 3}, "is more than num_hidden_layers=2"),
        ("albert", {"num_hidden_groups": 0}, "num_hidden_groups=0: expected at least 1"),
        ("albert", {"gap_size": 1}, "gap_size=1"),
        ("esm", {"is_folding_model": True}, "is_folding_model=True"),
        ("esm", {"position_embedding_type": "rotary_2d"}, "position_embedding_type='rotary_2d'"),
        ("esm", {"token_dropout": True}, "field 'mask_token_id' is missing"),
        ("esm", {"token_dropout": "yes"}, "token_dropout='yes': expected true or false"),
        ("modernbert", {"layer_types": ["full_attention"]}, "layer_types has 1 entries"),
        ("modernbert", {"layer_types": ["full_attention", "mamba"]}, "layer_types has 'mamba'"),
        ("modernbert", {"layer_types": 3}, "layer_types=3: expected a list"),
        ("modernbert", {"rope_parameters": {"full_attention": {"rope_type": "axial"}}},
         "full_attention: rope_type='axial'"),
        ("modernbert", {"layer_types": ["full_attention", "sliding_attention"], "rope_parameters": {
            "sliding_attention": {"rope_type": "linear", "factor": 2}}},
         "scaled in another way in sliding_attention than in full_attention"),
        ("modernbert", {"rope_scaling": {"rope_type": "yarn", "factor": 2, "truncate": False}},
         "truncate=False"),
        ("qwen3", {"rope_scaling": {"type": "mrope", "mrope_section": [1]}}, "rope_type='mrope'"),
        ("qwen3", {"rope_scaling": {"type": "linear", "rope_type": "dynamic"}},
         "type='linear': it differs"),
        ("qwen3", {"rope_scaling": {"type": "yarn", "beta_slow": 40, "factor": 2}},
         "rotary_turns=(40.0, 32.0)"),
        ("qwen3", {"rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": []}},
         "rotary_pair_factors has 1 entries"),
        ("qwen3", {"rope_scaling": {"type": "longrope", "short_factor": ["1"]}}, "list of numbers"),
        ("qwen3", {"rope_scaling": {"type": "llama3", "factor": 8}}, "'low_freq_factor' is"),
        ("qwen3", {"rope_scaling": {"type": "dynamic"}}, "'factor' is missing"),
        ("modernbert", {"rope_parameters": {"full_attention": {"factor": 2.0}}}, "factor=2.0"),
        ("modernbert", {"rope_parameters": {"rope_theta": 5.0}}, "rope_theta=5.0"),
        ("nomic_bert", {"rotary_emb_fraction": 0.5}, "rotary_emb_fraction=0.5"),
        ("nomic_bert", {"rotary_scaling_factor": 2.0}, "rotary_scaling_factor=2.0"),
        ("nomic_bert", {"rotary_emb_base": 99}, "rotary bases [10000.0, 99.0] mean the same"),
        ("nomic_bert", {"prenorm": True}, "prenorm=True"),
        ("nomic_bert", {"num_experts": 8}, "num_experts=8"),
        ("nomic_bert", {"activation_function": "glu"}, "activation_function='glu'"),
        ("nomic_bert", {"activation_function": ["swiglu"]}, "activation_function=['swiglu']"),
        ("nomic_bert", {"head_dim": 3}, "head_dim=3"),
        ("nomic_bert", {"mlp_fc1_bias": True, "mlp_fc2_bias": False}, "mlp_fc2_bias=False"),
        ("nomic_bert_moe", {"moe_every_n_layers": 2}, "moe_every_n_layers=2 and num_experts=0"),
        ("nomic_bert_moe", {"moe_every_n_layers": 2, "num_experts": 2, "moe_top_k": 3},
         "experts_per_token=3: expected 1 to num_experts=2"),
        ("nomic_bert_moe", {"moe_normalize_expert_weights": True}, "expert_weights=True"),
        ("nomic_bert_moe", {"n_layer": 10**9}, "layers; refused as malformed"),
        ("nomic_bert_moe", {"rope_parameters": {"rope_type": "linear", "factor": 2,
                                                "rope_theta": 10_000.0}},
         "does not scale positions"),
        ("jina_bert", {"feed_forward_type": "swiglu"}, "feed_forward_type='swiglu': bothways"),
        ("jina_bert", {"feed_forward_type": ["geglu"]}, "feed_forward_type=['geglu']: bothways"),
        ("jina_bert", {"auto_map": {"AutoModel": "evil--modeling_bert.JinaBertModel"}},
         "never runs the code"),
        ("mosaic_bert", {"hidden_act": "relu"}, "hidden_act='relu'"),
        ("gte", {"rope_parameters": {"rope_type": "su"}}, "rope_type='su'"),
        ("gte", {"rope_parameters": {"rope_type": "linear"}}, "field 'factor' is missing"),
        ("gte", {"rope_parameters": {"rope_type": "linear", "factor": -1}}, "rotary_factor=-1.0"),
        ("gte", {"rope_theta": 10.0}, "rope_parameters={"),
        ("gte", {"rope_scaling": {"type": "ntk", "factor": 0}, "rope_theta": 10.0,
                 "rope_parameters": None}, "runs GTE with a type of 'ntk'"),
        ("gte", {"rope_scaling": {"type": "ntk", "factor": 2, "mixed_b": 0.6}, "rope_theta": 10.0,
                 "rope_parameters": None}, "mixed_b=0.6"),
        ("gte", {"rope_scaling": {"type": "ntk", "factor": 10**300}, "rope_theta": 10.0,
                 "rope_parameters": None}, "too large a number"),
        ("gte", {"rope_scaling": {"type": "ntk", "factor": 2}, "rope_theta": 10.0,
                 "num_attention_heads": 2**31 - 1, "rope_parameters": None}, "does not divide"),
        ("gte", {"logn_attention_scale": True}, "logn_attention_scale=True"),
        ("gte", {"layer_norm_type": "rms_norm"}, "layer_norm_type='rms_norm'"),
        ("jina_embeddings_v3", {"rotary_emb_base": 10.0}, "rope_parameters={"),
        ("nomic_bert", {"auto_map": {"AutoModel": "evil--modeling_hf_nomic_bert.NomicBertModel"}},
         "never runs the code"),
    ],
)  # fmt: skip
def test_an_invalid_config_is_refused_with_the_field(
    model_type: str, changes: dict[str, Any], message: str
) -> None:
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=rf"config\.json.*{re.escape(message)}"):
        read(model_type, written(model_type) | changes)
    assert time.monotonic() - start < SECONDS


@settings(deadline=None, max_examples=300)
@given(model_type=st.sampled_from(list(FAMILIES)), data=st.data())
def test_any_value_of_any_field_is_read_or_refused(model_type: str, data: st.DataObject) -> None:
    family = FAMILIES[model_type]
    values = written(model_type)
    known = {*values, *family.only, *family.kept, "layer_types", "rope_parameters", "auto_map",
             "activation_function", "n_embd", "n_inner", "hidden_act", "pruned_heads"}  # fmt: skip
    values[data.draw(st.sampled_from(sorted(known)))] = data.draw(JSON)
    refusal = None
    try:
        family.obstacle(family.read_config(values, "config.json")[0])
    except CheckpointError as error:
        refusal = str(error)
    assert refusal is None or "config.json" in refusal


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("gelu", "gelu"), ("gelu_new", "gelu_tanh"), ("gelu_pytorch_tanh", "gelu_tanh"),
     ("relu", "relu"), ("silu", "silu"), ("swish", "silu")],
)  # fmt: skip
def test_activations_have_a_single_name(theirs: str, ours: str) -> None:
    assert read("bert", written("bert", hidden_act=theirs)).activation == ours


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_family_names_the_field_that_it_cannot_express(model_type: str) -> None:
    own, _ = FAMILIES[model_type].read_config(written(model_type), "config.json")
    norm: Norm = "layer" if own.norm == "rms" else "rms"
    obstacle = FAMILIES[model_type].obstacle(dataclasses.replace(PLAIN, norm=norm))
    assert f"norm='{norm}'" in obstacle
    sinusoids = dataclasses.replace(PLAIN, position_embedding="sinusoidal")
    assert "position_embedding='sinusoidal'" in FAMILIES[model_type].obstacle(sinusoids)


def test_albert_groups_are_consecutive_layers_of_equal_number() -> None:
    values = written("albert", num_hidden_layers=6, num_hidden_groups=2)
    assert read("albert", values).block_of_layer == (0, 0, 0, 1, 1, 1)


def test_roberta_positions_start_after_the_padding_token() -> None:
    config = read("roberta", written("roberta", pad_token_id=1, max_position_embeddings=514))
    assert (config.position_offset, config.max_length) == (2, 512)


def test_modernbert_windows_are_half_of_local_attention_on_each_side() -> None:
    values = written("modernbert", local_attention=9)
    values["layer_types"] = ["full_attention", "sliding_attention"]
    assert read("modernbert", values).windows == (None, 4)


@pytest.mark.parametrize(("theirs", "ours"), [(6, (3, 3)), ([2, 8], (1, 4)), (512, (256, 256))])
def test_longformer_windows_are_half_of_them_on_each_side(theirs: Any, ours: Any) -> None:
    assert read("longformer", written("longformer", attention_window=theirs)).windows == ours


@pytest.mark.parametrize(
    ("widths", "message"),
    [(7, "attention_window=7"), ([4, 0], "attention_window=0"), ([4], "has 1 entries"),
     (True, "attention_window=True"), ("4", "attention_window='4'")],
)  # fmt: skip
def test_wrong_windows_of_longformer_are_refused(widths: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        read("longformer", written("longformer", attention_window=widths))


def test_esm_frequencies_are_recognized_or_refused() -> None:
    family = FAMILIES["esm"]
    values = written("esm", position_embedding_type="rotary", hidden_size=32)
    config = read("esm", values)
    exact = np.array(config.rotation(0).frequencies, dtype=np.float32)
    rounded = exact.astype(np.float16).astype(np.float32)
    for carried, precision in ((exact, "exact"), (rounded, "float16")):
        for key in ("esm.rotary_embeddings.inv_freq",
                    "esm.encoder.layer.1.attention.self.rotary_embeddings.inv_freq"):  # fmt: skip
            found = family.from_weights(config, {key: carried}, "file")
            assert found.rotary_precision == precision
            assert family.obstacle(found) == ""
    for wrong in (exact * 1.01, exact[:-1]):
        with pytest.raises(
            UnsupportedModel, match=r"file: 'rotary_embeddings\.inv_freq' has rotary"
        ):
            family.from_weights(config, {"rotary_embeddings.inv_freq": wrong}, "file")
