"""`SequenceEncoder`: a scikit-learn transformer from sequences to vectors."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

import bothways
from bothways.encoder import Encoder
from bothways.inference.backends import BackendName, Precision
from bothways.inference.options import OnUnknown
from bothways.model.config import PoolingMode
from bothways.sequences import OnOverflow
from bothways.sklearn.earlier_pickles import ReadsEarlierPickles
from bothways.sklearn.inputs import as_sequences
from bothways.sklearn.notices import Notices

__all__ = ["SequenceEncoder"]


class SequenceEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ReadsEarlierPickles):  # type: ignore[misc]
    """Encode sequences with an existing model: one vector for each.

        make_pipeline(SequenceEncoder("minilm"), LogisticRegression()).fit(texts, labels)

    `fit` loads the model and trains nothing. The parameters are those of `bothways.load` and
    `Encoder.encode`; None means the model's own.

    X: texts, lists of symbols or series, as the model reads them; for a model of series with one
        channel also a table of numbers, each row a series.

    encoder_: the loaded model. n_features_in_: the length of the series, if X was a table.

    A pickle contains the name and the fingerprint of the model, and no weights. Unpickling loads
    the model again, and fails if its fingerprint differs.
    """

    def __init__(
        self,
        model: str = "minilm",
        *,
        pooling: PoolingMode | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_tokens: int | None = None,
        backend: BackendName = "auto",
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.pooling = pooling
        self.normalize = normalize
        self.dimensions = dimensions
        self.prompt = prompt
        self.prompt_name = prompt_name
        self.on_overflow = on_overflow
        self.on_unknown = on_unknown
        self.max_tokens = max_tokens
        self.backend = backend
        self.precision = precision
        self.threads = threads

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the model, and encode the first sequence to check X.

        Raises:
            SourceError, CheckpointError: as `bothways.load`, if the model cannot be loaded.
            InputError: if the first sequence is invalid.
        """
        sequences = as_sequences(self, X, reset=True)
        self.encoder_ = self._load()
        self._notices = Notices(self._advice)
        self._n_features_out = self._encode(sequences[:1]).shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """One vector per sequence, float32 (n, d).

        Raises:
            InputError: naming the sequence that is invalid.
        """
        check_is_fitted(self)
        return self._encode(as_sequences(self, X, reset=False))

    def _encode(self, sequences: Sequence[Any]) -> np.ndarray:
        return self._notices.call(lambda: self._vectors(sequences))

    def _vectors(self, sequences: Sequence[Any]) -> np.ndarray:
        return self.encoder_.encode(
            sequences,
            pooling=self.pooling,
            normalize=self.normalize,
            dimensions=self.dimensions,
            prompt=self.prompt,
            prompt_name=self.prompt_name,
            on_overflow=self.on_overflow,
            on_unknown=self.on_unknown,
            max_tokens=self.max_tokens,
        )

    def _load(self) -> Encoder:
        return bothways.load(
            self.model, backend=self.backend, precision=self.precision, threads=self.threads
        )

    def __sklearn_tags__(self) -> Tags:
        """The kinds of X that are supported."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
