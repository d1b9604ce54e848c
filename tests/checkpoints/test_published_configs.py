"""Complete fields of published config.json files: all of them must be known."""

from typing import Any

import pytest

from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.unread_fields import UnreadFields

BERT = {
    "model_type": "bert",
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": 30522,
}
ROBERTA = BERT | {
    "model_type": "roberta",
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "vocab_size": 50265,
}

PUBLISHED: dict[str, dict[str, Any]] = {
    "bert": BERT
    | {
        "architectures": ["BertForMaskedLM"],
        "gradient_checkpointing": False,
        "position_embedding_type": "absolute",
        "transformers_version": "4.6.0.dev0",
        "use_cache": True,
    },
    "multilingual bert": BERT
    | {
        "directionality": "bidi",
        "pooler_fc_size": 768,
        "pooler_num_attention_heads": 12,
        "pooler_num_fc_layers": 3,
        "pooler_size_per_head": 128,
        "pooler_type": "first_token_transform",
        "vocab_size": 119547,
    },
    "bert of sentence-transformers": BERT
    | {
        "_name_or_path": "old_models/paraphrase/0_Transformer",
        "classifier_dropout": None,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "torch_dtype": "float32",
    },
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA
    | {"model_type": "xlm-roberta", "output_past": True, "vocab_size": 250002},
    "distilbert": {
        "model_type": "distilbert",
        "activation": "gelu",
        "attention_dropout": 0.1,
        "dim": 768,
        "dropout": 0.1,
        "hidden_dim": 3072,
        "initializer_range": 0.02,
        "max_position_embeddings": 512,
        "n_heads": 12,
        "n_layers": 6,
        "pad_token_id": 0,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
        "vocab_size": 30522,
    },
    "electra": BERT
    | {
        "model_type": "electra",
        "embedding_size": 128,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
        "summary_activation": "gelu",
        "summary_last_dropout": 0.1,
        "summary_type": "first",
        "summary_use_proj": True,
    },
    "mpnet": {name: value for name, value in ROBERTA.items() if name != "type_vocab_size"}
    | {"model_type": "mpnet", "relative_attention_num_buckets": 32, "vocab_size": 30527},
    "albert": BERT
    | {
        "model_type": "albert",
        "attention_probs_dropout_prob": 0,
        "bos_token_id": 2,
        "classifier_dropout_prob": 0.1,
        "down_scale_factor": 1,
        "embedding_size": 128,
        "eos_token_id": 3,
        "gap_size": 0,
        "hidden_act": "gelu_new",
        "inner_group_num": 1,
        "net_structure_type": 0,
        "num_hidden_groups": 1,
        "num_memory_blocks": 0,
        "vocab_size": 30000,
    },
    "esm": {
        "model_type": "esm",
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout": None,
        "emb_layer_norm_before": False,
        "esmfold_config": None,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": 320,
        "initializer_range": 0.02,
        "intermediate_size": 1280,
        "is_folding_model": False,
        "layer_norm_eps": 1e-5,
        "mask_token_id": 32,
        "max_position_embeddings": 1026,
        "num_attention_heads": 20,
        "num_hidden_layers": 6,
        "pad_token_id": 1,
        "position_embedding_type": "rotary",
        "token_dropout": True,
        "use_cache": True,
        "vocab_list": None,
        "vocab_size": 33,
    },
    "camembert": ROBERTA | {"model_type": "camembert", "vocab_size": 32005, "output_past": True},
    "ernie": BERT
    | {
        "model_type": "ernie",
        "architectures": ["ErnieForMaskedLM"],
        "task_type_vocab_size": 3,
        "use_task_id": True,
        "vocab_size": 40000,
        "type_vocab_size": 4,
        "max_position_embeddings": 2048,
        "use_cache": True,
    },
    "dpr": BERT
    | {
        "model_type": "dpr",
        "architectures": ["DPRQuestionEncoder"],
        "gradient_checkpointing": False,
        "position_embedding_type": "absolute",
        "projection_dim": 0,
    },
    "xlm-roberta-xl": ROBERTA
    | {
        "model_type": "xlm-roberta-xl",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_attention_heads": 32,
        "num_hidden_layers": 36,
        "position_embedding_type": "absolute",
        "use_cache": True,
        "vocab_size": 250880,
    },
    "modernbert": {
        "model_type": "modernbert",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 50281,
        "classifier_activation": "gelu",
        "classifier_bias": False,
        "classifier_dropout": 0.0,
        "classifier_pooling": "mean",
        "cls_token_id": 50281,
        "decoder_bias": True,
        "deterministic_flash_attn": False,
        "embedding_dropout": 0.0,
        "eos_token_id": 50282,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "gradient_checkpointing": False,
        "hidden_activation": "gelu",
        "hidden_size": 768,
        "initializer_cutoff_factor": 2.0,
        "initializer_range": 0.02,
        "intermediate_size": 1152,
        "layer_norm_eps": 1e-5,
        "local_attention": 128,
        "local_rope_theta": 10000.0,
        "max_position_embeddings": 8192,
        "mlp_bias": False,
        "mlp_dropout": 0.0,
        "norm_bias": False,
        "norm_eps": 1e-5,
        "num_attention_heads": 12,
        "num_hidden_layers": 22,
        "pad_token_id": 50283,
        "position_embedding_type": "absolute",
        "sep_token_id": 50282,
        "tie_word_embeddings": True,
        "vocab_size": 50368,
    },
    "qwen3 embedding": {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151643,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 1024,
        "initializer_range": 0.02,
        "intermediate_size": 3072,
        "max_position_embeddings": 32768,
        "max_window_layers": 28,
        "model_type": "qwen3",
        "num_attention_heads": 16,
        "num_hidden_layers": 28,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.51.3",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": 151669,
    },
    "embeddinggemma": {
        "_sliding_window_pattern": 6,
        "architectures": ["Gemma3TextModel"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": None,
        "bos_token_id": 2,
        "dtype": "float32",
        "eos_token_id": 1,
        "final_logit_softcapping": None,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 768,
        "initializer_range": 0.02,
        "intermediate_size": 1152,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 4,
        "max_position_embeddings": 2048,
        "model_type": "gemma3_text",
        "num_attention_heads": 3,
        "num_hidden_layers": 24,
        "num_key_value_heads": 1,
        "pad_token_id": 0,
        "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": None,
        "rope_theta": 1000000.0,
        "sliding_window": 512,
        "transformers_version": "4.57.0.dev0",
        "use_bidirectional_attention": True,
        "use_cache": True,
        "vocab_size": 262144,
    },
    "gtr": {
        "architectures": ["T5EncoderModel"],
        "d_ff": 3072,
        "d_kv": 64,
        "d_model": 768,
        "decoder_start_token_id": 0,
        "dropout_rate": 0.1,
        "eos_token_id": 1,
        "feed_forward_proj": "relu",
        "initializer_factor": 1.0,
        "is_encoder_decoder": True,
        "layer_norm_epsilon": 1e-06,
        "model_type": "t5",
        "n_positions": 512,
        "num_decoder_layers": 12,
        "num_heads": 12,
        "num_layers": 12,
        "output_past": True,
        "pad_token_id": 0,
        "relative_attention_num_buckets": 32,
        "task_specific_params": {"summarization": {"max_length": 200}},
        "torch_dtype": "float16",
        "transformers_version": "4.15.0",
        "use_cache": True,
        "vocab_size": 32128,
    },
    "prot_t5": {
        "architectures": ["T5EncoderModel"],
        "d_ff": 16384,
        "d_kv": 128,
        "d_model": 1024,
        "decoder_start_token_id": 0,
        "dropout_rate": 0.1,
        "eos_token_id": 1,
        "initializer_factor": 1.0,
        "is_encoder_decoder": True,
        "layer_norm_epsilon": 1e-06,
        "model_type": "t5",
        "num_heads": 32,
        "num_layers": 24,
        "output_past": True,
        "pad_token_id": 0,
        "relative_attention_num_buckets": 32,
        "vocab_size": 128,
    },
    "eurobert": {
        "architectures": ["EuroBertForMaskedLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "auto_map": {
            "AutoConfig": "configuration_eurobert.EuroBertConfig",
            "AutoModel": "modeling_eurobert.EuroBertModel",
            "AutoModelForMaskedLM": "modeling_eurobert.EuroBertForMaskedLM",
        },
        "bos_token": "<|begin_of_text|>",
        "bos_token_id": 128000,
        "classifier_pooling": "late",
        "eos_token": "<|end_of_text|>",
        "eos_token_id": 128001,
        "head_dim": 64,
        "hidden_act": "silu",
        "hidden_dropout": 0.0,
        "hidden_size": 768,
        "initializer_range": 0.02,
        "intermediate_size": 3072,
        "mask_token": "<|mask|>",
        "mask_token_id": 128002,
        "max_position_embeddings": 8192,
        "mlp_bias": False,
        "model_type": "eurobert",
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "num_key_value_heads": 12,
        "pad_token": "<|end_of_text|>",
        "pad_token_id": 128001,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 250000,
        "tie_word_embeddings": False,
        "use_cache": False,
        "vocab_size": 128256,
    },
}


WITH_NOTES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "rubert-tiny2": (BERT | {"emb_size": 312, "hidden_size": 312}, ["emb_size"]),
    "m3e": (BERT | {"uniem_embedding_strategy": "last_mean"}, ["uniem_embedding_strategy"]),
    "a question answerer": (ROBERTA | {"name": "Roberta", "language": "english"}, ["name"]),
    "TinyBERT": (BERT | {"cell": {}, "emb_size": 312, "structure": []},
                 ["cell", "emb_size", "structure"]),
    "DNABERT": (BERT | {"rnn": "lstm", "split": 10, "num_rnn_layer": 2, "rnn_dropout": 0.0},
                ["rnn", "split", "num_rnn_layer", "rnn_dropout"]),
    "ChemBERTa": (ROBERTA | {"is_gpu": True, "norm_mean": [0.5]}, ["is_gpu", "norm_mean"]),
}  # fmt: skip
"""Published models with fields that nothing reads, and those fields."""


