import gc
import importlib
import pickle
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import bothways
from bothways.errors import (
    CheckpointError,
    InputError,
    MissingExtra,
    TruncationWarning,
    UnknownTokenWarning,
)
from bothways.model.baselines import BaselineConfig
from bothways.model.config import EncoderConfig
from bothways.sequences import Alphabet, Series, SeriesReader, SymbolReader
from bothways.sklearn import SequenceClassifier, SequenceEncoder, SequenceRegressor
from bothways.training.engine import loop

SMALL: dict[str, Any] = {"num_layers": 1, "d_model": 16}
TEXTS = ["the cat sat", "a dog ran", "the cat ran", "a dog sat"] * 5
ANIMALS = ["cat", "dog"] * 10


def _small_classifier(**parameters: Any) -> SequenceClassifier:
    quick: dict[str, Any] = {"fields": SMALL, "epochs": 3, "threads": 1, "random_state": 0}
    return SequenceClassifier(**quick | parameters)


@pytest.fixture(scope="module")
def series_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A new encoder of series with one channel."""
    out = tmp_path_factory.mktemp("models") / "series"
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, max_length=64, input="vectors",
        num_channels=1,
    )  # fmt: skip
    return str(bothways.create(out, config, SeriesReader(Series.as_is(1))))


@pytest.fixture(scope="module")
def letters_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A new encoder of single characters."""
    alphabet = Alphabet.from_sequences(["abcdefghijklmnopqrstuvwxyz "])
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=16, d_ff=16, max_length=32, vocab_size=len(alphabet)
    )
    out = tmp_path_factory.mktemp("models") / "letters"
    return str(bothways.create(out, config, SymbolReader(alphabet)))


# SequenceEncoder


def test_the_encoder_passes_scikit_learns_checks(series_folder: str) -> None:
    results = check_estimator(SequenceEncoder(series_folder, threads=1), on_skip=None)
    passed = [result for result in results if result["status"] == "passed"]
    assert len(passed) >= 40  # of about 47; none fails, and the skipped ones need other libraries


def test_vectors_are_those_of_the_model(letters_folder: str) -> None:
    encoder = SequenceEncoder(letters_folder, pooling="max", normalize=True, dimensions=8)
    vectors = encoder.fit_transform(TEXTS)
    expected = bothways.load(letters_folder).encode(
        TEXTS, pooling="max", normalize=True, dimensions=8
    )
    assert np.array_equal(vectors, expected)
    assert encoder.get_feature_names_out().tolist() == [f"sequenceencoder{i}" for i in range(8)]


@pytest.mark.parametrize("container", [list, tuple, np.array, lambda x: np.array(x, dtype=object)])
def test_texts_are_accepted_in_any_container(letters_folder: str, container: Any) -> None:
    encoder = SequenceEncoder(letters_folder)
    expected = encoder.fit_transform(TEXTS)
    assert np.array_equal(encoder.fit_transform(container(TEXTS)), expected)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_texts_are_accepted_in_a_column_and_in_a_table_of_one(
    letters_folder: str, library: str
) -> None:
    module: Any = pytest.importorskip(library, reason=f"{library} is not installed")
    table = (module.table if library == "pyarrow" else module.DataFrame)({"text": TEXTS})
    encoder = SequenceEncoder(letters_folder)
    expected = encoder.fit_transform(TEXTS)
    assert np.array_equal(encoder.fit_transform(table["text"]), expected)
    assert np.array_equal(encoder.fit_transform(table), expected)


def test_polars_may_hold_lists_and_lazy_frames_are_refused(
    letters_folder: str, series_folder: str
) -> None:
    polars: Any = pytest.importorskip("polars", reason="polars is not installed")
    table = np.random.default_rng(0).normal(size=(4, 6))
    encoder = SequenceEncoder(series_folder)
    expected = encoder.fit_transform(table)
    for X in (polars.DataFrame(table), polars.Series(table), polars.Series(table.tolist())):
        assert np.array_equal(encoder.fit_transform(X), expected)
    with pytest.raises(InputError, match="got a LazyFrame; collect it"):
        SequenceEncoder(letters_folder).fit(polars.LazyFrame({"text": TEXTS}))


