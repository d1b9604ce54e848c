"""`SequenceClassifier`: a scikit-learn classifier that trains an encoder."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from bothways.inference.backends import BackendName
from bothways.model.baselines import EncoderName
from bothways.model.config import HeadPooling
from bothways.sklearn.inputs import as_sequences, refuse_masked_targets
from bothways.sklearn.trained import TrainedEstimator
from bothways.training.options.new_model import SizeName

__all__ = ["SequenceClassifier"]


class SequenceClassifier(ClassifierMixin, TrainedEstimator):  # type: ignore[misc]
    """Classify sequences with an encoder that is fine-tuned or trained from scratch.

        SequenceClassifier("minilm").fit(texts, labels).predict(new_texts)
        SequenceClassifier(alphabet="protein").fit(peptides, labels)

    X: texts; with `alphabet`, strings or lists of symbols; series (length, channels) in a list or
        an array (n, length, channels); or a table of numbers, each row a series of one channel.

    model: the model to fine-tune, as for `bothways.load`; None for a new model.
    size, fields: for a new model, `tiny`, `small` or `base`, and fields of its `EncoderConfig` to
        change; for an existing model, `fields` may set `dropout`.
    encoder: for a new model, `transformer`, or a baseline with as many weights: `lstm`, `gru`,
        `rnn`, `convolution`, `bag`, and the others of `bothways train --encoder`.
    alphabet, vocab_size: for a new model, how it reads symbols, as in `bothways train`, or the size
        of the vocabulary that is learned from the texts.
    max_length: the longest sequence, in tokens; longer ones are cut. None for the model's own.
    pooling: the pooling mode.
    frozen: whether only the head is trained, on vectors of `model` that are computed once.
    epochs, batch_tokens, learning_rate, weight_decay: as in `TrainingSettings`; None for a default
        that depends on the amount of data.
    class_weight: a weight for each class, or `balanced` to weight all classes equally; None to
        weight all sequences equally.
    validation_fraction: fraction of X held out to choose the best weights; 0 to train on all of X
        and keep the last weights.
    patience: number of validations without improvement after which training stops; None to disable.
    random_state: seed of the weights, the order of the data, and dropout.
    device, threads: for training. backend: for prediction, as in `bothways.load`.
    verbose: 0 prints nothing; 1 a line for each epoch and validation; 2 a line for each step.

    classes_: the classes in the order of `predict_proba`. model_: the trained model; `.encoder` is
    its `bothways.Encoder`. n_features_in_: the length of the series, if X was a table.

    A pickle contains the whole model.
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
        pooling: HeadPooling = "mean",
        frozen: bool = False,
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
        verbose: int = 0,
    ) -> None:
        super().__init__(
            model,
            size=size,
            fields=fields,
            encoder=encoder,
            alphabet=alphabet,
            vocab_size=vocab_size,
            max_length=max_length,
            pooling=pooling,
            frozen=frozen,
            epochs=epochs,
            batch_tokens=batch_tokens,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            validation_fraction=validation_fraction,
            patience=patience,
            random_state=random_state,
            device=device,
            threads=threads,
            backend=backend,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any) -> Self:
        """Train the model.

        Raises:
            ValueError: if X or y is invalid, or y has only one class.
            BothwaysError: as `bothways.training`.
        """
        sequences = as_sequences(self, X, reset=True)
        self.classes_, target = self._classes(y, len(sequences))
        names = [str(label) for label in self.classes_.tolist()]
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_[target]
            )

        from bothways.sklearn.training import Targets  # torch, which `predict` can miss

        self._train(sequences, Targets("classes", target, names, weights))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, float64 (n, classes); rows sum to 1.

        Raises:
            InputError: naming the sequence that is invalid.
        """
        check_is_fitted(self)
        sequences = as_sequences(self, X, reset=False)
        encoder = self.model_.encoder
        classifications = self._notices.call(lambda: encoder.classify(sequences))
        probabilities: np.ndarray = classifications.probabilities.astype(np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each sequence, (n,).

        Raises:
            InputError: naming the sequence that is invalid.
        """
        check_is_fitted(self)
        classes: np.ndarray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def _classes(self, y: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The classes, sorted, and the index of the class of each row."""
        if y is None:
            raise ValueError("SequenceClassifier requires y to be passed, but the target y is None")
        refuse_masked_targets(y)
        y = column_or_1d(y, warn=True)
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        if len(y) != count:
            raise ValueError(
                f"X has {count} sequences and y has {len(y)} classes; expected as many"
            )
        classes, target = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"y has only one class, {classes.tolist()[0]!r}; expected at least two"
            )
        return classes, target
