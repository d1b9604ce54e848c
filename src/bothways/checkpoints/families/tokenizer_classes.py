"""Classes of tokenizers that are no family's usual one."""

from bothways.checkpoints.families import bert
from bothways.checkpoints.tokenizer_class import PieceIds, TokenizerClass

DEBERTA_V2 = TokenizerClass(
    "DebertaV2Tokenizer",
    "sentence_piece",
    bert.TOKENIZER.special_tokens,
    piece_ids=PieceIds(trailing=("mask_token",), lowercases=False, segments=True),
)
"""Of DeBERTa v2 and v3."""

OTHER_CLASSES = (DEBERTA_V2,)
