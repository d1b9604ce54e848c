"""The model families that bothways reads and writes, by `model_type`."""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families.albert import ALBERT
from bothways.checkpoints.families.bert import BERT
from bothways.checkpoints.families.big_bird import BIG_BIRD
from bothways.checkpoints.families.deberta import DEBERTA_V2
from bothways.checkpoints.families.deberta_v1 import DEBERTA
from bothways.checkpoints.families.distilbert import DISTILBERT
from bothways.checkpoints.families.dpr import DPR
from bothways.checkpoints.families.electra import ELECTRA
from bothways.checkpoints.families.ernie import ERNIE
from bothways.checkpoints.families.esm import ESM
from bothways.checkpoints.families.esmc import ESMC
from bothways.checkpoints.families.eurobert import EUROBERT
from bothways.checkpoints.families.gemma3 import GEMMA3_TEXT
from bothways.checkpoints.families.gte import GTE
from bothways.checkpoints.families.jina_bert import JINA_BERT
from bothways.checkpoints.families.jina_embeddings_v3 import JINA_EMBEDDINGS_V3
from bothways.checkpoints.families.longformer import LONGFORMER
from bothways.checkpoints.families.megatron_bert import MEGATRON_BERT
from bothways.checkpoints.families.mistral import MISTRAL
from bothways.checkpoints.families.modernbert import MODERNBERT
from bothways.checkpoints.families.mosaic_bert import MOSAIC_BERT
from bothways.checkpoints.families.mpnet import MPNET
from bothways.checkpoints.families.neobert import NEOBERT
from bothways.checkpoints.families.nomic_bert import NOMIC_BERT
from bothways.checkpoints.families.nomic_bert_moe import NOMIC_BERT_MOE
from bothways.checkpoints.families.qwen2 import QWEN2
from bothways.checkpoints.families.qwen3 import QWEN3
from bothways.checkpoints.families.roberta import (
    CAMEMBERT,
    DATA2VEC_TEXT,
    ROBERTA,
    XLM_ROBERTA,
)
from bothways.checkpoints.families.roberta_pre_norm import ROBERTA_PRELAYERNORM, XLM_ROBERTA_XL
from bothways.checkpoints.families.t5 import T5
from bothways.checkpoints.family import Family

__all__ = ["FAMILIES", "family_of"]

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        BERT,
        ROBERTA,
        XLM_ROBERTA,
        DISTILBERT,
        ELECTRA,
        MPNET,
        ALBERT,
        ESM,
        MODERNBERT,
        NOMIC_BERT,
        NOMIC_BERT_MOE,
        JINA_BERT,
        MOSAIC_BERT,
        GTE,
        JINA_EMBEDDINGS_V3,
        CAMEMBERT,
        DATA2VEC_TEXT,
        XLM_ROBERTA_XL,
        ROBERTA_PRELAYERNORM,
        MEGATRON_BERT,
        ERNIE,
        DPR,
        QWEN3,
        EUROBERT,
        GEMMA3_TEXT,
        T5,
        ESMC,
        QWEN2,
        MISTRAL,
        DEBERTA_V2,
        DEBERTA,
        NEOBERT,
        LONGFORMER,
        BIG_BIRD,
    )
}


def family_of(values: Mapping[str, Any]) -> Family | None:
    """The family of a config.json; None if bothways has none for it."""
    for family in FAMILIES.values():
        if family.is_published_as(values):
            return family
    model_type = values.get("model_type")
    return FAMILIES.get(model_type) if isinstance(model_type, str) else None
