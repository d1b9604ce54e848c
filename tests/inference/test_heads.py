import dataclasses
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bothways
from bothways.checkpoints import read_folder
from bothways.checkpoints.weight_files import (
    StoredTensor,
    read_safetensors,
    write_safetensors,
)
from bothways.errors import CheckpointError, InputError
from bothways.inference.heads import Heads
from bothways.model.heads import Head, HeadLayer

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel

CLASSES = Head(
    task="classes",
    layers=(HeadLayer(name="heads.classifier", outputs=2),),
    pooling="mean",
    labels=("no", "yes"),
)
TOKENS = Head(task="masked_tokens", layers=(HeadLayer(name="heads.tokens", outputs=16, tied=True),))


def test_small_heads_outlive_the_folder(make_model: "MakeModel") -> None:
    path = make_model(CLASSES)
    encoder = bothways.load(path)
    shutil.rmtree(path)
    assert encoder.classify(["a bank"]).probabilities.shape == (1, 2)


def test_heads_as_large_as_the_vocabulary_are_read_on_first_use(
    make_model: "MakeModel",
) -> None:
    path = make_model(TOKENS)
    encoder = bothways.load(path)
    before = encoder.sparse(["a bank"])
    shutil.rmtree(path)
    np.testing.assert_array_equal(encoder.sparse(["a bank"]).data, before.data)  # read already


def test_a_deleted_folder_and_a_missing_head_are_errors(make_model: "MakeModel") -> None:
    path = make_model(TOKENS)
    encoder, again = bothways.load(path), bothways.load(path)
    arrays = read_safetensors(path / "model.safetensors")
    arrays["heads.others.bias"] = arrays.pop("heads.tokens.bias")
    write_safetensors(path / "model.safetensors", arrays)
    with pytest.raises(CheckpointError, match=r"weight 'heads\.tokens\.bias' is missing"):
        encoder.sparse(["a bank"])
    shutil.rmtree(path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read: No such file"):
        again.sparse(["a bank"])


def test_reading_a_head_reads_its_weights_alone(
    make_model: "MakeModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = bothways.load(make_model(CLASSES, TOKENS))
    read: list[str] = []
    original = StoredTensor.read

    def note(tensor: StoredTensor) -> np.ndarray:
        read.append(tensor.key)
        return original(tensor)

    monkeypatch.setattr(StoredTensor, "read", note)
    monkeypatch.delattr("bothways.checkpoints.weight_files.read_weights")
    encoder.classify(["a bank"])
    assert read == []
    encoder.sparse(["a bank"])
    assert sorted(read) == ["embedding.token.weight", "heads.tokens.bias"]


def test_a_tied_head_has_the_token_embedding_among_its_weights(make_model: "MakeModel") -> None:
    folder = read_folder(make_model(TOKENS))
    heads = Heads(folder)
    weights = heads.weights(heads.find("masked_tokens", purpose="sparse"))
    assert sorted(weights) == ["embedding.token.weight", "heads.tokens.bias"]
    np.testing.assert_array_equal(
        weights["embedding.token.weight"], folder.weights["embedding.token.weight"]
    )


def test_the_head_of_the_first_available_task_is_used(make_model: "MakeModel") -> None:
    heads = Heads(read_folder(make_model(CLASSES, TOKENS)))
    assert heads.tasks == ("classes", "masked_tokens")
    assert heads.find("values", "classes", purpose="rerank") == CLASSES


def test_the_reason_for_an_unread_head_is_in_the_message(make_model: "MakeModel") -> None:
    folder = read_folder(make_model(CLASSES))
    unread = dataclasses.replace(folder.with_spec(heads=()), unread_heads="config.json: why not")
    with pytest.raises(
        InputError,
        match=r"has none; some of its weights belong to no supported head: config\.json: why not;",
    ):
        Heads(unread).find("classes", purpose="classify")
