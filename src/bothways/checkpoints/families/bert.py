"""BERT (Devlin et al. 2019). Several other families use its names."""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import POOLER as POOLER_NAME
from bothways.checkpoints.head_architectures import answer_spans, classifier, masked_tokens
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.tokenizer_class import TokenizerClass

FIELDS: Mapping[str, tuple[str, Any]] = {
    "vocab_size": ("vocab_size", 30522),
    "hidden_size": ("d_model", 768),
    "num_hidden_layers": ("num_layers", 12),
    "num_attention_heads": ("num_heads", 12),
    "intermediate_size": ("d_ff", 3072),
    "hidden_act": ("activation", "gelu"),
    "max_position_embeddings": ("max_length", 512),
    "type_vocab_size": ("num_segments", 2),
    "layer_norm_eps": ("norm_eps", 1e-12),
    "hidden_dropout_prob": ("dropout", 0.1),
    "attention_probs_dropout_prob": ("attention_dropout", 0.1),
}

EMBEDDING: Rows = {
    "embeddings.word_embeddings.weight": "embedding.token.weight",
    "embeddings.token_type_embeddings.weight": "embedding.segment.weight",
    "embeddings.position_embeddings.weight": "embedding.position.weight",
    "embeddings.LayerNorm.{p}": "embedding.norm.{p}",
    # Buffers, not weights: 0, 1, 2, ... and 0, 0, 0, ...
    "embeddings.position_ids": None,
    "embeddings.token_type_ids": None,
}

BLOCK: Rows = {
    "encoder.layer.{i}.attention.self.query.{p}": "blocks.{i}.attention.query.{p}",
    "encoder.layer.{i}.attention.self.key.{p}": "blocks.{i}.attention.key.{p}",
    "encoder.layer.{i}.attention.self.value.{p}": "blocks.{i}.attention.value.{p}",
    "encoder.layer.{i}.attention.output.dense.{p}": "blocks.{i}.attention.output.{p}",
    "encoder.layer.{i}.attention.output.LayerNorm.{p}": "blocks.{i}.attention_norm.{p}",
    "encoder.layer.{i}.intermediate.dense.{p}": "blocks.{i}.feed_forward.up.{p}",
    "encoder.layer.{i}.output.dense.{p}": "blocks.{i}.feed_forward.down.{p}",
    "encoder.layer.{i}.output.LayerNorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
}

POOLER: Rows = {"pooler.dense.{p}": "heads.pooler.{p}"}

HEAD_ROWS: Rows = {
    "cls.predictions.transform.dense.{p}": "heads.masked_tokens.dense.{p}",
    "cls.predictions.transform.LayerNorm.{p}": "heads.masked_tokens.norm.{p}",
    "cls.predictions.decoder.weight": "heads.masked_tokens.weight",
    "cls.predictions.decoder.bias": "heads.masked_tokens.decoder.bias",
    "cls.predictions.bias": "heads.masked_tokens.bias",
    "cls.seq_relationship.{p}": "heads.next_sentence.{p}",
    "classifier.{p}": "heads.classifier.{p}",
    "qa_outputs.{p}": "heads.answer_span.{p}",
}

ALIASES = {"gamma": "weight", "beta": "bias"}
"""Names of norm parameters in files converted from TensorFlow."""

ABSOLUTE_ONLY: Mapping[str, tuple[Any, ...]] = {"position_embedding_type": ("absolute", None)}

UNUSED = (
    # Read only to allow a hidden_size that the heads do not divide, which EncoderConfig refuses.
    "embedding_size",
    # Fields of a pooler in the first multilingual BERT; no implementation reads them.
    "directionality",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
)

TOKENIZER = TokenizerClass(
    "BertTokenizer",
    "word_piece",
    {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    },
)

BERT = Family(
    model_type="bert",
    base_class="BertModel",
    tokenizer=TOKENIZER,
    rows=FIELDS,
    only=ABSOLUTE_ONLY,
    dropped=UNUSED,
    heads=(masked_tokens(None, "ForPreTraining"), *classifier(POOLER_NAME, "tanh"), answer_spans()),
    tables=(
        KeyTable(
            EMBEDDING | BLOCK | POOLER,
            heads=HEAD_ROWS,
            prefixes=("", "bert."),
            aliases=ALIASES,
        ),
    ),
)
