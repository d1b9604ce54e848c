"""The model families that bothways reads and writes, by `model_type`."""

from bothways.checkpoints.families.albert import ALBERT
from bothways.checkpoints.families.bert import BERT
from bothways.checkpoints.families.distilbert import DISTILBERT
from bothways.checkpoints.families.dpr import DPR
from bothways.checkpoints.families.electra import ELECTRA
from bothways.checkpoints.families.ernie import ERNIE
from bothways.checkpoints.families.esm import ESM
from bothways.checkpoints.families.megatron_bert import MEGATRON_BERT
from bothways.checkpoints.families.modernbert import MODERNBERT
from bothways.checkpoints.families.mpnet import MPNET
from bothways.checkpoints.families.nomic_bert import NOMIC_BERT
from bothways.checkpoints.families.roberta import (
    CAMEMBERT,
    DATA2VEC_TEXT,
    ROBERTA,
    XLM_ROBERTA,
)
from bothways.checkpoints.families.roberta_pre_norm import ROBERTA_PRELAYERNORM, XLM_ROBERTA_XL
from bothways.checkpoints.family import Family

__all__ = ["FAMILIES"]

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
        CAMEMBERT,
        DATA2VEC_TEXT,
        XLM_ROBERTA_XL,
        ROBERTA_PRELAYERNORM,
        MEGATRON_BERT,
        ERNIE,
        DPR,
    )
}
