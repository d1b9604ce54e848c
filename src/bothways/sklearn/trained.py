"""`TrainedEstimator`: the parts that the estimators which train an encoder share."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import Tags, check_random_state

from bothways.inference.backends import BackendName
from bothways.model.baselines import EncoderName
from bothways.model.config import HeadPooling
from bothways.sklearn.earlier_pickles import ReadsEarlierPickles
from bothways.sklearn.fitted_model import FittedModel
from bothways.sklearn.notices import Notices
from bothways.training.options.new_model import NewModelOptions, SizeName
from bothways.training.settings import TrainingSettings

if TYPE_CHECKING:
    from bothways.sklearn.training import Targets

__all__ = ["TrainedEstimator"]

SEEDS = 2**31
"""Number of seeds that `random_state` chooses from."""


class TrainedEstimator(ReadsEarlierPickles):
    """An estimator that fine-tunes an encoder with a head, or trains a new one.

    `SequenceClassifier` describes the parameters.
    """

    _advice = (
        "max_length= sets where sequences are cut, up to the limit of the model that is fine-tuned"
    )

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
        validation_fraction: float = 0.0,
        patience: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str | None = None,
        threads: int | None = None,
        backend: BackendName = "auto",
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.size = size
        self.fields = fields
        self.encoder = encoder
        self.alphabet = alphabet
        self.vocab_size = vocab_size
        self.max_length = max_length
        self.pooling = pooling
        self.frozen = frozen
        self.epochs = epochs
        self.batch_tokens = batch_tokens
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.threads = threads
        self.backend = backend
        self.verbose = verbose

    def _train(self, sequences: Sequence[Any], targets: "Targets") -> None:
        """Train a model of these sequences and targets, and keep it in `model_`."""
        if self.frozen and self.model is None:
            raise ValueError(
                "frozen=True trains only a head, and the encoder of a new model is random; give "
                "the model to use as model="
            )
        # Imports torch, which predictions can do without.
        from bothways.sklearn.training import TrainingOptions, train_model
        from bothways.sklearn.verbosity import progress_printer

        seed = int(check_random_state(self.random_state).randint(SEEDS))
        self._notices = Notices(self._advice)
        options = TrainingOptions(
            source=self.model,
            new_model=self._new_model_options(),
            pooling=self.pooling,
            validation_fraction=self.validation_fraction,
            settings=self._settings(seed),
            progress=progress_printer(self.verbose),
            notices=self._notices,
        )
        train = partial(train_model, sequences=sequences, targets=targets, options=options)
        self.model_ = FittedModel(train, backend=self.backend)

    def _settings(self, seed: int) -> TrainingSettings:
        never = None if self.validation_fraction else sys.maxsize
        return TrainingSettings(
            frozen=self.frozen,
            epochs=self.epochs,
            batch_tokens=self.batch_tokens,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            validate_every=never,
            checkpoint_every=sys.maxsize,  # the run cannot be resumed
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
        """The kinds of X that are supported."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags
