"""The objective that fits task, data and model, and the weights that its model begins with."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints import ModelBundle
from bothways.errors import ConfigError
from bothways.files.rows import Place
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, head_layout
from bothways.model.layout import initialize
from bothways.model.spec import ModelSpec
from bothways.sequences import Alphabet, SequenceReader, Series, SeriesReader, SymbolReader
from bothways.sequences.text import TextReader
from bothways.training.data.dataset import IGNORED
from bothways.training.data.examples import ExampleWriter, PackedExamples, TargetForm
from bothways.training.data.survey import Survey
from bothways.training.objectives.classify import Classify, ClassifyMany
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.masked_tokens import MaskedTokens
from bothways.training.objectives.masked_values import MaskedValues
from bothways.training.objectives.regress import Regress
from bothways.training.objectives.tag import Tag
from bothways.training.options.objective import ObjectiveOptions
from bothways.training.setup.base_model import BaseModel
from bothways.training.setup.build import build_model, build_objective, head_labels
from bothways.training.setup.vocabulary import train_tokenizer

CONFIG = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=40)
SYMBOLS = SymbolReader(Alphabet.protein())

MakeStart = Callable[..., BaseModel]


@pytest.fixture
def start(tmp_path: Path) -> MakeStart:
    """A model with these heads, whose weights are all 7."""

    def make(
        *heads: Head,
        reader: SequenceReader = SYMBOLS,
        config: EncoderConfig = CONFIG,
        extra: Any = (),
    ) -> BaseModel:
        arrays = {
            name: np.full(shape, 7.0, np.float32)
            for head in heads
            for name, shape in head_layout(head, config).items()
        }
        folder = ModelBundle.of(
            ModelSpec(config=config, heads=heads, max_length=config.max_length),
            {**initialize(config), **arrays | dict(extra)},
            path=tmp_path,
        )
        return BaseModel(folder, reader, from_scratch=False)

    return make


def found(*labels: str, several: bool = False) -> Survey:
    return Survey(
        labels=labels,
        counts=np.ones(len(labels)),
        multilabel=several,
        classes=None,
        keys=np.zeros((2, 1), np.uint64),
        longest=1,
        channels=0,
    )


def examples(form: TargetForm, *targets: Any, num_targets: int = 1) -> PackedExamples:
    writer = ExampleWriter(form, ["x"], prefix=0, suffix=0, num_targets=num_targets)
    for target in targets:
        array = np.array(target)
        writer.add([np.arange(max(array.size, 1))], None, array, Place("x", 1))
    return writer.finish()


def test_each_task_gets_its_objective(start: MakeStart) -> None:
    labels, options = found("p", "q"), ObjectiveOptions()
    nothing = examples("none", 0)
    one = build_objective("classify", options, start(), labels, examples("class", 0, 1))
    assert isinstance(one, Classify)
    assert one.head.labels == ("p", "q")
    several = build_objective("classify", options, start(), found("p", "q", several=True), nothing)
    assert isinstance(several, ClassifyMany)
    assert isinstance(build_objective("tag", options, start(), labels, nothing), Tag)
    values = examples("values", [1.0, 5.0], [3.0, 5.0], num_targets=2)
    numbers = build_objective("regress", options, start(), labels, values)
    assert isinstance(numbers, Regress)
    assert (numbers.mean.tolist(), numbers.scale.tolist()) == ([2, 5], [1, 1])
    masked = build_objective("mlm", options, start(), found(), nothing)
    assert isinstance(masked, MaskedTokens)
    assert masked.mask_token == 3
    pairs = build_objective("contrast", options, start(), found(), nothing)
    assert isinstance(pairs, Contrast)


def test_options_reach_the_objective(start: MakeStart) -> None:
    options = ObjectiveOptions(mask_rate=0.4, masked=0.5, random=0.2)
    masked = build_objective("mlm", options, start(), found(), examples("none", 0))
    assert isinstance(masked, MaskedTokens)
    assert dataclasses.astuple(masked.recipe) == (0.4, 0.5, 0.2)
    options = ObjectiveOptions(head_pooling="cls", head_dropout=0.4, label_smoothing=0.1)
    one = build_objective("classify", options, start(), found("p", "q"), examples("class", 0))
    assert isinstance(one, Classify)
    assert (one.head.pooling, one.head.dropout, one.label_smoothing) == ("cls", 0.4, 0.1)
    options = ObjectiveOptions(temperature=0.2, similarity="dot", symmetric=False, dimensions=(4,))
    pairs = build_objective("contrast", options, start(), found(), examples("none", 0))
    assert isinstance(pairs, Contrast)
    assert (pairs.temperature, pairs.similarity, pairs.symmetric) == (0.2, "dot", False)
    assert pairs.dimensions == (4,)


def test_series_have_values_to_tell(start: MakeStart) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=8, d_ff=8, input="vectors", num_channels=2
    )
    series = start(reader=SeriesReader(Series.as_is(2)), config=config)
    objective = build_objective(
        "mlm", ObjectiveOptions(mask_rate=0.5, span=2), series, found(), examples("none", 0)
    )
    assert isinstance(objective, MaskedValues)
    assert (objective.rate, objective.span) == (0.5, 2)


def test_balanced_weights_come_from_the_examples(start: MakeStart) -> None:
    options = ObjectiveOptions(class_weights="balanced")
    one = build_objective(
        "classify", options, start(), found("p", "q"), examples("class", 0, 0, 0, 1)
    )
    assert isinstance(one, Classify)
    assert one.class_weights is not None
    assert one.class_weights == pytest.approx([4 / 6, 2])
    tags = examples("tags", [IGNORED, 0, 0], [0, 1, IGNORED])
    tag = build_objective("tag", options, start(), found("p", "q"), tags)
    assert isinstance(tag, Tag)
    assert tag.class_weights == pytest.approx([4 / 6, 2])
    several = build_objective(
        "classify",
        options,
        start(),
        found("p", "q", several=True),
        examples("labels", [1, 0], [1, 0], [0, 1], [1, 0], num_targets=2),
    )
    assert isinstance(several, ClassifyMany)
    assert several.positive_weights == pytest.approx([1 / 3, 3])


def test_whole_words_need_a_vocabulary_that_marks_them(start: MakeStart) -> None:
    options = ObjectiveOptions(whole_words=True)
    with pytest.raises(
        ConfigError, match="whole_words: this vocabulary does not mark the beginnings of words"
    ):
        build_objective("mlm", options, start(), found(), examples("none", 0))
    tokenizer = train_tokenizer(lambda: ["ab ba"])
    reader = TextReader(tokenizer, vocab_size=CONFIG.vocab_size)
    objective = build_objective("mlm", options, start(reader=reader), found(), examples("none", 0))
    assert isinstance(objective, MaskedTokens)
    assert objective.continues is not None
    assert len(objective.continues) == CONFIG.vocab_size
    assert objective.continues[tokenizer.token_to_id("##a")]
    assert not objective.continues[tokenizer.token_to_id("a")]


def test_a_head_with_the_same_labels_is_trained_on(start: MakeStart) -> None:
    own = head_for("classes", CONFIG, ("q", "p"), pooling="max")
    begin = start(own)
    assert head_labels("classify", begin) == ("q", "p")
    assert head_labels("tag", begin) == ()
    assert head_labels("classify", None) == ()
    options = ObjectiveOptions(head_dropout=0.25)
    objective = build_objective("classify", options, begin, found("q", "p"), examples("class", 0))
    assert objective.head == dataclasses.replace(own, dropout=0.25)
    weights = build_model(objective, begin, seed=0).to_weights()
    assert (weights["heads.classifier.weight"] == 7).all()


@pytest.mark.parametrize(
    ("labels", "options"),
    [(("p", "r"), ObjectiveOptions()), (("p", "q"), ObjectiveOptions(head_pooling="last"))],
)
def test_a_head_with_other_labels_is_initialized(
    start: MakeStart, labels: tuple[str, ...], options: ObjectiveOptions
) -> None:
    begin = start(head_for("classes", CONFIG, ("p", "q")))
    objective = build_objective("classify", options, begin, found(*labels), examples("class", 0))
    weights = build_model(objective, begin, seed=0).to_weights()
    assert not (weights["heads.classifier.weight"] == 7).any()


def test_a_published_pooler_is_used_if_the_head_has_one(start: MakeStart) -> None:
    pooler = {"heads.pooler.weight": np.full((8, 8), 7.0, np.float32)}
    begin = start(extra=pooler)
    options = ObjectiveOptions(head_pooling="cls")
    objective = build_objective("classify", options, begin, found("p", "q"), examples("class", 0))
    weights = build_model(objective, begin, seed=0).to_weights()
    assert (weights["heads.pooler.weight"] == 7).all()
    assert not (weights["heads.classifier.weight"] == 7).any()


def test_a_head_of_values_keeps_its_predictions_on_other_data(start: MakeStart) -> None:
    begin = start(head_for("values", CONFIG, ("y",)))
    values = examples("values", [10.0], [30.0])
    objective = build_objective("regress", ObjectiveOptions(), begin, found("y"), values)
    trained = build_model(objective, begin, seed=0).to_weights()
    kept = objective.to_folder(trained)
    assert kept["heads.classifier.weight"] == pytest.approx(7 * np.ones((1, 8)))
    assert kept["heads.classifier.bias"] == pytest.approx([7])
