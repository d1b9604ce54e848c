"""Simple models of every kind of sequence and target, on rows that they can learn."""

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from bothways.training.simple_models import candidates
from bothways.training.simple_models.candidates import Candidate, Target
from bothways.training.simple_models.features import random_convolutions, same_length
from bothways.training.simple_models.fitting import SimpleModel, choose_rows, fit

RNG = np.random.default_rng(5)


def _rows(kind: str, count: int) -> tuple[list[Any], np.ndarray]:
    """Sequences of classes 0 and 1, which differ in a word, a symbol or a level."""
    label = np.arange(count) % 2
    match kind:
        case "text":
            return [f"{RNG.integers(9)} {('cat', 'dog')[i]} it" for i in label.tolist()], label
        case "symbols" | "aligned symbols":
            length = 8 if kind == "aligned symbols" else None
            rows = [RNG.integers(5, 8, size=length or RNG.integers(6, 9)) for _ in label]
            for row, i in zip(rows, label.tolist(), strict=True):
                row[3] = 8 + i
            return rows, label
        case _:
            length = 12 if kind == "aligned series" else None
            return [
                RNG.normal(size=(length or RNG.integers(9, 14), 2)) + 2 * i for i in label.tolist()
            ], label


def _fit(*arguments: Any) -> tuple[SimpleModel, float]:
    fitted = fit(*arguments)
    assert fitted is not None
    return fitted


def _candidates(kind: str, target: Target, inputs: list[Any]) -> list[Candidate]:
    match kind.split()[-1]:
        case "text":
            return list(candidates.of_texts(target, 2))
        case "symbols":
            return list(candidates.of_symbols(target, 2, inputs))
        case _:
            return list(candidates.of_series(target, inputs))


@pytest.mark.parametrize("target", ["class", "labels", "values"])
@pytest.mark.parametrize("kind", ["text", "symbols", "aligned symbols", "series", "aligned series"])
def test_every_candidate_learns(kind: str, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_TREES", 5)
    inputs, label = _rows(kind, 40)
    match target:
        case "class":
            wanted = label
        case "labels":
            wanted = np.stack([label, 1 - label], axis=1)
        case "values":
            wanted = (10.0 + label)[:, None]
    assert kind == "text" or same_length(inputs) == kind.startswith("aligned")
    for candidate in _candidates(kind, target, inputs):
        model, _ = _fit([candidate], inputs[:30], wanted[:30], inputs[30:])
        assert model.predicted.shape == wanted[30:].shape
        error = np.abs(model.predicted - wanted[30:]).mean()
        assert error < 0.4, model.name
        assert model.rows == 30


def test_cross_validation_chooses_among_candidates() -> None:
    inputs, label = _rows("aligned symbols", 40)
    useless = Candidate("useless", make_pipeline(*_useless()))
    some = _candidates("aligned symbols", "class", inputs)[:1]
    model, score = _fit([useless, *some], inputs[:30], label[:30], inputs[30:])
    assert model.name == "one-hot positions with logistic regression"
    assert score > 0.9


def _useless() -> tuple[Any, Any]:
    return FunctionTransformer(), DummyClassifier()


def test_a_single_row_of_a_class_and_few_rows_are_no_errors() -> None:
    inputs, label = _rows("text", 5)
    model, score = _fit(list(candidates.of_texts("class", 2)), inputs, label, inputs)
    assert np.isnan(score)
    assert (model.predicted == label).all()


def test_texts_without_words_have_no_simple_model() -> None:
    texts = ["!!", "??"] * 5
    assert fit(list(candidates.of_texts("class", 2)), texts, np.arange(10) % 2, texts) is None


def test_kernels_do_not_depend_on_other_series() -> None:
    series = [RNG.normal(size=(length, 2)) for length in (4, 9, 30)]
    together = random_convolutions(series, shortest=4, num_kernels=20)
    alone = random_convolutions(series[1:2], shortest=4, num_kernels=20)
    np.testing.assert_allclose(together[1:2], alone)
    assert np.isfinite(together).all()


def test_series_of_one_position_have_features() -> None:
    series = [np.array([[float(i)]]) for i in range(3)]
    assert np.isfinite(random_convolutions(series, shortest=1, num_kernels=5)).all()


def test_large_data_is_sampled() -> None:
    assert choose_rows(7, seed=0).tolist() == list(range(7))
    rows = choose_rows(50_000, seed=0)
    assert len(rows) == 20_000
    assert (np.diff(rows) > 0).all()
