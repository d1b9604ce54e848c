"""What all tasks share: windows, truncation, empty input, missing heads, ids, progress."""

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.support.heads import LONG, SAME, TAGS, TEXTS, TOKENS, outputs_by_hand, pooled_head

import bothways
from bothways.errors import InputError, SequenceTooLong, TruncationWarning
from bothways.model.heads import HeadTask
from bothways.reference import probabilities
from bothways.sequences import OnOverflow

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel


@pytest.mark.parametrize("task", ["classes", "tags", "masked_tokens"])
def test_windows_are_merged_before_a_head_sees_them(
    task: HeadTask, make_model: "MakeModel"
) -> None:
    path = make_model(pooled_head(), TAGS, TOKENS)
    encoder = bothways.load(path)
    expected = outputs_by_hand(path, encoder, LONG, task, on_overflow="window")
    if task == "masked_tokens":
        (weights,) = encoder.sparse([LONG], on_overflow="window").to_scipy().toarray()
        np.testing.assert_allclose(
            weights, np.log1p(np.maximum(expected, 0)).max(axis=0), rtol=0, atol=SAME
        )
        return
    share = probabilities(expected, task)
    if task == "classes":
        actual = encoder.classify([LONG], on_overflow="window").probabilities
        np.testing.assert_allclose(actual, share[None], rtol=0, atol=SAME)
    else:
        (tagged,) = encoder.tag([LONG], on_overflow="window")
        np.testing.assert_allclose(tagged.probabilities, share[1:-1], rtol=0, atol=SAME)
        assert not tagged.truncated


@pytest.mark.parametrize("on_overflow", ["truncate", "window"])
def test_outputs_of_all_positions_are_pooled_where_the_head_says_so(
    on_overflow: OnOverflow, make_model: "MakeModel"
) -> None:
    path = make_model(dataclasses.replace(pooled_head(), pools_outputs=True))
    encoder = bothways.load(path)
    texts = [*TEXTS, *([LONG] if on_overflow == "window" else [])]
    found = encoder.classify(texts, on_overflow=on_overflow).probabilities
    for text, row in zip(texts, found, strict=True):
        expected = outputs_by_hand(path, encoder, text, "classes", on_overflow=on_overflow)
        np.testing.assert_allclose(row, probabilities(expected, "classes"), rtol=0, atol=SAME)
    assert np.array_equal(encoder.classify(texts[0]).probabilities, found[0])
    settings = json.loads((path / "bothways.json").read_text())
    del settings["heads"][0]["pools_outputs"]
    (path / "bothways.json").write_text(json.dumps(settings))
    early = bothways.load(path).classify(texts, on_overflow=on_overflow).probabilities
    assert np.abs(early - found).max() > SAME


@pytest.mark.parametrize("method", ["classify", "predict", "tag", "sparse"])
def test_a_sequence_that_is_too_long_is_cut_with_a_warning_or_refused(
    method: str, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(pooled_head(), pooled_head("values"), TAGS, TOKENS))
    with pytest.warns(TruncationWarning, match="1 of 2 sequences") as caught:
        getattr(encoder, method)([LONG, "bank"])
    assert caught[0].filename == __file__
    with pytest.raises(SequenceTooLong, match="sequence 1: "):
        getattr(encoder, method)(["bank", LONG], on_overflow="error")


@pytest.mark.parametrize(
    ("method", "sequences", "shape"),
    [("classify", [], (0, 3)), ("predict", [], (0, 3)), ("sparse", [], (0, 16))],
)
def test_no_sequences_give_no_results(
    method: str, sequences: list[str], shape: tuple[int, int], make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(pooled_head(), pooled_head("values"), TOKENS))
    result = getattr(encoder, method)(sequences)
    if method == "sparse":
        assert result.shape == shape
        assert result.to_scipy().shape == shape
    else:
        assert getattr(result, "probabilities", result).shape == shape
    assert bothways.load(encoder.path).tasks == ("classes", "values", "masked_tokens")


@pytest.mark.parametrize(
    ("method", "needs"),
    [
        ("classify", "classify needs a head for classes or multilabel"),
        ("predict", "predict needs a head for values"),
        ("fill_mask", "fill_mask needs a head for masked_tokens"),
        ("sparse", "sparse needs a head for masked_tokens"),
    ],
)
def test_a_model_without_the_head_is_an_error_that_lists_its_heads_and_the_next_step(
    method: str, needs: str, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(TAGS))
    assert encoder.tasks == ("tags",)
    with pytest.raises(InputError) as caught:
        getattr(encoder, method)(["a bank"])
    message = str(caught.value)
    assert message.startswith(needs)
    assert "it has one for tags; load a model that has one, or train one: bothways train" in message


def test_ids_are_taken_as_they_are(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TAGS, TOKENS))
    (tagged,) = encoder.tag([[2, 5, 3]])
    assert tagged.tokens == ["2", "5", "3"]
    (masks,) = encoder.fill_mask([[2, 4, 3]], top=1)
    assert masks[0].position == 1


@pytest.mark.parametrize("method", ["classify", "tag"])
def test_progress_counts_every_token(method: str, make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(pooled_head(), TAGS))
    heard: list[tuple[int, int]] = []
    getattr(encoder, method)(TEXTS, progress=lambda done, total: heard.append((done, total)))
    total = int(encoder.encode_detailed(TEXTS).num_tokens.sum())
    assert heard[-1] == (total, total)
