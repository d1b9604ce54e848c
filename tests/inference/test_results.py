import sys

import numpy as np
import pytest

from bothways.errors import InputError, MissingExtra
from bothways.inference.predict import Sparse

SPARSE = Sparse(
    indptr=np.array([0, 2, 2, 5]),
    indices=np.array([1, 3, 0, 1, 2], np.int32),
    data=np.array([0.5, 2.0, 1.0, 3.0, 1.0], np.float32),
    tokens=("a", "bank", "loan", "river"),
    truncated=np.zeros(3, bool),
)


def test_terms_come_heaviest_first() -> None:
    assert SPARSE.shape == (3, 4)
    assert list(SPARSE.terms(0).items()) == [("river", 2.0), ("bank", 0.5)]
    assert SPARSE.terms(1) == {}
    assert list(SPARSE.terms(-1)) == ["bank", "a", "loan"]
    with pytest.raises(InputError, match="row 3: expected -3 to 2"):
        SPARSE.terms(3)


def test_the_matrix_of_scipy_is_the_same() -> None:
    dense = [[0, 0.5, 0, 2], [0, 0, 0, 0], [1, 3, 1, 0]]
    np.testing.assert_array_equal(SPARSE.to_scipy().toarray(), dense)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtra, match=r"pip install 'bothways\[sklearn\]'"):
        SPARSE.to_scipy()
