"""RoBERTa (Liu et al. 2019), and models of its architecture: BERT with offset positions.

XLM-RoBERTa (Conneau et al. 2020), CamemBERT (Martin et al. 2020), data2vec for text (Baevski et al.
2022).

The first position uses the row after the padding token's id. A padding token within a sequence
takes the row of its id, and is not counted as a position.
"""

import dataclasses
from typing import Any

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import answer_spans, classifier, masked_tokens
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.tokenizer_class import PieceIds, TokenizerClass
from bothways.model.config import EncoderConfig

MASKED_TOKENS: Rows = {
    "lm_head.dense.{p}": "heads.masked_tokens.dense.{p}",
    "lm_head.layer_norm.{p}": "heads.masked_tokens.norm.{p}",
    "lm_head.decoder.weight": "heads.masked_tokens.weight",
    "lm_head.decoder.bias": "heads.masked_tokens.decoder.bias",
    "lm_head.bias": "heads.masked_tokens.bias",
}

CLASSIFIERS: Rows = {
    "classifier.{p}": "heads.classifier.{p}",
    "classifier.dense.{p}": "heads.classifier.dense.{p}",
    "classifier.out_proj.{p}": "heads.classifier.output.{p}",
    "qa_outputs.{p}": "heads.answer_span.{p}",
}

HEADS = (
    masked_tokens("gelu"),
    *classifier("heads.classifier.dense", "tanh", "heads.classifier.output"),
)


def read_offset(fields: Fields, values: dict[str, Any]) -> None:
    """Positions begin after the padding token's id, and padding is not counted."""
    set_padding(values, fields.integer("pad_token_id", 1))


def set_padding(values: dict[str, Any], padding: int) -> None:
    """Positions begin after row `padding`, which padding tokens take."""
    values["position_padding_token"] = padding
    values["position_offset"] = padding + 1
    values["max_length"] -= values["position_offset"]


