"""Model folders of bothways and of other libraries: find, read and write them; run no code."""

from bothways.checkpoints.create import create
from bothways.checkpoints.export import check_export_folder, export
from bothways.checkpoints.folder import fingerprint, read_folder
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.readers import expected_texts, missing_tokenizer, open_reader
from bothways.checkpoints.sources import ALIASES, Alias, PullProgress, pull, resolve

__all__ = [
    "ALIASES",
    "Alias",
    "ModelBundle",
    "PullProgress",
    "check_export_folder",
    "create",
    "expected_texts",
    "export",
    "fingerprint",
    "missing_tokenizer",
    "open_reader",
    "pull",
    "read_folder",
    "resolve",
]
