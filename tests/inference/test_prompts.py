"""A prompt is a literal text, a named prompt of the model, or the prompt of a role."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.conftest import MakeModel
from tests.support.heads import pooled_head

import bothways
from bothways import Encoder, TokenVectors
from bothways.checkpoints import read_folder
from bothways.errors import InputError
from bothways.inference.session import Session

NAMED = {"query": "the river ", "passage": "a bank ", "corpus": "the loan "}


def with_prompts(folder: Path, family: str = "bert", **spec: Any) -> Encoder:
    """The model of a folder, with prompts, as a folder of another library would have them."""
    encoder = bothways.load(folder)
    model = read_folder(folder).with_spec(**spec)
    object.__setattr__(model, "family", family)
    return Encoder(Session(model, encoder.reader, encoder.backend))


@pytest.fixture
def asymmetric(make_model: MakeModel) -> Encoder:
    """A model whose default prompt is the one for documents."""
    return with_prompts(make_model(), prompts=NAMED, default_prompt="passage")


def test_a_name_chooses_the_prompt_of_the_model(asymmetric: Encoder) -> None:
    expected = asymmetric.encode("the river walk", prompt="")
    np.testing.assert_array_equal(asymmetric.encode("walk", prompt_name="query"), expected)
    np.testing.assert_array_equal(asymmetric.encode("walk", prompt="the river "), expected)
    detailed = asymmetric.encode_detailed("walk", prompt_name="query")
    np.testing.assert_array_equal(detailed.vector, expected)
    tokens = asymmetric.contextualize("walk", prompt_name="query").tokens
    assert tokens == ["[CLS]", "the", "river", "walk", "[SEP]"]


@pytest.mark.parametrize("method", ["encode", "encode_detailed", "contextualize"])
def test_an_unknown_name_is_an_error_with_the_names_available(
    asymmetric: Encoder, method: str
) -> None:
    with pytest.raises(InputError, match="'qeury': expected one of 'query', 'passage', 'corpus'"):
        getattr(asymmetric, method)("walk", prompt_name="qeury")
    without = bothways.load(asymmetric.path)
    with pytest.raises(InputError, match="'query': this model has no named prompts"):
        getattr(without, method)("walk", prompt_name="query")


def test_the_name_of_a_prompt_is_refused_as_a_literal_text(asymmetric: Encoder) -> None:
    with pytest.raises(InputError, match="choose the named one with prompt_name='query'"):
        asymmetric.encode("walk", prompt="query")
    assert asymmetric.contextualize("walk", prompt="a ").tokens[1] == "a"


def test_a_role_chooses_the_prompt_as_sentence_transformers_does(asymmetric: Encoder) -> None:
    def second_token(encoder: Encoder, **options: Any) -> str:
        (vectors,) = encoder.contextualize(["shore"], **options)
        assert isinstance(vectors, TokenVectors)
        return vectors.tokens[1]

    assert second_token(asymmetric) == "a"  # the default prompt
    assert second_token(asymmetric, role="query") == "the"
    assert second_token(asymmetric, role="document") == "a"  # `passage` before `corpus`
    documents_alone = with_prompts(
        asymmetric.path, prompts={"document": "a bank "}, default_prompt="document"
    )
    assert second_token(documents_alone, role="query") == "shore"  # and not the default prompt
    assert second_token(bothways.load(asymmetric.path), role="query") == "shore"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": "a", "role": "query"}, "prompt='a' and role='query': expected one of them"),
        ({"prompt": "a", "prompt_name": "query"}, "prompt='a' and prompt_name='query'"),
        ({"role": "question"}, "role='question': expected one of query, document"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    asymmetric: Encoder, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        asymmetric.encode("walk", **arguments)


def test_rerank_puts_the_prompt_for_queries_before_the_query(make_model: MakeModel) -> None:
    folder = make_model(pooled_head(outputs=2))
    encoder = with_prompts(folder, prompts=NAMED, default_prompt="passage")
    expected = encoder.rerank("the river walk", ["a bank"], prompt="").scores
    np.testing.assert_array_equal(encoder.rerank("walk", ["a bank"]).scores, expected)
    named = encoder.rerank("walk", ["a bank"], prompt_name="query").scores
    np.testing.assert_array_equal(named, expected)
    default = with_prompts(folder, prompts={"q": "the river "}, default_prompt="q")
    np.testing.assert_array_equal(default.rerank("walk", ["a bank"]).scores, expected)


def test_heads_that_bothways_trained_get_no_prompt(make_model: MakeModel) -> None:
    folder = make_model(pooled_head(outputs=2))
    encoder = with_prompts(folder, family="bothways", prompts=NAMED, default_prompt="query")
    expected = encoder.rerank("walk", ["a bank"], prompt="").scores
    np.testing.assert_array_equal(encoder.rerank("walk", ["a bank"]).scores, expected)
    pair = encoder.classify(("walk", "a bank")).probabilities[-1:]
    np.testing.assert_array_equal(pair, expected)
