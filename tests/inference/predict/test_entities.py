"""Entities: spans of tags as transformers' token classification finds them."""

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from tests.support.heads import TEXTS

import bothways
from bothways import Alphabet, EncoderConfig
from bothways.checkpoints import export, read_folder
from bothways.errors import InputError
from bothways.inference.predict.entities import Aggregation, find_entities
from bothways.model.heads import Head, HeadLayer
from bothways.sequences import SymbolReader

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel

NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "THING")
HEAD = Head(task="tags", layers=(HeadLayer(name="heads.tagger", outputs=6),), labels=NAMES)
SENTENCE = "river banks walking a loan shores"


@pytest.mark.parametrize("aggregate", get_args(Aggregation))
def test_entities_are_those_of_transformers(
    aggregate: Aggregation, make_model: "MakeModel", tmp_path_factory: pytest.TempPathFactory
) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = make_model(HEAD)
    path = tmp_path_factory.mktemp("transformers") / "model"
    assert export(read_folder(folder), path, "transformers") == ()
    pipeline = transformers.TokenClassificationPipeline(
        model=transformers.AutoModelForTokenClassification.from_pretrained(path).eval(),
        tokenizer=transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(path / "tokenizer.json"),
            unk_token="[UNK]",  # noqa: S106
        ),
        aggregation_strategy=aggregate,
    )
    texts = [*TEXTS, SENTENCE, "zebra Bankss  the"]
    encoder = bothways.load(folder)
    total = 0
    for text, tags in zip(texts, encoder.tag(texts, aggregate=aggregate), strict=True):
        expected = pipeline(text)
        assert tags.entities is not None
        spans = [(e.start, e.end, e.label) for e in tags.entities]
        key = "entity" if aggregate == "none" else "entity_group"
        assert spans == [(e["start"], e["end"], e[key]) for e in expected]
        scores = [entity.score for entity in tags.entities]
        np.testing.assert_allclose(scores, [e["score"] for e in expected], atol=1e-5)
        assert [e.text for e in tags.entities] == [text[start:end] for start, end, _ in spans]
        total += len(spans)
    assert total > 3


def spans_of(labels: list[str], names: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """The entities of tokens with these labels; "" for a token without one."""
    share = np.full((len(labels), len(names)), 0.0)
    for row, label in zip(share, labels, strict=True):
        row[:] = np.nan if not label else [float(name == label) for name in names]
    place = np.arange(len(labels))
    entities = find_entities(
        names,
        share,
        np.stack([place, place + 1], axis=1),
        "simple",
        continues_word=[False] * len(labels),
        text_of=lambda start, end: None,
    )
    return [(entity.start, entity.end, entity.label) for entity in entities]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["I-A", "I-A", "B-A", "I-A", "O"], [(0, 2, "A"), (2, 4, "A")]),
        (["B-A", "I-B"], [(0, 1, "A"), (1, 2, "B")]),
        (["B-A", "", "I-A"], [(0, 1, "A"), (2, 3, "A")]),
        (["B-A", "I-A", "E-A", "I-A", "S-A"], [(0, 3, "A"), (3, 4, "A"), (4, 5, "A")]),
        (["helix", "helix", "E-mail"], [(0, 2, "helix"), (2, 3, "E-mail")]),
        (["O", "O"], []),
    ],
)
def test_prefixes_begin_and_end_entities(
    labels: list[str], expected: list[tuple[int, int, str]]
) -> None:
    names = ("O", "B-A", "I-A", "E-A", "S-A", "I-B", "helix", "E-mail")
    assert spans_of(labels, names) == expected


def test_words_and_symbols_have_entities(make_model: "MakeModel") -> None:
    words = SENTENCE.split()
    (tags,) = bothways.load(make_model(HEAD)).tag([words], aggregate="simple")
    assert tags.entities
    for entity in tags.entities:
        assert entity.text == " ".join(words[entity.start : entity.end])
        for label in tags.labels[entity.start : entity.end]:
            assert label is not None
            assert label.removeprefix("B-").removeprefix("I-") == entity.label


def test_symbols_have_spans_of_characters(make_model: "MakeModel") -> None:
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=9)
    reader = SymbolReader(Alphabet(symbols=("<", ">", *"MKVLAWG"), begin="<", end=">"))
    encoder = bothways.load(make_model(HEAD, config=config, reader=reader))
    tags = encoder.tag("MKVLAWG", aggregate="first")
    assert tags.entities
    assert all(entity.text == "MKVLAWG"[entity.start : entity.end] for entity in tags.entities)


def test_without_aggregate_there_are_no_entities_and_pairs_have_none(
    make_model: "MakeModel",
) -> None:
    encoder = bothways.load(make_model(HEAD))
    unknown: Any = "best"
    assert encoder.tag("a bank").entities is None
    with pytest.raises(InputError, match="sequence 0: a pair of texts has no entities"):
        encoder.tag(("a bank", "the loan"), aggregate="simple")
    with pytest.raises(InputError, match="aggregate='best': expected one of none, simple, first"):
        encoder.tag("a bank", aggregate=unknown)
