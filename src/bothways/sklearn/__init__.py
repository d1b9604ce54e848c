"""Estimators for scikit-learn.

make_pipeline(SequenceEncoder("minilm"), LogisticRegression())
"""

from importlib.util import find_spec

from bothways.errors import MissingExtra

if find_spec("sklearn") is None:
    raise MissingExtra("sklearn", "bothways.sklearn")

from bothways.sklearn.classifier import SequenceClassifier
from bothways.sklearn.encoder import SequenceEncoder
from bothways.sklearn.regressor import SequenceRegressor

__all__ = ["SequenceClassifier", "SequenceEncoder", "SequenceRegressor"]
