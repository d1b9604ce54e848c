"""Settings of `tokenizer_config.json` that override `tokenizer.json`.

Classes of transformers make their normalizer, their pre-tokenizer and the tokens around a text from
their settings, and take the vocabulary alone from `tokenizer.json` (transformers 5). Classes of
sentencepiece models are left as the file has them.
"""

import json
from typing import assert_never

from tokenizers import Tokenizer, normalizers, pre_tokenizers

from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.checkpoints.tokenizers.settings import TokenizerSettings
from bothways.checkpoints.tokenizers.vocabularies import around

__all__ = ["apply_settings"]


def apply_settings(
    tokenizer: Tokenizer, settings: TokenizerSettings, tokenizer_class: TokenizerClass
) -> None:
    """Change what the settings say otherwise.

    Raises:
        CheckpointError: if a setting is malformed.
    """
    match tokenizer_class.algorithm:
        case "word_piece":
            _override_normalizer(tokenizer, settings)
        case "byte_pair":
            _override_prefix(tokenizer, settings)
        case "sentence_piece" | "symbols" | "fast_bpe":
            return
        case unknown:
            assert_never(unknown)
    _override_special_tokens(tokenizer, settings, tokenizer_class)


def _override_normalizer(tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    stored = tokenizer.normalizer
    if isinstance(stored, normalizers.BertNormalizer):
        tokenizer.normalizer = normalizers.BertNormalizer(
            clean_text=stored.clean_text,
            handle_chinese_chars=settings.flag(
                "tokenize_chinese_chars", stored.handle_chinese_chars
            ),
            strip_accents=settings.flag_or_null("strip_accents", stored.strip_accents),
            lowercase=settings.flag("do_lower_case", stored.lowercase),
        )


def _override_prefix(tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    stored = tokenizer.pre_tokenizer
    if isinstance(stored, pre_tokenizers.ByteLevel):
        stored.add_prefix_space = settings.flag("add_prefix_space", False)
        tokenizer.pre_tokenizer = stored


def _override_special_tokens(
    tokenizer: Tokenizer, settings: TokenizerSettings, tokenizer_class: TokenizerClass
) -> None:
    """Tokens of roles that the settings name, and those around a text where they are others."""
    roles = [role for role in tokenizer_class.special_tokens if settings.config.get(role)]
    special = settings.special_tokens(tokenizer_class)
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    tokenizer.add_special_tokens(
        [special[role] for role in roles if special[role].content not in known]
    )
    if not {"cls_token", "sep_token"} & {*roles} or tokenizer.post_processor is None:
        return
    names = [special[role].content for role in ("cls_token", "sep_token") if role in special]
    ids = {name: index for name in names if (index := tokenizer.token_to_id(name)) is not None}
    if len(names) == 2 and {*names} == {*ids} and {*ids.values()} - {*tokenizer.encode("").ids}:
        begin, end = ((name, ids[name]) for name in names)
        stored = json.loads(tokenizer.post_processor.__getstate__())
        tokenizer.post_processor = around(
            tokenizer_class,
            begin,
            end,
            trim_offsets=stored.get("trim_offsets", True),
            add_prefix_space=stored.get("add_prefix_space", False),
        )
