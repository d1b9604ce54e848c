"""What a model says while it is trained is what its folder says once it is loaded."""

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.checkpoints import ModelBundle
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.pooling import Normalize, Pooling
from bothways.model.spec import ModelSpec
from bothways.sequences import Alphabet
from bothways.training import Dataset, Example, InputSequence, TrainingSettings, fit
from bothways.training.data.dataset import IGNORED
from bothways.training.engine.evaluation import evaluate
from bothways.training.model import TrainedModel
from bothways.training.objectives.classify import Classify, ClassifyMany
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.masked_tokens import MaskedTokens, MaskingRecipe
from bothways.training.objectives.objective import Evaluation, Objective
from bothways.training.objectives.regress import Regress
from bothways.training.objectives.tag import Tag

ROUNDING = 1e-5
"""Of float32, by another backend."""
SETTINGS = TrainingSettings(
    max_steps=4, batch_tokens=100, micro_tokens=60, learning_rate=1e-2, warmup=0.0, device="cpu"
)

Outcome = tuple[bothways.Encoder, Evaluation, list[Example]]
Train = Callable[[Objective, list[Example]], Outcome]


@pytest.fixture
def train(
    tmp_path: Path,
    make_config: Callable[..., EncoderConfig],
    build_model: Callable[..., TrainedModel],
) -> Train:
    """Train for a few steps; the loaded folder, and what the trained model says of the examples.

    The examples come back in the order of what is said.
    """
    special = ("<begin>", "<end>", "<unknown>", "<mask>")
    symbols = (*special, *string.ascii_uppercase[:20])
    Alphabet(symbols=symbols, begin="<begin>", end="<end>", mask="<mask>").save(
        tmp_path / "alphabet.json"
    )
    template = ModelBundle.of(
        ModelSpec(config=make_config(), pooling=Pooling(), modules=(Normalize(),), max_length=16),
        initialize(make_config()),
        path=tmp_path,
    )

    def run(objective: Objective, examples: list[Example]) -> Outcome:
        lengths = np.array([example.num_tokens for example in examples])
        data = Dataset(examples, lengths)
        model = build_model(objective.head)
        out = tmp_path / "run"
        done = fit(
            model, objective, data, None, SETTINGS, out, template=template, from_scratch=True
        )
        said = evaluate(model, objective, data, done.settings)
        order = np.argsort(-lengths, kind="stable").tolist()
        return bothways.load(out, backend="reference"), said, [examples[i] for i in order]

    return run


def ids_of(examples: list[Example]) -> list[np.ndarray]:
    return [example.sequences[0].values for example in examples]


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_classes(
    pooling: Any,
    train: Train,
    make_config: Callable[..., EncoderConfig],
    make_examples: Callable[..., list[Example]],
) -> None:
    head = head_for("classes", make_config(), ("a", "b", "c"), pooling=pooling)
    examples = make_examples(20, lambda piece, index: np.array(index % 3))
    encoder, said, examples = train(Classify(head=head), examples)
    found = encoder.classify(ids_of(examples))
    close(found.probabilities, said["probabilities"])
    assert found.names == ("a", "b", "c")
    assert said["targets"].tolist() == [int(e.target) for e in examples if e.target is not None]


def test_several_labels(
    train: Train,
    make_config: Callable[..., EncoderConfig],
    make_examples: Callable[..., list[Example]],
) -> None:
    head = head_for("multilabel", make_config(), ("a", "b"))
    examples = make_examples(20, lambda piece, index: np.array([index % 2, 1], np.float32))
    encoder, said, examples = train(ClassifyMany(head=head), examples)
    close(encoder.classify(ids_of(examples)).probabilities, said["probabilities"])


def test_tags(
    train: Train,
    make_config: Callable[..., EncoderConfig],
    make_examples: Callable[..., list[Example]],
) -> None:
    def target(piece: InputSequence, index: int) -> np.ndarray:
        labels: np.ndarray = piece.values % 3
        labels[[0, -1]] = IGNORED
        return labels

    head = head_for("tags", make_config(), ("a", "b", "c"))
    encoder, said, examples = train(Tag(head=head), make_examples(20, target))
    found = np.concatenate(
        [
            tagged.probabilities[example.sequences[0].content]
            for tagged, example in zip(encoder.tag(ids_of(examples)), examples, strict=True)
        ]
    )
    assert np.array_equal(found.argmax(1), said["predictions"])
    close(found.max(1), said["confidence"])


def test_values_in_their_own_units(
    train: Train,
    make_config: Callable[..., EncoderConfig],
    make_examples: Callable[..., list[Example]],
) -> None:
    head = head_for("values", make_config(), ("x", "y"))
    rows = np.random.default_rng(0).normal((500, 3), (100, 0.1), (20, 2)).astype(np.float32)
    examples = make_examples(20, lambda piece, index: rows[index])
    encoder, said, examples = train(Regress.on(head, rows), examples)
    np.testing.assert_allclose(
        encoder.predict(ids_of(examples)) / rows.std(0),
        said["predictions"] / rows.std(0),
        atol=1e-4,  # in standard deviations, five of which 500 are: float32
    )
    assert len(said["predictions"]) == 20


def test_masked_tokens(
    train: Train,
    make_config: Callable[..., EncoderConfig],
    make_examples: Callable[..., list[Example]],
) -> None:
    head = head_for("masked_tokens", make_config())
    recipe = MaskingRecipe(masked=1.0, random=0.0)
    objective = MaskedTokens(head=head, vocab_size=24, mask_token=3, recipe=recipe)
    whole = [example.sequences[0] for example in make_examples(20)]
    examples = [Example((piece._replace(content=slice(2, 3)),), None, "row") for piece in whole]
    encoder, said, examples = train(objective, examples)
    ids = ids_of(examples)
    hidden = [np.concatenate([row[:2], [3], row[3:]]) for row in ids]
    filled = [masks[0] for masks in encoder.fill_mask(hidden, top=24)]
    found = [
        mask.probabilities[mask.ids == row[2]][0] for mask, row in zip(filled, ids, strict=True)
    ]
    close(found, np.exp(-said["loss"]))
    assert [mask.ids[0] == row[2] for mask, row in zip(filled, ids, strict=True)] == said[
        "correct"
    ].tolist()


def test_vectors(
    train: Train,
    make_config: Callable[..., EncoderConfig],
    make_examples: Callable[..., list[Example]],
) -> None:
    objective = Contrast(config=make_config(), pooling=Pooling(), modules=(Normalize(),))
    encoder, said, examples = train(objective, make_examples(20, pieces=2))
    ids = [piece.values for example in examples for piece in example.sequences]
    close(encoder.encode(ids), said["vectors"][:, :-2])
