from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bothways.checkpoints import ModelFolder
from bothways.config import EncoderConfig
from bothways.heads import Head
from bothways.nn.heads import initialise_head
from bothways.training.objectives.classify import Classify
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.regress import Regress
from bothways.training.objectives.starting import build_model, head_on
from bothways.training.objectives.tag import Tag
from bothways.weights import initialise

LABELS = ("no", "yes")
OTHER_SEED = 7
"""Of the folder's head, so that no fresh one is like it."""

Folders = Callable[..., ModelFolder]


@pytest.fixture
def make_folder(make_config: Callable[..., EncoderConfig]) -> Folders:
    """A folder with the heads given."""
    config = make_config()

    def make(*heads: Head) -> ModelFolder:
        arrays: dict[str, np.ndarray] = {}
        for head in heads:
            arrays |= initialise_head(head, config, seed=OTHER_SEED)
        return ModelFolder(
            path=Path("model"),
            reader_path=Path("model"),
            family="bothways",
            config=config,
            weights=initialise(config, seed=1),
            heads=arrays,
            head_configs=heads,
            head_settings={},
            max_length=16,
        )

    return make


def test_a_head_of_the_same_meaning_is_gone_on_with(make_folder: Folders) -> None:
    own = head_for("classes", make_folder().config, LABELS, pooling="cls")
    folder = make_folder(own)
    head = head_on("classes", folder, LABELS)
    assert head == own
    assert head_on("classes", folder, LABELS, dropout=0.3).dropout == 0.3
    found = build_model(folder, Classify(head=head)).to_weights()
    expected = folder.weights | folder.heads
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], array) for name, array in expected.items())


@pytest.mark.parametrize("labels", [("yes", "no"), ("no", "yes", "maybe")])
def test_a_head_of_other_labels_is_not(labels: tuple[str, ...], make_folder: Folders) -> None:
    own = head_for("classes", make_folder().config, LABELS, pooling="cls")
    folder = make_folder(own)
    head = head_on("classes", folder, labels, pooling="cls")
    assert head.labels == labels
    found = build_model(folder, Classify(head=head), seed=3).to_weights()
    fresh = initialise_head(head, folder.config, seed=3)
    assert np.array_equal(found["heads.pooler.weight"], folder.heads["heads.pooler.weight"])
    assert np.array_equal(found["heads.classifier.weight"], fresh["heads.classifier.weight"])


def test_a_head_of_another_task_is_not(make_folder: Folders) -> None:
    folder = make_folder(head_for("classes", make_folder().config, LABELS))
    head = head_on("tags", folder, LABELS)
    assert head == head_for("tags", folder.config, LABELS)
    found = build_model(folder, Tag(head=head), seed=3).to_weights()
    assert not np.array_equal(
        found["heads.classifier.weight"], folder.heads["heads.classifier.weight"]
    )


def test_another_pooling_makes_another_head(make_folder: Folders) -> None:
    folder = make_folder(head_for("classes", make_folder().config, LABELS, pooling="cls"))
    assert head_on("classes", folder, LABELS, pooling="max").pooling == "max"
    assert head_on("classes", folder, ["else"]).pooling == "mean"


def test_a_head_of_values_goes_on_in_their_standardisation(make_folder: Folders) -> None:
    own = head_for("values", make_folder().config, ("y",))
    folder = make_folder(own)
    objective = Regress.on(own, np.array([[100.0], [300.0]]))
    model = build_model(folder, objective)
    back = objective.to_folder(model.to_weights())
    for name, array in folder.heads.items():
        # The mean, added and taken off again, costs a small bias its last digits.
        np.testing.assert_allclose(back[name], array, rtol=1e-5, atol=1e-4)


def test_the_masked_token_head_of_a_folder_is_its_own(make_folder: Folders) -> None:
    folder = make_folder()
    assert head_on("masked_tokens", folder) == head_for("masked_tokens", folder.config)