def test_a_gap_in_a_masked_array_is_refused(series_folder: str) -> None:
    table: Any = np.ma.array(np.zeros((3, 4)), mask=np.eye(3, 4, dtype=bool))
    for X in (table, table[:, :, None], list(table)):
        with pytest.raises(InputError, match="position 0, channel 0: masked"):
            SequenceEncoder(series_folder).fit(X)


def test_series_of_any_length_are_read_as_series(series_folder: str) -> None:
    encoder = SequenceEncoder(series_folder)
    table = np.random.default_rng(0).normal(size=(4, 6))
    expected = encoder.fit_transform(table)
    assert encoder.n_features_in_ == 6
    for same in (table[:, :, None], list(table[:, :, None]), table.tolist(), list(table)):
        assert np.array_equal(encoder.fit_transform(same), expected)
    ragged = encoder.fit_transform([table[0], table[1, :3]])
    assert np.array_equal(ragged[0], expected[0])
    assert not hasattr(encoder, "n_features_in_")
    numbers = encoder.fit_transform([[1.0, 2.0], [3.0]])
    assert np.array_equal(numbers[1], encoder.transform([np.array([[3.0]])])[0])


def test_inputs_that_are_not_sequences_are_refused(letters_folder: str, series_folder: str) -> None:
    with pytest.raises(ValueError, match="a single text; put it in a list"):
        SequenceEncoder(letters_folder).fit("one text")
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        SequenceEncoder(letters_folder).fit([])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        SequenceEncoder(series_folder).fit([1.0, 2.0])
    with pytest.raises(InputError, match="sequence 0"):
        SequenceEncoder(series_folder).fit(TEXTS)
    with pytest.raises(InputError, match="sequence 0"):
        SequenceEncoder(letters_folder).fit(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"a table of texts; pass one column"):
        SequenceEncoder(letters_folder).fit(np.array([["a", "b"], ["c", "d"]]))
    with pytest.raises(InputError, match="sequence 1: got None; expected a text"):
        SequenceEncoder(letters_folder).fit(["a", None])


