"""`SequenceClassifier`: an encoder trained to tell classes apart, as a scikit-learn estimator."""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, assert_all_finite, check_random_state, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from bothways.inference.backends import BackendName
from bothways.model.baselines import EncoderName
from bothways.model.config import PoolingMode
from bothways.sklearn.inputs import as_sequences
from bothways.sklearn.kept import KeptModel
from bothways.training.options.new_model import NewModelOptions, SizeName
from bothways.training.settings import TrainingSettings

__all__ = ["SequenceClassifier"]

SEEDS = 2**31
"""How many seeds `random_state` is drawn from."""


class SequenceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify sequences with an encoder: one that is there trained on, or a fresh one.

        SequenceClassifier("minilm").fit(texts, labels).predict(others)
        SequenceClassifier(alphabet="protein").fit(peptides, labels)

    X: texts; with `alphabet` strings or lists of symbols; series (length, channels) in a list or
        an array (n, length, channels); or a table of numbers, each row a series of one channel.

    model: what to train on, as `bothways.load` takes it; None for a new model.
    size, fields: of a new model: `tiny`, `small` or `base`, and fields of its `EncoderConfig`
        that are to be otherwise; of one that is there, `dropout` may be.
    encoder: of a new model: `transformer`, or what has as many weights: `lstm`, `gru`, `rnn`,
        `convolution`, `bag`, and the others of `bothways train --encoder`.
    alphabet, vocab_size: of a new model: how symbols are read, as in `bothways train`; how many
        tokens its vocabulary has, which is made of the texts.
    max_length: the longest sequence, in positions; longer ones are cut. None for the model's own.
    pooling: how positions become one vector.
    epochs, batch_tokens, learning_rate, weight_decay: as in `TrainingSettings`; None for what has
        served well for so much data.
    class_weight: by class, or `balanced` for all to count the same; None for each sequence to.
    validation_fraction: of X, held out to keep the best of the weights on the way; 0 to learn from
        all of X, and keep the last.
    patience: validations without a better one after which training ends; None for never.
    random_state: of weights, order and dropout.
    device, threads: to train on. backend: to predict with, as in `bothways.load`.

    classes_: in the order of `predict_proba`. model_: the trained model, whose `encoder` is one of
    bothways; n_features_in_: of a table, the length of its series.

    A pickle holds the whole model.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        size: SizeName = "tiny",
        fields: Mapping[str, Any] | None = None,
        encoder: EncoderName = "transformer",
        alphabet: str | None = None,
        vocab_size: int | None = None,
        max_length: int | None = None,
        pooling: PoolingMode = "mean",
        epochs: float | None = None,
        batch_tokens: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 0.01,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str | None = None,
        threads: int | None = None,
        backend: BackendName = "auto",
    ) -> None:
        self.model = model
        self.size = size
        self.fields = fields
        self.encoder = encoder
        self.alphabet = alphabet
        self.vocab_size = vocab_size
        self.max_length = max_length
        self.pooling = pooling
        self.epochs = epochs
        self.batch_tokens = batch_tokens
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.threads = threads
        self.backend = backend

    def fit(self, X: Any, y: Any) -> Self:
        """Train.

        Raises:
            ValueError: if X or y are not what they should be, or there is one class alone.
            BothwaysError: as `bothways.training` raises them.
        """
        sequences = as_sequences(self, X, reset=True)
        self.classes_, target = self._classes(y, len(sequences))
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        names = [str(label) for label in self.classes_.tolist()]
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_[target]
            )

        from bothways.sklearn.learning import learn_classes  # needs torch, which `predict` does not

        learn = partial(
            learn_classes,
            sequences=sequences,
            target=target,
            names=names,
            source=self.model,
            options=self._new_model_options(),
            pooling=self.pooling,
            class_weights=weights,
            validation_fraction=self.validation_fraction,
            batch_tokens=self.batch_tokens,
            settings=self._settings(seed),
        )
        self.model_ = KeptModel(learn, backend=self.backend)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, float64 (n, classes); rows sum to 1.

        Raises:
            InputError: naming the sequence that cannot be read.
        """
        check_is_fitted(self)
        sequences = as_sequences(self, X, reset=False)
        found = self.model_.encoder.classify(sequences)
        probabilities: np.ndarray = found.probabilities.astype(np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each sequence, (n,).

        Raises:
            InputError: naming the sequence that cannot be read.
        """
        check_is_fitted(self)
        classes: np.ndarray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def _classes(self, y: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The classes, sorted, and the index of each row's."""
        if y is None:
            raise ValueError("SequenceClassifier requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        if len(y) != count:
            raise ValueError(f"{count} sequences and {len(y)} classes; each needs one")
        classes, target = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"one class alone, {classes.tolist()[0]!r}; there is nothing to tell apart"
            )
        return classes, target

    def _settings(self, seed: int) -> TrainingSettings:
        never = None if self.validation_fraction else sys.maxsize
        return TrainingSettings(
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            validate_every=never,
            checkpoint_every=sys.maxsize,  # nobody could resume it
            seed=seed,
            device=self.device,
            threads=self.threads,
        )

    def _new_model_options(self) -> NewModelOptions:
        return NewModelOptions(
            size=self.size,
            encoder=self.encoder,
            alphabet=self.alphabet,
            vocab_size=self.vocab_size,
            max_length=self.max_length,
            fields=self.fields or {},
        )

    def __sklearn_tags__(self) -> Tags:
        """Which kinds of X there are."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags
