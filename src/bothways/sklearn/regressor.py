"""`SequenceRegressor`: a scikit-learn regressor that trains an encoder."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted

from bothways.sklearn.inputs import as_sequences, refuse_masked_targets
from bothways.sklearn.trained import TrainedEstimator

__all__ = ["SequenceRegressor"]


class SequenceRegressor(RegressorMixin, TrainedEstimator):  # type: ignore[misc]
    """Predict numbers from sequences, with an encoder that is fine-tuned or trained from scratch.

        SequenceRegressor("minilm").fit(texts, scores).predict(new_texts)
        SequenceRegressor(alphabet="smiles").fit(molecules, boiling_points)

    y: numbers, (n,) or several for each sequence, (n, values). Training standardizes them.

    X and the parameters are those of `SequenceClassifier`, without `class_weight`.

    model_: the trained model; `.encoder` is its `bothways.Encoder`. n_features_in_: the length of
    the series, if X was a table.

    A pickle contains the whole model.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train the model.

        Raises:
            ValueError: if X or y is invalid.
            BothwaysError: as `bothways.training`.
        """
        sequences = as_sequences(self, X, reset=True)
        numbers = self._numbers(y, len(sequences))
        self._is_flat = numbers.ndim == 1

        from bothways.sklearn.training import Targets  # torch, which `predict` can miss

        columns = numbers.reshape(len(numbers), -1)
        names = [f"value {i}" for i in range(columns.shape[1])]
        self._train(sequences, Targets("values", columns.astype(np.float32), names))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The number of each sequence, float64 (n,); or (n, values), as y was.

        Raises:
            InputError: naming the sequence that is invalid.
        """
        check_is_fitted(self)
        sequences = as_sequences(self, X, reset=False)
        encoder = self.model_.encoder
        predicted = self._notices.call(lambda: encoder.predict(sequences))
        numbers: np.ndarray = predicted.reshape(len(sequences), -1).astype(np.float64)
        return numbers[:, 0] if self._is_flat else numbers

    def _numbers(self, y: Any, count: int) -> np.ndarray:
        """The numbers as an array, float64 (n,) or (n, values)."""
        if y is None:
            raise ValueError("SequenceRegressor requires y to be passed, but the target y is None")
        refuse_masked_targets(y)
        numbers: np.ndarray = check_array(
            y, ensure_2d=False, dtype=np.float64, input_name="y", ensure_min_samples=1
        )
        if len(numbers) != count:
            raise ValueError(f"X has {count} sequences and y has {len(numbers)} numbers")
        return numbers

    def __sklearn_tags__(self) -> Tags:
        """The kinds of X and y that are supported."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
