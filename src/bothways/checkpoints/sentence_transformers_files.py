"""The settings files of a sentence-transformers folder, and their fields that nothing reads."""

from pathlib import Path

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.io.json_files import has_file, read_object

__all__ = ["ABOUT_FILE", "SETTINGS_FILES", "SettingsFiles", "settings_file"]

ABOUT_FILE = "config_sentence_transformers.json"
"""Prompts, similarity and the kind of the model."""

SETTINGS_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
"""Possible files of the transformer's settings; the first that exists is read."""


class SettingsFiles:
    """The settings files of a folder, and what they have besides the fields that are read.

    adapter: the task whose adapter and prompt the model gets.
    """

    def __init__(self, folder: Path, adapter: str | None = None) -> None:
        self.folder = folder
        self.adapter = adapter
        self.unread = UnreadFields()

    def read(self, file: Path) -> Fields:
        """The fields of a file."""
        return Fields(read_object(file), str(file))

    def finish(self, fields: Fields) -> None:
        """Note the fields that were not read."""
        self.unread.add(Path(fields.file).relative_to(self.folder).as_posix(), fields)


def settings_file(folder: Path) -> Path | None:
    """The file of the transformer's settings in its folder; None if it has none."""
    return next((folder / name for name in SETTINGS_FILES if has_file(folder / name)), None)
