"""Classes of tokenizers that model folders name, where a vocabulary alone does not say enough."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

__all__ = ["PieceIds", "TokenizerClass", "VocabularyAlgorithm"]

VocabularyAlgorithm = Literal["word_piece", "byte_pair", "symbols", "sentence_piece", "fast_bpe"]


@dataclasses.dataclass(frozen=True)
class PieceIds:
    """The ids of a class that reads a model of sentencepiece, and how it prepares texts.

    Tokens are given by their role, such as `mask_token`, or as they are.

    leading: the tokens of the first ids. replaced: how many of the model's first pieces they
    replace. trailing: the tokens after the last piece, if no piece has their name.
    num_sentinels: the number of tokens `<extra_id_N>` after those, in descending order, where the
        settings do not say another (`extra_ids`).
    lowercases: the usual value of `do_lower_case`; None if the class has no such setting.
    plain_quotes: whether quotes of TeX become `"`, accents are removed (`keep_accents`), and pieces
        that end with a digit and a comma are avoided, as in ALBERT's released code.
    segments: whether the second text of a pair is in segment 1.
    """

    leading: tuple[str, ...] = ()
    replaced: int = 0
    trailing: tuple[str, ...] = ()
    num_sentinels: int = 0
    lowercases: bool | None = None
    plain_quotes: bool = False
    segments: bool = False


@dataclasses.dataclass(frozen=True)
class TokenizerClass:
    """What the name of a tokenizer's class says about the vocabulary in its folder.

    name: of the class in transformers, without `Fast`.
    algorithm: what the entries of the vocabulary are.
    special_tokens: the usual token of each role, such as `mask_token`.
    separators: the number of separator tokens between the two texts of a pair.
    piece_ids: of a class that reads a model of sentencepiece.
    expects: what texts must be like, if the model was trained on prepared ones; "" for any text.
    """

    name: str
    algorithm: VocabularyAlgorithm
    special_tokens: Mapping[str, str]
    separators: Literal[1, 2] = 1
    piece_ids: PieceIds = PieceIds()
    expects: str = ""
