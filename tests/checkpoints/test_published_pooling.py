"""A warning for bare folders of models that are known for cls pooling."""

import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bothways
from bothways.checkpoints import read_folder
from bothways.errors import PoolingWarning

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Tiny


@pytest.mark.parametrize(
    "name",
    [
        "BAAI/bge-small-en-v1.5",
        "/root/.cache/torch/sentence_transformers/BAAI_bge-base-en/",
        "Snowflake/snowflake-arctic-embed-m",
        "mixedbread-ai/mxbai-embed-large-v1",
        "sentence-transformers/multi-qa-mpnet-base-dot-v1",
    ],
)
def test_a_bare_folder_of_a_model_with_cls_pooling_is_noticed(name: str, tiny: "Tiny") -> None:
    tiny.edit({"_name_or_path": name})
    with pytest.warns(PoolingWarning, match="was published with cls pooling: choose") as noticed:
        bothways.load(tiny.path)
    assert noticed[0].filename == __file__


def test_the_name_of_the_folder_is_noticed(tiny: "Tiny", tmp_path: Path) -> None:
    shutil.copytree(tiny.path, tmp_path / "bge-large-zh")
    with pytest.warns(PoolingWarning, match="and bge-large-zh was published"):
        read_folder(tmp_path / "bge-large-zh")


@pytest.mark.parametrize(
    "name",
    [
        "intfloat/e5-base-v2", "thenlper/gte-base", "bert-base-uncased", "BAAI/bge-reranker-base",
        "mixedbread-ai/mxbai-embed-xsmall-v1", "", None,
    ],
)  # fmt: skip
def test_other_models_are_not(name: str | None, tiny: "Tiny") -> None:
    tiny.edit({"_name_or_path": name})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_folder(tiny.path)


def test_a_folder_that_says_its_pooling_is_not(tiny_sentences: "Tiny") -> None:
    tiny_sentences.edit({"_name_or_path": "BAAI/bge-small-en-v1.5"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_folder(tiny_sentences.path)