def write_offset(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_offset`; the id of the padding token is at least 0."""
    padding = max(config.position_offset - 1, 0)
    return {"pad_token_id": padding, "max_position_embeddings": config.max_length + padding + 1}


TOKENIZER = TokenizerClass(
    "RobertaTokenizer",
    "byte_pair",
    {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    },
    separators=2,
)

PHOBERT_TOKENIZER = TokenizerClass(
    "PhobertTokenizer",
    "fast_bpe",
    TOKENIZER.special_tokens,
    separators=2,
    expects="Vietnamese with the syllables of a word joined by _, as word segmenters write it",
)

BERTWEET_TOKENIZER = TokenizerClass(
    "BertweetTokenizer",
    "fast_bpe",
    TOKENIZER.special_tokens,
    separators=2,
    expects="tweets with users as @USER, links as HTTPURL, and emoji as :names:",
)

ROBERTA = Family(
    model_type="roberta",
    base_class="RobertaModel",
    tokenizer=TOKENIZER,
    named_tokenizers=(PHOBERT_TOKENIZER, BERTWEET_TOKENIZER),
    rows=dict(bert.FIELDS) | {"vocab_size": ("vocab_size", 50265)},
    only=bert.ABSOLUTE_ONLY,
    dropped=bert.UNUSED,
    read_quirks=read_offset,
    write_quirks=write_offset,
    heads=(*HEADS, answer_spans()),
    tables=(
        KeyTable(
            bert.EMBEDDING | bert.BLOCK | bert.POOLER,
            heads=MASKED_TOKENS | CLASSIFIERS,
            prefixes=("", "roberta."),
            aliases=bert.ALIASES,
        ),
    ),
)

FLASH_BLOCK: Rows = {
    "emb_ln.{p}": "embedding.norm.{p}",
    "encoder.layers.{i}.mixer.rotary_emb.inv_freq": None,  # a buffer, computed from the config
    "encoder.layers.{i}.mixer.Wqkv.{p}": (
        "blocks.{i}.attention.query.{p}",
        "blocks.{i}.attention.key.{p}",
        "blocks.{i}.attention.value.{p}",
    ),
    "encoder.layers.{i}.mixer.out_proj.{p}": "blocks.{i}.attention.output.{p}",
    "encoder.layers.{i}.norm1.{p}": "blocks.{i}.attention_norm.{p}",
    "encoder.layers.{i}.mlp.fc1.{p}": "blocks.{i}.feed_forward.up.{p}",
    "encoder.layers.{i}.mlp.fc2.{p}": "blocks.{i}.feed_forward.down.{p}",
    "encoder.layers.{i}.norm2.{p}": "blocks.{i}.feed_forward_norm.{p}",
}
"""Names of XLM-RoBERTa as Jina AI published it, after FlashAttention's BERT."""

_FLASH_EMBEDDING: Rows = {
    name: ours for name, ours in bert.EMBEDDING.items() if ".LayerNorm." not in name
}

FLASH_CODE = frozenset(
    prefix + name
    for prefix in ("", "jinaai/xlm-roberta-flash-implementation--")
    for name in (
        "configuration_xlm_roberta.XLMRobertaFlashConfig",
        "modeling_lora.XLMRobertaLoRA",
        "modeling_xlm_roberta.XLMRobertaModel",
        "modeling_xlm_roberta.XLMRobertaForPreTraining",
        "modeling_xlm_roberta.XLMRobertaForMaskedLM",
        "modeling_xlm_roberta.XLMRobertaForSequenceClassification",
        "modeling_xlm_roberta.XLMRobertaForTokenClassification",
        "modeling_xlm_roberta.XLMRobertaForQuestionAnswering",
    )
)
"""Values of `auto_map` that name Jina AI's code of XLM-RoBERTa."""

FLASH_DROPPED = (
    "use_flash_attn",
    # What encode() of the published code does; modules.json says the same.
    "emb_pooler",
    "matryoshka_dimensions",
    "truncate_dim",
    # Adapters for tasks, which are merged when weights are read, and their prompts.
    "lora_adaptations",
    "lora_alpha",
    "lora_rank",
    "task_instructions",
    "lora_dropout_p",
    "lora_main_params_trainable",
    "load_trained_adapters",
)

XLM_ROBERTA_TOKENIZER = TokenizerClass(
    "XLMRobertaTokenizer",
    "sentence_piece",
    TOKENIZER.special_tokens,
    separators=2,
    piece_ids=PieceIds(
        leading=("bos_token", "pad_token", "eos_token", "unk_token"),
        replaced=3,
        trailing=("mask_token",),
    ),
)

XLM_ROBERTA = dataclasses.replace(
    ROBERTA,
    model_type="xlm-roberta",
    base_class="XLMRobertaModel",
    rows=bert.FIELDS,
    tokenizer=XLM_ROBERTA_TOKENIZER,
    dropped=(*bert.UNUSED, *FLASH_DROPPED),
    published_code=FLASH_CODE,
    tables=(
        *ROBERTA.tables,
        KeyTable(
            _FLASH_EMBEDDING | FLASH_BLOCK | bert.POOLER,
            heads=MASKED_TOKENS | CLASSIFIERS,
            prefixes=("", "roberta."),
        ),
    ),
)

CAMEMBERT = dataclasses.replace(
    XLM_ROBERTA,
    model_type="camembert",
    base_class="CamembertModel",
    tokenizer=TokenizerClass(
        "CamembertTokenizer",
        "sentence_piece",
        TOKENIZER.special_tokens,
        separators=2,
        piece_ids=PieceIds(
            # The special tokens of the model file keep ids of their own after these.
            leading=("<s>NOTUSED", "pad_token", "</s>NOTUSED", "unk_token", "<unk>NOTUSED"),
            replaced=1,
            trailing=("mask_token",),
        ),
    ),
)

DATA2VEC_TEXT = dataclasses.replace(
    ROBERTA,
    model_type="data2vec-text",
    base_class="Data2VecTextModel",
    rows=bert.FIELDS,
    tables=(
        KeyTable(
            bert.EMBEDDING | bert.BLOCK | bert.POOLER,
            heads=MASKED_TOKENS | CLASSIFIERS,
            prefixes=("", "data2vec_text."),
            aliases=bert.ALIASES,
        ),
    ),
)
