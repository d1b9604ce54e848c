"""Sparse vectors: the formula, and logits computed in parts, which changes nothing."""

import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.support.heads import SAME, TEXTS, TOKENS, outputs_by_hand

import bothways
from bothways import SparseVectors
from bothways.errors import CheckpointError, MissingExtra
from bothways.inference.backends import BackendName
from bothways.inference.predict.head_run import HeadRun
from bothways.installation import install_command
from bothways.model.heads import Head, HeadLayer
from bothways.model.terms import TermWeighting
from bothways.reference import term_weights

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel


VECTORS = SparseVectors(
    indptr=np.array([0, 2, 2, 5]),
    indices=np.array([1, 3, 0, 1, 2], np.int32),
    data=np.array([0.5, 2.0, 1.0, 3.0, 1.0], np.float32),
    vocabulary=("a", "bank", "loan", "river"),
    truncated=np.zeros(3, bool),
)


def test_terms_come_heaviest_first() -> None:
    assert VECTORS.shape == (3, 4)
    assert list(VECTORS[0].terms().items()) == [("river", 2.0), ("bank", 0.5)]
    assert VECTORS[1].terms() == {}
    assert list(VECTORS[-1].terms()) == ["bank", "a", "loan"]
    with pytest.raises(IndexError, match="row 3: expected -3 to 2"):
        VECTORS[3]


def test_the_matrix_of_scipy_is_the_same() -> None:
    dense = [[0, 0.5, 0, 2], [0, 0, 0, 0], [1, 3, 1, 0]]
    np.testing.assert_array_equal(VECTORS.to_scipy().toarray(), dense)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtra, match=re.escape(install_command("sklearn"))):
        VECTORS.to_scipy()


def test_term_weights_follow_the_formula_of_splade(
    backend: BackendName, make_model: "MakeModel"
) -> None:
    path = make_model(TOKENS)
    encoder = bothways.load(path, backend=backend)
    vectors = encoder.sparse(TEXTS)
    dense = np.zeros(vectors.shape, np.float32)
    for row, text in enumerate(TEXTS):
        logits = outputs_by_hand(path, encoder, text, "masked_tokens")
        for token in range(16):
            dense[row, token] = max(np.log(1 + max(z, 0.0)) for z in logits[:, token])
    np.testing.assert_allclose(vectors.to_scipy().toarray(), dense, rtol=0, atol=SAME)
    assert (vectors.data > 0).all()
    assert vectors.vocabulary[5] == "river"


TIED = Head(task="masked_tokens", layers=(HeadLayer(name="heads.tokens", outputs=16, tied=True),))
MASKED = ["a river bank", "the loan", "a [MASK] walking the shores [MASK]", "bank", "a [MASK]"]


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_terms_and_masks_do_not_depend_on_the_rows_at_a_time(
    rows: int, make_model: "MakeModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = bothways.load(make_model(TIED))
    whole = encoder.sparse(MASKED).to_scipy().toarray()
    filled = encoder.fill_mask(MASKED[2])
    predict = "bothways.inference.predict"
    monkeypatch.setattr(f"{predict}.sparse.LOGIT_BYTES", 0)  # one token of the vocabulary at a time
    monkeypatch.setattr(f"{predict}.sparse._POSITIONS", rows)
    monkeypatch.setattr(f"{predict}.fill_mask.LOGIT_BYTES", 0)
    monkeypatch.setattr(f"{predict}.fill_mask._MIN_ROWS", rows)
    np.testing.assert_allclose(
        encoder.sparse(MASKED).to_scipy().toarray(), whole, rtol=0, atol=SAME
    )
    for mask, again in zip(filled, encoder.fill_mask(MASKED[2]), strict=True):
        assert again.position == mask.position
        np.testing.assert_allclose(again.probabilities, mask.probabilities, rtol=0, atol=SAME)


def test_a_sequence_has_the_same_terms_whatever_its_neighbors(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TIED))
    together = encoder.sparse(MASKED)
    for row, text in enumerate(MASKED):
        alone = encoder.sparse(text).terms()
        assert alone.keys() == together[row].terms().keys()
        for token, weight in together[row].terms().items():
            assert alone[token] == pytest.approx(weight, abs=SAME)


