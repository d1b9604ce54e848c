"""The settings of a folder's tokenizer: `tokenizer_config.json` and the files beside it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken

from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.errors import CheckpointError
from bothways.io.json_files import read_optional_object

__all__ = ["TOKENIZER_CLASSES", "TokenizerSettings"]

TOKENIZER_CLASSES: Mapping[str, TokenizerClass] = {
    tokenizer.name: tokenizer
    for family in FAMILIES.values()
    for tokenizer in (family.tokenizer, *family.named_tokenizers)
    if tokenizer is not None
}
"""The classes of tokenizers that bothways opens from a vocabulary, by name."""

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class TokenizerSettings(NamedTuple):
    """The settings of a folder's tokenizer.

    class_name: the class that the folder names, in tokenizer_config.json or else in config.json,
        without `Fast`; None if it names none.
    tokenizer_class: that class, or else its family's; None for a class that bothways does not open,
        and if the folder names neither class nor family.
    """

    folder: Path
    class_name: str | None
    tokenizer_class: TokenizerClass | None
    config: Mapping[str, Any]
    special_tokens_map: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, family: str | None = None) -> "TokenizerSettings":
        """Read the settings; every one of the files may be missing.

        family: the model's, for a folder whose config.json does not name it.

        Raises:
            CheckpointError: if a file is malformed.
        """
        config = read_optional_object(folder / "tokenizer_config.json")
        model_config = read_optional_object(folder / "config.json")
        name = _class_name(config, folder / "tokenizer_config.json")
        name = name or _class_name(model_config, folder / "config.json")
        if name is None:
            model_type = model_config.get("model_type", family)
            known = FAMILIES.get(model_type) if isinstance(model_type, str) else None
            tokenizer_class = None if known is None else known.tokenizer
        else:
            tokenizer_class = TOKENIZER_CLASSES.get(name)
        special = read_optional_object(folder / "special_tokens_map.json")
        return cls(folder, name, tokenizer_class, config, special)

    def flag(self, name: str, default: bool) -> bool:
        """True or false of the config; `default` where the field is absent."""
        value = self.config.get(name, default)
        if isinstance(value, bool):
            return value
        raise CheckpointError(f"{self._config_path}: {name}={value!r:.80}; expected true or false")

    def flag_or_null(self, name: str, default: bool | None) -> bool | None:
        """True or false of the config, or None, which leaves the choice to other settings."""
        return None if self.config.get(name, default) is None else self.flag(name, False)

    def special_tokens(self, tokenizer_class: TokenizerClass) -> dict[str, AddedToken]:
        """The special tokens by their role; null in a file removes one."""
        tokens = {}
        for role, default in tokenizer_class.special_tokens.items():
            value = self.config.get(role, self.special_tokens_map.get(role, default))
            if value is not None:
                tokens[role] = _to_token(value, f"{self.folder}: {role}")
        return tokens

    def added_tokens(self, special_tokens: Collection[str]) -> dict[int, AddedToken]:
        """Tokens added to the vocabulary, by their ids in order.

        Those of `added_tokens.json` that are not special are matched in normalized text, in any
        case where the tokenizer lowercases, as transformers matches them.

        special_tokens: the tokens that have a role, such as `mask_token`.
        """
        added = {
            _to_id(index, self.folder): AddedToken(
                name, normalized=name not in special_tokens, special=name in special_tokens
            )
            for name, index in read_optional_object(self.folder / "added_tokens.json").items()
        }
        decoder = self.config.get("added_tokens_decoder", {})
        if not isinstance(decoder, dict):
            raise CheckpointError(f"{self._config_path}: added_tokens_decoder: expected an object")
        for index, value in decoder.items():
            where = f"{self._config_path}: added_tokens_decoder[{index!r:.20}]"
            added[_to_id(index, self.folder)] = _to_token(value, where)
        return dict(sorted(added.items()))

    @property
    def _config_path(self) -> Path:
        return self.folder / "tokenizer_config.json"


def _class_name(settings: Mapping[str, Any], file: Path) -> str | None:
    name = settings.get("tokenizer_class")
    if name is None:
        return None
    if not isinstance(name, str):
        raise CheckpointError(f"{file}: tokenizer_class={name!r:.80}; expected a name")
    return name.removesuffix("Fast")


def _to_token(value: Any, where: str) -> AddedToken:
    """A token as the files write it: a string, or an object with its flags."""
    if isinstance(value, str) and value:
        return AddedToken(value, normalized=False, special=True)
    if isinstance(value, dict) and isinstance(value.get("content"), str) and value["content"]:
        flags = {name: value.get(name, False) for name in _FLAGS}
        if all(isinstance(flag, bool) for flag in flags.values()):
            return AddedToken(value["content"], **flags)
    raise CheckpointError(f"{where}={value!r:.80}; expected a token, or an object with its content")


def _to_id(value: Any, folder: Path) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise CheckpointError(f"{folder}: an added token has the id {value!r:.80}")
    return int(text)
