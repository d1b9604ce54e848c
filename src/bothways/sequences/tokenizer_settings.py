"""What `tokenizer_config.json` and its companions say of a folder's tokenizer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken

from bothways.errors import CheckpointError
from bothways.io.json_files import read_optional_object

__all__ = ["TokenizerSettings"]

_CLASS_OF_MODEL_TYPE = {
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "nomic_bert": "BertTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
    "esm": "EsmTokenizer",
}
"""The tokenizer of a folder that does not name its class."""

_HABITS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class TokenizerSettings(NamedTuple):
    """The settings of a folder's tokenizer, read but not yet acted upon.

    class_name: of the tokenizer, without `Fast`; None if the folder does not say.
    """

    folder: Path
    class_name: str | None
    config: Mapping[str, Any]
    special_tokens_map: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "TokenizerSettings":
        """Read what there is: every one of the files may be missing.

        Raises:
            CheckpointError: if one is malformed.
        """
        config = read_optional_object(folder / "tokenizer_config.json")
        name = config.get("tokenizer_class")
        if name is None:
            model_type = read_optional_object(folder / "config.json").get("model_type")
            name = _CLASS_OF_MODEL_TYPE.get(model_type) if isinstance(model_type, str) else None
        elif not isinstance(name, str):
            raise CheckpointError(
                f"{folder / 'tokenizer_config.json'}: tokenizer_class={name!r:.80}; expected a name"
            )
        special = read_optional_object(folder / "special_tokens_map.json")
        return cls(folder, name.removesuffix("Fast") if name else None, config, special)

    def choice(self, name: str, default: bool) -> bool:
        """A yes or no of the config; absent, `default`."""
        value = self.config.get(name, default)
        if isinstance(value, bool):
            return value
        raise CheckpointError(f"{self._config_path}: {name}={value!r:.80}; expected true or false")

    def choice_or_null(self, name: str, default: bool | None) -> bool | None:
        """A yes or no of the config, or null, which leaves it to other settings."""
        return None if self.config.get(name, default) is None else self.choice(name, False)

    def special_tokens(self, defaults: Mapping[str, str]) -> dict[str, AddedToken]:
        """The special tokens by their role; null takes one away."""
        tokens = {}
        for role, default in defaults.items():
            value = self.config.get(role, self.special_tokens_map.get(role, default))
            if value is not None:
                tokens[role] = _to_token(value, f"{self.folder}: {role}")
        return tokens

    def added_tokens(self) -> dict[int, AddedToken]:
        """Tokens added to the vocabulary, by their ids in order."""
        added = {
            _to_id(index, self.folder): AddedToken(name, normalized=False)
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


def _to_token(value: Any, where: str) -> AddedToken:
    """A token as the files write it: a string, or an object with its habits."""
    if isinstance(value, str) and value:
        return AddedToken(value, normalized=False, special=True)
    if isinstance(value, dict) and isinstance(value.get("content"), str) and value["content"]:
        habits = {name: value.get(name, False) for name in _HABITS}
        if all(isinstance(habit, bool) for habit in habits.values()):
            return AddedToken(value["content"], **habits)
    raise CheckpointError(f"{where}={value!r:.80}; expected a token, or an object with its content")


def _to_id(value: Any, folder: Path) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise CheckpointError(f"{folder}: an added token has the id {value!r:.80}")
    return int(text)