def test_a_pipeline_with_the_encoder_is_searched(letters_folder: str) -> None:
    pipeline = make_pipeline(SequenceEncoder(letters_folder, threads=1), LogisticRegression())
    grid = {"sequenceencoder__pooling": ["mean", "max"], "logisticregression__C": [0.1, 100.0]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(TEXTS, ANIMALS)
    assert search.best_score_ > 0.9
    assert search.predict(["a dog sat"]).tolist() == ["dog"]


def test_a_pickled_encoder_gives_the_same_bits(letters_folder: str) -> None:
    encoder = SequenceEncoder(letters_folder, pooling="max").fit(TEXTS)
    again = pickle.loads(pickle.dumps(encoder))  # noqa: S301
    assert np.array_equal(again.transform(TEXTS), encoder.transform(TEXTS))
    unfitted = pickle.loads(pickle.dumps(clone(encoder)))  # noqa: S301
    with pytest.raises(NotFittedError):
        unfitted.transform(TEXTS)


def test_a_pickled_encoder_refuses_another_model(letters_folder: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(letters_folder, tmp_path / "model"))
    pickled = pickle.dumps(SequenceEncoder(str(folder)).fit(TEXTS))
    config = bothways.load(folder).config
    alphabet = Alphabet.from_sequences(["abcdefghijklmnopqrstuvwxyz "])
    shutil.rmtree(folder)
    bothways.create(folder, config, SymbolReader(alphabet), seed=1)
    with pytest.raises(CheckpointError, match="not the model that was pickled"):
        pickle.loads(pickled)  # noqa: S301


# SequenceClassifier


QUICK_LEARNER = _small_classifier(epochs=10, batch_tokens=128, learning_rate=1e-2)
"""Learns enough in 50 steps for the checks that measure a score."""


@parametrize_with_checks([QUICK_LEARNER])  # type: ignore[untyped-decorator]
def test_the_classifier_passes_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize(
    ("X", "parameters"),
    [
        (TEXTS, {"vocab_size": 60}),
        (TEXTS, {"alphabet": "characters"}),
        ([list(text) for text in TEXTS], {}),
        ([np.full((len(t) - i % 3, 2), float("cat" in t)) for i, t in enumerate(TEXTS)], {}),
        (np.array([[[float("cat" in t)]] * 3 for t in TEXTS]), {}),
    ],
    ids=["texts", "characters", "symbols", "series", "series in an array"],
)
def test_every_kind_of_sequence_can_be_classified(X: Any, parameters: dict[str, Any]) -> None:
    classifier = _small_classifier(epochs=30, learning_rate=3e-3, **parameters).fit(X, ANIMALS)
    assert classifier.score(X, ANIMALS) == 1
    assert classifier.classes_.tolist() == ["cat", "dog"]


def test_a_recurrent_encoder_is_chosen_by_a_search() -> None:
    search = GridSearchCV(
        _small_classifier(alphabet="characters", epochs=30, learning_rate=1e-2),
        {"encoder": ["lstm", "bag"]},
        cv=2,
    ).fit(TEXTS, ANIMALS)
    assert search.cv_results_["mean_test_score"].min() == 1
    assert isinstance(search.best_estimator_.model_.encoder.config, BaselineConfig)


def test_an_existing_model_is_fine_tuned(letters_folder: str) -> None:
    classifier = _small_classifier(
        model=letters_folder, fields=None, epochs=30, learning_rate=3e-3
    ).fit(TEXTS, ANIMALS)
    assert classifier.score(TEXTS, ANIMALS) == 1
    assert classifier.model_.encoder.config == bothways.load(letters_folder).config


@pytest.mark.parametrize("y", [[3, -1] * 10, [True, False] * 10, [2.0, 1.0] * 10, ANIMALS])
def test_predictions_have_the_type_of_the_given_classes(y: list[Any]) -> None:
    X = np.array([[1.0, 1.0], [0.0, 0.0]] * 10)
    classifier = _small_classifier(epochs=30, learning_rate=3e-3).fit(X, y)
    assert classifier.predict(X).tolist() == y
    assert classifier.predict(X).dtype == np.asarray(y).dtype


def test_the_random_state_determines_the_predictions() -> None:
    first, same, other = (
        _small_classifier(random_state=seed).fit(TEXTS, ANIMALS).predict_proba(TEXTS)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_pickle_contains_the_whole_model() -> None:
    classifier = _small_classifier().fit(TEXTS, ANIMALS)
    expected = classifier.predict_proba(TEXTS)
    pickled = pickle.dumps(classifier)
    del classifier
    gc.collect()
    again = pickle.loads(pickled)  # noqa: S301
    assert np.array_equal(again.predict_proba(TEXTS), expected)


@pytest.mark.parametrize("estimator", [SequenceClassifier(), SequenceRegressor()])
def test_masked_targets_are_refused(estimator: Any) -> None:
    y = np.ma.masked_array([0, 1, 0, 1], mask=[False, False, True, False])
    with pytest.raises(ValueError, match=r"y\[2\] is masked"):
        estimator.fit(TEXTS[:4], y)


@pytest.mark.parametrize("make", ["encoder", "classifier"])
def test_a_pickle_of_an_earlier_version_is_used(make: str, letters_folder: str) -> None:
    estimator = SequenceEncoder(letters_folder) if make == "encoder" else _small_classifier()
    estimator.fit(TEXTS, ANIMALS)
    work = estimator.transform if make == "encoder" else estimator.predict_proba
    expected = work(TEXTS)
    for name in ("_notices", "on_unknown", "frozen", "verbose"):  # were added later
        estimator.__dict__.pop(name, None)
    again = pickle.loads(pickle.dumps(estimator))  # noqa: S301
    result = again.transform(TEXTS) if make == "encoder" else again.predict_proba(TEXTS)
    assert np.array_equal(result, expected)
    assert again.get_params() == type(again)(**again.get_params()).get_params()


def test_the_trained_model_is_a_model_folder(tmp_path: Path) -> None:
    classifier = _small_classifier().fit(TEXTS, ANIMALS)
    classifier.model_.save(tmp_path / "model")
    encoder = bothways.load(tmp_path / "model")
    assert encoder.classify(TEXTS).labels == classifier.predict(TEXTS).tolist()
    (tmp_path / "new").mkdir()
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "new").stat().st_mode
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "bothways.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip


def test_the_folder_of_a_model_is_removed_with_its_estimator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    classifier = _small_classifier().fit(TEXTS, ANIMALS)
    assert len(list(tmp_path.iterdir())) == 1
    del classifier
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_parameters_are_searched() -> None:
    X, y = np.tile(np.arange(4.0)[:, None], (10, 3)), list("wxyz") * 10
    grid = {"learning_rate": [1e-9, 1e-2], "epochs": [10]}
    search = GridSearchCV(_small_classifier(), grid, cv=2).fit(X, y)
    assert search.best_params_["learning_rate"] == 1e-2
    assert search.best_score_ == 1


def test_the_held_out_sequences_choose_the_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    validated = []

    def record(*arguments: Any, **options: Any) -> Any:
        validated.append(len(arguments[3]))
        return loop.fit(*arguments, **options)

    monkeypatch.setattr("bothways.sklearn.training.fit", record)
    classifier = _small_classifier(validation_fraction=0.2, patience=1, epochs=50)
    classifier.fit(TEXTS, ANIMALS)
    assert validated == [4]


def test_weights_of_classes_shift_predictions() -> None:
    X, y = np.zeros((20, 2)), [0] * 15 + [1] * 5
    plain = _small_classifier(epochs=10).fit(X, y).predict_proba(X[:1])
    balanced = _small_classifier(epochs=10, class_weight="balanced").fit(X, y).predict_proba(X[:1])
    rare = _small_classifier(epochs=10, class_weight={0: 1, 1: 100}).fit(X, y).predict_proba(X[:1])
    assert plain[0, 1] < balanced[0, 1] < rare[0, 1]


def test_cut_sequences_are_counted_once_per_fit_with_the_parameter_to_change() -> None:
    classifier = _small_classifier(max_length=4, alphabet="characters")
    message = "20 of 20 sequences were longer than 4 positions and were cut; max_length= sets where"
    with pytest.warns(TruncationWarning, match=message) as given:
        classifier.fit(TEXTS, ANIMALS)
    assert len(given) == 1
    assert given[0].filename == __file__
    classifier.predict(TEXTS)  # warnings are errors here
    with pytest.warns(TruncationWarning):
        classifier.fit(TEXTS, ANIMALS)


def test_predictions_warn_once_if_the_training_data_fitted() -> None:
    classifier = _small_classifier(max_length=12, alphabet="characters").fit(
        ["ab", "ba"] * 5, ANIMALS[:10]
    )
    with pytest.warns(TruncationWarning, match="1 of 1 .*; max_length= sets where") as given:
        classifier.predict(["a" * 40])
    assert "on_overflow" not in str(given[0].message)
    assert given[0].filename == __file__
    classifier.predict(["b" * 40])


def test_the_encoder_warns_once_per_fit_of_its_own_parameters(letters_folder: str) -> None:
    encoder = SequenceEncoder(letters_folder).fit(TEXTS)
    with pytest.warns(TruncationWarning, match="on_overflow='window'"):
        encoder.transform(["a" * 40])
    encoder.transform(["b" * 40])
    with pytest.warns(UnknownTokenWarning, match="on_unknown='error'"):
        encoder.transform(["ABC"])
    encoder.transform(["ABC"])
    with pytest.raises(InputError, match="unknown to the model"):
        SequenceEncoder(letters_folder, on_unknown="error").fit(["ABC"])


def test_verbose_prints_a_line_for_each_epoch_and_validation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _small_classifier(validation_fraction=0.2, verbose=1).fit(TEXTS, ANIMALS)
    lines = capsys.readouterr().out.splitlines()
    epochs = [line for line in lines if ", epoch " in line]
    assert len(epochs) == 3
    assert re.fullmatch(r"step \d+ of \d+, epoch 3 of 3: loss [\d.]+, [\d,]+ tokens/s", epochs[-1])
    assert any(re.match(r"step \d+: held out: loss [\d.]+, accuracy", line) for line in lines)
    _small_classifier(verbose=2).fit(TEXTS, ANIMALS)
    assert len(capsys.readouterr().out.splitlines()) > 3
    _small_classifier().fit(TEXTS, ANIMALS)
    assert capsys.readouterr().out == ""


def test_a_head_is_trained_on_a_frozen_model(letters_folder: str) -> None:
    classifier = _small_classifier(model=letters_folder, fields=None, frozen=True, epochs=30)
    classifier.fit(TEXTS, ANIMALS)
    assert classifier.score(TEXTS, ANIMALS) == 1
    expected = bothways.load(letters_folder).encode(TEXTS)
    assert np.array_equal(classifier.model_.encoder.encode(TEXTS), expected)
    with pytest.raises(ValueError, match="frozen=True trains only a head"):
        _small_classifier(frozen=True).fit(TEXTS, ANIMALS)


def test_a_single_class_is_refused() -> None:
    with pytest.raises(ValueError, match="only one class, 'x'; expected at least two"):
        _small_classifier().fit(TEXTS, ["x"] * 20)


def test_each_sequence_needs_a_class() -> None:
    with pytest.raises(ValueError, match="20 sequences and y has 3 classes"):
        _small_classifier().fit(TEXTS, ["x", "y", "x"])


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "bothways.sklearn")
    with pytest.raises(MissingExtra, match=r"\[sklearn\]"):
        importlib.import_module("bothways.sklearn")


