"""One sequence in, one result out: for the type checker, and when a method runs."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np
import pytest

import bothways
from bothways import (
    Alphabet,
    Classification,
    Classifications,
    Encoder,
    EncoderConfig,
    MaskPrediction,
    SequenceVector,
    SequenceVectors,
    SparseVector,
    SparseVectors,
    TokenTags,
    TokenVectors,
)
from bothways.errors import InputError
from bothways.model.heads import Head, HeadLayer
from bothways.sequences import SymbolReader

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel

    def _types_of_a_text(encoder: Encoder, text: str) -> None:
        assert_type(encoder.encode_detailed(text), SequenceVector)
        assert_type(encoder.contextualize(text, layers=(0,)), TokenVectors)
        assert_type(encoder.classify(text, threshold=0.3), Classification)
        assert_type(encoder.tag(text, on_overflow="window"), TokenTags)
        assert_type(encoder.fill_mask(text, top=2), list[MaskPrediction])
        assert_type(encoder.sparse(sequences=text, max_tokens=9), SparseVector)
        assert_type(encoder.encode(text), np.ndarray)
        assert_type(encoder.predict(text), np.ndarray)

    def _types_of_a_pair(encoder: Encoder, pair: tuple[str, str]) -> None:
        assert_type(encoder.encode_detailed(pair), SequenceVector)
        assert_type(encoder.contextualize(pair), TokenVectors)
        assert_type(encoder.classify(pair), Classification)
        assert_type(encoder.tag(pair), TokenTags)
        assert_type(encoder.fill_mask(pair), list[MaskPrediction])
        assert_type(encoder.sparse(pair), SparseVector)

    def _types_of_a_list(
        encoder: Encoder, texts: list[str], ids: list[list[int]], pairs: list[tuple[str, str]]
    ) -> None:
        assert_type(encoder.encode_detailed(texts), SequenceVectors)
        assert_type(encoder.encode_detailed(ids), SequenceVectors)
        assert_type(encoder.contextualize(texts), list[TokenVectors])
        assert_type(encoder.contextualize(ids), list[TokenVectors])
        assert_type(encoder.classify(texts), Classifications)
        assert_type(encoder.classify(pairs), Classifications)
        assert_type(encoder.tag(texts), list[TokenTags])
        assert_type(encoder.fill_mask(texts), list[list[MaskPrediction]])
        assert_type(encoder.fill_mask(ids), list[list[MaskPrediction]])
        assert_type(encoder.sparse(texts), SparseVectors)

    def _types_of_an_array(encoder: Encoder, ids: np.ndarray) -> None:
        assert_type(encoder.encode_detailed(ids), SequenceVector | SequenceVectors)
        assert_type(encoder.contextualize(ids), TokenVectors | list[TokenVectors])
        assert_type(encoder.classify(ids), Classification | Classifications)
        assert_type(encoder.tag(ids), TokenTags | list[TokenTags])
        assert_type(encoder.fill_mask(ids), list[MaskPrediction] | list[list[MaskPrediction]])
        assert_type(encoder.sparse(ids), SparseVector | SparseVectors)

    def _types_of_what_may_be_one_or_many(
        encoder: Encoder, texts: Sequence[str], words: tuple[str, ...], generator: Iterator[str]
    ) -> None:
        assert_type(encoder.contextualize(texts), TokenVectors | list[TokenVectors])
        assert_type(encoder.contextualize(words), TokenVectors | list[TokenVectors])
        assert_type(encoder.contextualize(generator), TokenVectors | list[TokenVectors])

    def _wrong_keywords_are_refused(encoder: Encoder) -> None:
        encoder.tag("a", on_overflow="cut")  # type: ignore[call-overload]
        encoder.classify("a", limit=0.5)  # type: ignore[call-overload]
        encoder.fill_mask("a", top="5")  # type: ignore[call-overload]


HEADS = (
    Head(
        task="classes",
        layers=(HeadLayer(name="heads.classifier", outputs=2),),
        pooling="mean",
        labels=("no", "yes"),
    ),
    Head(
        task="values",
        layers=(HeadLayer(name="heads.values", outputs=1),),
        pooling="mean",
        labels=("score",),
    ),
    Head(task="tags", layers=(HeadLayer(name="heads.tagger", outputs=2),), labels=("in", "out")),
    Head(task="masked_tokens", layers=(HeadLayer(name="heads.tokens", outputs=16, tied=True),)),
)
METHODS = (
    "encode", "encode_detailed", "contextualize", "classify", "predict", "tag", "fill_mask",
    "sparse",
)  # fmt: skip
TEXT = "a [MASK] bank"
PAIR = ("a river", "the [MASK] bank")
IDS = np.array([2, 5, 4, 3])


def _arrays(result: Any) -> list[np.ndarray]:
    """All numbers of a result, whatever its type."""
    match result:
        case np.ndarray() | np.number():
            return [np.asarray(result)]
        case SequenceVector():
            return [result.vector, np.asarray(result.num_tokens)]
        case TokenVectors():
            return [result.vectors]
        case Classification() | TokenTags() | MaskPrediction():
            return [result.probabilities]
        case SparseVector():
            return [result.indices, result.data]
        case list():
            return [array for item in result for array in _arrays(item)]
        case _:
            pytest.fail(f"an unknown result: {type(result)}")


@pytest.mark.parametrize("sequence", [TEXT, PAIR, IDS], ids=["text", "pair", "ids"])
@pytest.mark.parametrize("method", METHODS)
def test_one_sequence_gives_the_result_that_a_list_of_it_holds(
    method: str, sequence: Any, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(*HEADS))
    one = getattr(encoder, method)(sequence)
    many = getattr(encoder, method)([sequence])
    assert len(many) == 1
    assert type(one) is type(many[0]) or isinstance(one, np.ndarray)
    for array, expected in zip(_arrays(one), _arrays(many[0]), strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("method", METHODS)
def test_several_sequences_give_as_many_results(method: str, make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(*HEADS))
    two_texts = getattr(encoder, method)([TEXT, TEXT])
    assert len(two_texts) == 2
    assert len(list(two_texts)) == 2
    three_texts = getattr(encoder, method)((TEXT, TEXT, TEXT))
    assert len(three_texts) == 3
    assert len(getattr(encoder, method)(text for text in [TEXT])) == 1
    assert len(getattr(encoder, method)([])) == 0


def test_attention_and_rerank_take_one_sequence_and_one_query(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(HEADS[1]))
    pair = encoder.attention(("a river", "a bank"))
    assert pair.shape[-2:] == (7, 7)
    ranking = encoder.rerank("a river", ["a bank", "a loan"])
    assert ranking.order.shape == ranking.scores.shape == ranking.truncated.shape == (2,)


@pytest.mark.parametrize("method", ["classify", "predict"])
def test_heads_of_pairs_take_a_list_of_two_texts_within_a_list(
    method: str, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(*HEADS))
    as_lists = getattr(encoder, method)([["a river", "a bank"], ["the loan", "a bank"]])
    as_tuples = getattr(encoder, method)([("a river", "a bank"), ("the loan", "a bank")])
    for of_lists, of_tuples in zip(as_lists, as_tuples, strict=True):
        for array, expected in zip(_arrays(of_lists), _arrays(of_tuples), strict=True):
            np.testing.assert_array_equal(array, expected)
    (tags,) = encoder.tag([["a", "river"]])  # words, where texts are tagged
    assert tags.tokens == ["a", "river"]


def test_a_pair_of_texts_is_refused_by_a_model_of_symbols(make_model: "MakeModel") -> None:
    alphabet = Alphabet.protein()
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=len(alphabet))
    encoder = bothways.load(make_model(config=config, reader=SymbolReader(alphabet)))
    with pytest.raises(
        InputError, match="pair of texts, and this model reads symbols; pass a list"
    ):
        encoder.encode(("MKV", "GAV"))
    assert encoder.encode(["MKV", "GAV"]).shape == (2, 8)
    assert encoder.encode([("M", "K")]).shape == (1, 8)  # a sequence of two symbols
