"""Chroma: a collection on disk, reopened by a new process."""

import subprocess
import sys
from pathlib import Path

import pytest

import bothways
from bothways.errors import CheckpointError

pytest.importorskip(
    "chromadb", reason="chroma is not installed; make test-integrations installs it"
)

import chromadb

from bothways.integrations.chroma import BothwaysEmbeddingFunction

TEXTS = ["a river bank", "the loan", "the shore"]

REOPEN = """
import sys
import chromadb
import bothways.integrations.chroma
collection = chromadb.PersistentClient(sys.argv[1]).get_collection("notes")
print(*collection.query(query_texts=["a shore"], n_results=3)["documents"][0], sep=",")
"""


def test_a_collection_is_reopened_with_its_model(folder: Path, tmp_path: Path) -> None:
    function = BothwaysEmbeddingFunction(str(folder))
    client = chromadb.PersistentClient(str(tmp_path / "db"))
    collection = client.create_collection("notes", embedding_function=function)
    collection.add(ids=["0", "1", "2"], documents=TEXTS)
    command = [sys.executable, "-c", REOPEN, str(tmp_path / "db")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    encoder = bothways.load(folder)
    scores = encoder.encode(TEXTS, role="document", normalize=True) @ encoder.encode(
        "a shore", role="query", normalize=True
    )
    assert done.stdout.strip().split(",") == [TEXTS[i] for i in (-scores).argsort()]


def test_a_config_refuses_another_model(folder: Path, other_folder: Path) -> None:
    function = BothwaysEmbeddingFunction(str(folder), dimensions=4)
    config = function.get_config()
    assert BothwaysEmbeddingFunction.build_from_config(config).get_config() == config
    assert not function.is_legacy()
    with pytest.raises(CheckpointError, match="they cannot be compared"):
        BothwaysEmbeddingFunction.build_from_config(config | {"model": str(other_folder)})
    other = BothwaysEmbeddingFunction(str(other_folder)).get_config()
    with pytest.raises(CheckpointError, match="make a new collection"):
        function.validate_config_update(config, other)
    function.validate_config_update(config, config | {"threads": 1})