@pytest.mark.parametrize("name", WITH_NOTES)
def test_published_configs_with_notes_of_their_authors_are_read(name: str) -> None:
    values, notes = WITH_NOTES[name]
    family = FAMILIES[values["model_type"]]
    _, settings = family.read_config(values | dict.fromkeys(("num_attention_heads",), 4), "f")
    assert UnreadFields.of(settings).names() == {"config.json": notes}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs_have_no_unknown_fields(name: str) -> None:
    values = PUBLISHED[name]
    family = FAMILIES[values["model_type"]]
    config, settings = family.read_config(values, "config.json")
    assert not UnreadFields.of(settings)
    assert family.obstacle(config) == ""


def test_known_properties_of_published_models_are_read() -> None:
    def read(name: str) -> Any:
        values = PUBLISHED[name]
        return FAMILIES[values["model_type"]].read_config(values, "config.json")[0]

    assert (read("roberta").max_length, read("roberta").position_offset) == (512, 2)
    mpnet = read("mpnet")
    assert (mpnet.position_embedding, mpnet.attention_positions) == ("learned", "relative")
    assert mpnet.max_length == 512
    assert (read("albert").num_blocks, read("albert").activation) == (1, "gelu_tanh")
    assert read("electra").embedding_size == 128
    assert read("distilbert").num_segments == 0
    esm = read("esm")
    assert (esm.rescaled_mask_token, esm.embedding_norm, esm.max_length) == (32, False, 1026)
    modern = read("modernbert")
    assert modern.windows[:4] == (None, 64, 64, None)
    assert (modern.rotary_base_of(0), modern.rotary_base_of(1)) == (160_000.0, 10_000.0)
    assert (modern.gated, modern.first_attention_norm, modern.norm_bias) == (True, False, False)
    qwen = read("qwen3 embedding")
    assert (qwen.attention_direction, qwen.key_value_heads, qwen.head_width) == ("causal", 8, 128)
    assert (qwen.rotary_base, qwen.windows, qwen.query_width) == (1e6, (), 2048)
    gemma = read("embeddinggemma")
    assert (gemma.attention_direction, gemma.windows[4:6]) == ("both", (256, None))
    assert (gemma.rotary_base_of(0), gemma.rotary_base_of(5)) == (1e4, 1e6)
    assert (gemma.head_size, gemma.attention_scale, gemma.embedding_scale**2) == (
        None,
        None,
        pytest.approx(768),
    )
    assert (read("prot_t5").query_width, read("gtr").head_size) == (4096, None)
    assert read("eurobert").rotary_base == 250_000
