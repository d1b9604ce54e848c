"""Writing a tokenizer that cuts and pads by itself, for programs that do not use bothways."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from bothways.checkpoints.reader_files import TOKENIZER_CONFIG, copy_reader_files
from bothways.checkpoints.tokenizers.files import open_bare_tokenizer, open_tokenizer
from bothways.checkpoints.tokenizers.settings import TokenizerSettings
from bothways.io.json_files import write_json

__all__ = ["write_tokenizer"]

_SPECIAL_TOKENS: dict[str, tuple[str, ...]] = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>", "<cls>"),
    "sep_token": ("[SEP]", "</s>", "<eos>"),
    "mask_token": ("[MASK]", "<mask>"),
}
"""The usual tokens of each role, for folders whose settings do not name them."""

_ANY_CLASS = "PreTrainedTokenizerFast"
"""The class of transformers that takes a tokenizer.json as it is."""


def write_tokenizer(
    folder: Path,
    out: Path,
    *,
    max_length: int,
    lowercase: bool,
    segments: bool,
    special_tokens: bool = True,
) -> bool:
    """Write the tokenizer of text of `folder`; False, and nothing is written, if it has none.

    `tokenizer.json` is complete: it cuts texts and pairs as `encode` does, and pads each batch at
    the end to its longest text. `tokenizer_config.json` and `special_tokens_map.json` say the same
    in the words of transformers, which sentence-transformers, optimum and fastembed read. The files
    of the vocabulary are copied.

    max_length: of a text, in tokens, special tokens included. lowercase: lowercase texts first.
    segments: whether the model takes `token_type_ids`. special_tokens: False for a model whose
        texts have none (static embeddings).

    Raises:
        CheckpointError: if a file is malformed.
    """
    if special_tokens:
        tokenizer = open_tokenizer(folder, lowercase=lowercase)
    else:
        tokenizer = open_bare_tokenizer(folder, lowercase=lowercase)
    if not isinstance(tokenizer, Tokenizer):
        return False
    copy_reader_files(folder, out)
    settings = TokenizerSettings.read(out)
    special = _special_tokens(tokenizer, settings)
    pad = special.setdefault("pad_token", tokenizer.id_to_token(0))
    name = _content(pad)
    tokenizer.enable_truncation(max_length)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(name), pad_token=name)
    tokenizer.save(str(out / "tokenizer.json"))
    config = {**settings.config, **special, "model_max_length": max_length}
    config |= {"padding_side": "right", "truncation_side": "right"}
    config.pop("max_length", None)
    if lowercase or config.get("tokenizer_class") is None:
        # A class of a family may make its normalizer anew, from its own settings.
        config["tokenizer_class"] = _ANY_CLASS
    inputs = ("input_ids", "token_type_ids", "attention_mask")
    config["model_input_names"] = [n for n in inputs if segments or n != "token_type_ids"]
    write_json(out / TOKENIZER_CONFIG, config)
    write_json(out / "special_tokens_map.json", {**settings.special_tokens_map, **special})
    return True


def _special_tokens(tokenizer: Tokenizer, settings: TokenizerSettings) -> dict[str, Any]:
    """The token of each role that the vocabulary has, as the files of transformers write it."""
    added = {t.content: t for t in tokenizer.get_added_tokens_decoder().values() if t.special}
    roles: dict[str, Any] = {}
    for role, usual in _SPECIAL_TOKENS.items():
        token = settings.config.get(role, settings.special_tokens_map.get(role))
        if token is None:
            token = next((_written(added[name]) for name in usual if name in added), None)
        name = _content(token)
        if isinstance(name, str) and tokenizer.token_to_id(name) is not None:
            roles[role] = token
    return roles


def _written(token: AddedToken) -> dict[str, Any]:
    flags = ("content", "lstrip", "normalized", "rstrip", "single_word")
    return {name: getattr(token, name) for name in flags}


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token