# SequenceRegressor


QUICK_REGRESSOR = SequenceRegressor(
    fields={**SMALL, "dropout": 0.0, "position_embedding": "learned"},
    epochs=10,
    batch_tokens=256,
    learning_rate=3e-2,
    threads=1,
    random_state=0,
)
"""Learns enough in 90 steps for the check that measures a score."""


@parametrize_with_checks([QUICK_REGRESSOR])  # type: ignore[untyped-decorator]
def test_the_regressor_passes_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_numbers_are_predicted_in_their_own_units() -> None:
    texts = ["a" * n for n in range(1, 21)]
    y = np.array([1000.0 + 100 * len(text) for text in texts])
    regressor = clone(QUICK_REGRESSOR).set_params(
        alphabet="characters", epochs=60, learning_rate=1e-2, pooling="max"
    )
    predicted = regressor.fit(texts, y).predict(texts)
    assert predicted.shape == (20,)
    assert predicted.dtype == np.float64
    assert regressor.score(texts, y) > 0.9
    two = regressor.fit(texts, np.stack([y, -y], axis=1)).predict(texts)
    assert two.shape == (20, 2)
    assert abs(two.sum(axis=1)).max() < 1000
    again = pickle.loads(pickle.dumps(regressor))  # noqa: S301
    assert np.array_equal(again.predict(texts), two)


def test_each_sequence_needs_a_number() -> None:
    with pytest.raises(ValueError, match="20 sequences and y has 3 numbers"):
        clone(QUICK_REGRESSOR).fit(TEXTS, [1, 2, 3])