def test_terms_are_the_largest_outputs_of_the_head(make_model: "MakeModel") -> None:
    """With layers before the last, and a norm after it, which needs the whole vocabulary."""
    inner = HeadLayer(name="heads.inner", outputs=8, activation="tanh")
    normed = HeadLayer(name="heads.tokens", outputs=16, norm="heads.norm")
    encoder = bothways.load(make_model(Head(task="masked_tokens", layers=(inner, normed))))
    heads = encoder.session.heads
    weights = heads.weights(heads.find("masked_tokens", purpose="this"))
    dense = encoder.sparse(MASKED).to_scipy().toarray()
    for row, states in enumerate(encoder.contextualize(MASKED)):
        x = np.tanh(states.vectors @ weights["heads.inner.weight"].T + weights["heads.inner.bias"])
        x = x @ weights["heads.tokens.weight"].T + weights["heads.tokens.bias"]
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-12)
        x = x * weights["heads.norm.weight"] + weights["heads.norm.bias"]
        expected = np.log1p(np.maximum(x.max(axis=0), 0))
        np.testing.assert_allclose(dense[row], expected, rtol=0, atol=SAME)


def test_a_group_holds_no_more_sequences_than_their_largest_logits_may_take(
    make_model: "MakeModel", monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = bothways.load(make_model(TIED))
    whole = encoder.sparse(MASKED)
    module = sys.modules["bothways.inference.predict.sparse"]
    monkeypatch.setattr(module, "_LARGEST_BYTES", 2 * 4 * whole.shape[1])
    sizes: list[int] = []
    original = module._pooled_logits

    def watched(
        run: HeadRun, terms: TermWeighting, group: Sequence[np.ndarray], vocab_size: int
    ) -> np.ndarray:
        sizes.append(len(group))
        pooled: np.ndarray = original(run, terms, group, vocab_size)
        return pooled

    monkeypatch.setattr(module, "_pooled_logits", watched)
    again = encoder.sparse(MASKED)
    assert sizes == [2, 2, 1]
    np.testing.assert_allclose(again.data, whole.data, rtol=0, atol=SAME)


WEIGHTINGS = [
    TermWeighting(pooling="sum"),
    TermWeighting(activation="log1p_relu"),
    TermWeighting(pooling="sum", activation="log1p_relu", max_terms=3),
]


@pytest.mark.parametrize("terms", WEIGHTINGS, ids=str)
def test_terms_are_weighed_as_the_model_says(terms: TermWeighting, make_model: "MakeModel") -> None:
    path = make_model(TOKENS)
    settings = json.loads((path / "bothways.json").read_text())
    (path / "bothways.json").write_text(json.dumps(settings | {"terms": terms.to_dict()}))
    encoder = bothways.load(path)
    found = encoder.sparse(TEXTS).to_scipy().toarray()
    every = encoder.sparse(TEXTS, max_terms=16).to_scipy().toarray()
    for row, text in enumerate(TEXTS):
        logits = outputs_by_hand(path, encoder, text, "masked_tokens")
        expected = np.asarray(term_weights(logits, terms))
        np.testing.assert_allclose(every[row], expected, rtol=0, atol=SAME)
        kept = np.argsort(-expected)[: terms.max_terms]
        np.testing.assert_allclose(found[row, kept], expected[kept], rtol=0, atol=SAME)
        assert np.count_nonzero(found[row]) <= (terms.max_terms or 16)
    assert len(encoder.sparse(TEXTS[0], max_terms=1).terms()) == 1


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"pooling": "mean"}, "terms: pooling='mean': expected one of max, sum"),
        ({"source": "x"}, "terms: source='x'"),
        ({"max_terms": 0}, "terms: max_terms=0: expected at least 1"),
        ({"other": 1}, "terms: .*other"),
        ({"source": "tokens"}, "terms: source='tokens' needs one number per token"),
        ("max", "terms: "),
    ],
)
def test_malformed_weightings_of_terms_are_refused(
    terms: object, message: str, make_model: "MakeModel"
) -> None:
    path = make_model(TOKENS)
    settings = json.loads((path / "bothways.json").read_text())
    (path / "bothways.json").write_text(json.dumps(settings | {"terms": terms}))
    with pytest.raises(CheckpointError, match=message):
        bothways.load(path)
